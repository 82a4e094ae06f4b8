import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_trials import same

from trainables import checkpoint as module
from trainables.checkpoint import NETWORKS, Checkpoint, CheckpointStore, read_checkpoint, write_checkpoint
from trainables.errors import CorruptFile

FILES = (*(f"{name}.safetensors" for name in NETWORKS), "state.pt", "report.json", "manifest.json")


def example(kimg: int, fid: float = 50.0) -> Checkpoint:
    """A checkpoint as a trial writes them, its numbers told apart by `kimg`."""
    values = torch.linspace(0, kimg, 12)
    optimiser = {
        "state": {0: {"step": torch.tensor(3.0), "exp_avg": values.reshape(3, 4) / 3}},
        "param_groups": [{"lr": 2e-4, "betas": (0.5, 0.999), "fused": True, "foreach": None, "params": [0]}],
    }
    state = {
        "kimg": kimg,
        "generator": {"0.weight": values.reshape(3, 4), "1.num_batches_tracked": torch.tensor(kimg)},
        "discriminator": {"0.weight": values.reshape(4, 3)},
        "ema": {},
        "generator_optimiser": optimiser,
        "discriminator_optimiser": optimiser,
    }
    return Checkpoint(state, {"kimg": kimg, "fid": fid, "fid_best": fid, "train_seconds": 0.1 * kimg})


def equal(one: Any, other: Any) -> bool:
    """Whether two nests of dictionaries, lists and tensors are the same to the last bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and bool(one == other)


def is_same(found: Checkpoint | None, expected: Checkpoint) -> bool:
    return found is not None and equal(found.state, expected.state) and equal(found.report, expected.report)


def store_of(folder: Path, *kimgs: int) -> CheckpointStore:
    store = CheckpointStore(folder)
    for kimg in kimgs:
        store.save(kimg, example(kimg))
    return store


def sign(folder: Path) -> None:
    """Write a manifest that fits whatever the files now hold."""
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES if name != "manifest.json"}
    (folder / "manifest.json").write_text(json.dumps(sums))


# ---------------------------------------------------------------------------------------------- there and back


def test_comes_back_as_it_went(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "trial" / "checkpoints")
    assert store.latest() is None
    assert store.kimgs() == []
    store.save(7, example(7))
    assert is_same(store.latest(), example(7))
    assert is_same(read_checkpoint(store.path(7)), example(7))
    assert sorted(path.name for path in store.path(7).iterdir()) == sorted(FILES)
    networks = read_checkpoint(store.path(7)).state["generator"]
    assert same(networks, example(7).state["generator"])


def test_the_newest_is_the_one_of_the_most_images(tmp_path: Path) -> None:
    store = store_of(tmp_path, 9, 10, 999_999, 1_000_000)  # seven digits are more than the name has room for
    assert store.kimgs()[-1] == 1_000_000
    assert is_same(store.latest(), example(1_000_000))


def test_keeps_the_newest_two_and_the_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    fids = {1: 50.0, 2: 10.0, 3: 40.0, 4: 10.0, 5: 60.0, 6: 70.0}
    kept = []
    for kimg, fid in fids.items():
        store.save(kimg, example(kimg, fid))
        kept.append(store.kimgs())
    # The first of two equally good ones stays.
    assert kept == [[1], [1, 2], [2, 3], [2, 3, 4], [2, 4, 5], [2, 5, 6]]
    store.save(7, example(7, 1.0))
    assert store.kimgs() == [6, 7]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kimg-000006", "kimg-000007"]


def test_saving_again_replaces(tmp_path: Path) -> None:
    store = store_of(tmp_path, 1, 2)
    (store.path(2) / "state.pt").write_bytes(b"")
    assert is_same(store.latest(), example(1))
    store.save(2, example(2))
    assert is_same(store.latest(), example(2))


# -------------------------------------------------------------------------------------------------- all or none


class Interrupted(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", range(12))
def test_a_write_that_is_cut_off_leaves_the_one_before(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Writing syncs each of six files and the folder before it renames: cut off at each of these points.
    store = store_of(tmp_path, 1)
    calls = 0

    def cut(path: Path, *rest: Any, do: Callable[..., Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Interrupted
        return do(path, *rest)

    sync, save, rename = module._sync, module.save_file, Path.rename
    monkeypatch.setattr(module, "_sync", lambda path: cut(path, do=sync))
    monkeypatch.setattr(module, "save_file", lambda tensors, path: cut(tensors, path, do=save))
    monkeypatch.setattr(Path, "rename", lambda path, target: cut(path, target, do=rename))
    renamed = after >= 3 + 7 + 1  # three networks, seven syncs, one rename; then only the parent's sync
    with pytest.raises(Interrupted):
        store.save(2, example(2))
    monkeypatch.undo()
    assert store.kimgs() == ([1, 2] if renamed else [1])
    assert is_same(store.latest(), example(2 if renamed else 1))
    store.save(2, example(2))  # and the next attempt is not in the way of what is left
    assert is_same(store.latest(), example(2))


def test_what_a_killed_process_left_is_ignored(tmp_path: Path) -> None:
    store = store_of(tmp_path, 1)
    shutil.copytree(store.path(1), tmp_path / ".writing-000002-12345")
    assert store.kimgs() == [1]
    assert is_same(store.latest(), example(1))
    store.save(3, example(3))
    assert store.kimgs() == [1, 3]


# ---------------------------------------------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> CheckpointStore:
    return store_of(tmp_path_factory.mktemp("two"), 1, 2)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), file=st.sampled_from(FILES), bits=st.integers(1, 255))
def test_any_changed_byte_brings_back_the_one_before(
    two: CheckpointStore, data: st.DataObject, file: str, bits: int
) -> None:
    path = two.path(2) / file
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1), label="offset")] ^= bits
    path.write_bytes(changed)
    try:
        found = two.latest()
    finally:
        path.write_bytes(whole)
    if file == "manifest.json" and means_the_same(bytes(changed), whole):
        assert is_same(found, example(2))  # one kind of white space for another
    else:
        assert is_same(found, example(1))


def means_the_same(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


@settings(deadline=None, max_examples=50)
@given(data=st.data(), file=st.sampled_from(FILES))
def test_any_file_cut_short_brings_back_the_one_before(two: CheckpointStore, data: st.DataObject, file: str) -> None:
    path = two.path(2) / file
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1), label="length")])
    try:
        assert is_same(two.latest(), example(1))
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_brings_back_the_one_before(file: str, tmp_path: Path) -> None:
    store = store_of(tmp_path, 1, 2)
    (store.path(2) / file).unlink()
    with pytest.raises(CorruptFile, match=f"kimg-000002.*{file}"):
        read_checkpoint(store.path(2))
    assert is_same(store.latest(), example(1))


@pytest.mark.parametrize(
    "manifest", ["", "{}", "[]", "null", "3", '{"state.pt": 3}', '{"../kimg-000001/state.pt": ""}', "\xff"]
)
def test_a_manifest_that_does_not_name_the_files_brings_back_the_one_before(manifest: str, tmp_path: Path) -> None:
    store = store_of(tmp_path, 1, 2)
    (store.path(2) / "manifest.json").write_text(manifest, encoding="latin-1")
    with pytest.raises(CorruptFile, match=r"checkpoint .*kimg-000002"):
        read_checkpoint(store.path(2))
    assert is_same(store.latest(), example(1))


def test_if_none_checks_it_says_so_of_the_newest(tmp_path: Path) -> None:
    store = store_of(tmp_path, 1, 2)
    for kimg in (1, 2):
        (store.path(kimg) / "ema.safetensors").write_bytes(b"x")
    with pytest.raises(CorruptFile, match=r"kimg-000002: ema\.safetensors is not what was written") as refused:
        store.latest()
    assert "\n" not in str(refused.value)


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", 1, 2)
    made = tmp_path / "made"
    torch.save({"kimg": 2, "generator_optimiser": Touch(made)}, store.path(2) / "state.pt")
    sign(store.path(2))
    with pytest.raises(CorruptFile, match="kimg-000002: cannot be read") as refused:
        read_checkpoint(store.path(2))
    assert "\n" not in str(refused.value)
    assert is_same(store.latest(), example(1))
    assert not made.exists()
    pickle.loads(pickle.dumps(Touch(made)))  # as it would have been
    assert made.exists()


def test_one_that_checks_but_holds_something_else_brings_back_the_one_before(tmp_path: Path) -> None:
    for file in FILES[:-1]:
        store = store_of(tmp_path / file, 1, 2)
        (store.path(2) / file).write_bytes(b"something else")
        sign(store.path(2))
        assert is_same(store.latest(), example(1)), file


def test_can_be_written_to_a_folder_that_is_there(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, example(4))  # as Tune hands it over
    assert is_same(read_checkpoint(tmp_path), example(4))
