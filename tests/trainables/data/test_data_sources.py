"""What holds for every source of images, whatever it is, and CIFAR-10's files."""

import io
import os
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_files import EXAMPLES, TinyCifar, md5, pixels, put, python2_pickle, python_batch, tar_gz
from pydantic import ValidationError

from trainables.data import SOURCES, Cifar10, Dataset, DataSource, Split, cifar10
from trainables.data.published import PublishedFiles
from trainables.errors import CorruptFile, CorruptInput, DataNotFound

Source = Callable[..., DataSource]


def rows(dataset: Dataset, split: Split) -> list[bytes]:
    return [image.tobytes() for image in dataset.split(split).images]


# ------------------------------------------------------------------------------------------------ every source


def test_every_source_has_an_example_here() -> None:
    assert set(EXAMPLES) == set(SOURCES)


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    return EXAMPLES[request.param](folder, monkeypatch)


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_found_by_its_name_and_refuses_unknown_fields(name: str) -> None:
    assert SOURCES[name].model_fields["name"].default == name
    with pytest.raises(ValidationError, match="sizee"):
        SOURCES[name].model_validate({"name": name, "path": "x", "size": 8, "sizee": 3})


def test_no_image_is_in_two_splits(source: Source) -> None:
    """All images of the examples differ, so that an image tells its index."""
    dataset = source().load()
    parts = [rows(dataset, split) for split in Split]
    assert all(parts)
    assert len(set().union(*parts)) == sum(map(len, parts))


def test_the_splits_are_the_same_each_time(source: Source) -> None:
    first, second = source().load(), source().load()
    assert first.digest == second.digest
    for split in Split:
        assert rows(first, split) == rows(second, split)


def test_loading_neither_uses_nor_moves_the_global_random_states(source: Source) -> None:
    import random

    import torch

    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    one = source().load().digest
    drawn = (random.random(), np.random.rand(), torch.rand(()).item())
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert drawn == (random.random(), np.random.rand(), torch.rand(()).item())
    assert source().load().digest == one


@pytest.mark.parametrize("size", [28, 32, 64, 128])
def test_every_size_keeps_the_division_the_labels_and_the_likeness(source: Source, size: int) -> None:
    plain, sized = source().load(), source(size=size).load()
    assert sized.size == size
    assert (sized.channels, sized.classes) == (plain.channels, plain.classes)
    for split in Split:
        one, other = plain.split(split), sized.split(split)
        np.testing.assert_array_equal(one.labels, other.labels)
        # A resize keeps each image's mean, but for its edges' weight; padding by zeros lowers it.
        scale = (28 / 32) ** 2 if plain.size == 28 and size == 32 else 1
        means = [part.images.mean(axis=(1, 2, 3)) for part in (one, other)]
        np.testing.assert_allclose(means[0] * scale, means[1], atol=12)


def test_a_source_comes_back_from_its_dictionary(source: Source) -> None:
    made = source(size=16)
    assert type(made).model_validate(made.model_dump(mode="json")) == made


# --------------------------------------------------------------------------------------------------- CIFAR-10


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TinyCifar:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return TinyCifar(monkeypatch)


def test_the_official_digests_are_torchvisions() -> None:
    from torchvision.datasets import CIFAR10

    python = cifar10.LAYOUTS[0]
    assert list(python.batches.items()) == [tuple(pair) for pair in [*CIFAR10.train_list, *CIFAR10.test_list]]
    assert (python.folder, python.archive) == (CIFAR10.base_folder, CIFAR10.filename)
    assert python.archive_md5 == CIFAR10.tgz_md5


@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("where", ["root", "root/FOLDER", "cache/ganstudy/cifar10", "cache/ganstudy/cifar10/FOLDER"])
@pytest.mark.parametrize("form", ["files", "archive"])
def test_cifar10_is_found_in_each_folder_layout_and_form(
    tiny: TinyCifar, tmp_path: Path, layout: int, where: str, form: str
) -> None:
    official = cifar10.LAYOUTS[layout]
    if form == "archive" and "FOLDER" in where:
        pytest.skip("the archive lies beside what it unpacks to")
    files = tiny.files[layout] if form == "files" else {official.archive: tiny.archives[layout]}
    put(tmp_path / where.replace("FOLDER", official.folder), files)
    dataset = Cifar10(root=tmp_path / "root" if where.startswith("root") else None).load()
    np.testing.assert_array_equal(dataset.train.images, tiny.images[:4].reshape(-1, 3, 32, 32))
    np.testing.assert_array_equal(dataset.validation.images, tiny.images[4])
    np.testing.assert_array_equal(dataset.test.images, tiny.images[5])
    for part, labels in zip(
        (dataset.train, dataset.validation), (tiny.labels[:4].ravel(), tiny.labels[4]), strict=True
    ):
        np.testing.assert_array_equal(part.labels, labels)
    np.testing.assert_array_equal(dataset.test.labels, tiny.labels[5])
    assert dataset.classes == 10


def test_the_root_may_be_the_archive_itself(tiny: TinyCifar, tmp_path: Path) -> None:
    digests = set()
    for layout, content in zip(cifar10.LAYOUTS, tiny.archives, strict=True):
        (tmp_path / layout.archive).write_bytes(content)
        digests.add(Cifar10(root=tmp_path / layout.archive).load().digest)
    assert len(digests) == 1


@pytest.mark.parametrize("layout", [0, 1])
def test_a_changed_byte_is_found_before_anything_is_unpickled(
    tiny: TinyCifar, tmp_path: Path, layout: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpickled(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    monkeypatch.setattr(cifar10._ArraysOnly, "__init__", unpickled)
    (name, content), *_ = tiny.files[layout].items()
    put(tmp_path, tiny.files[layout] | {name: content[:-1] + bytes([content[-1] ^ 1])})
    with pytest.raises(CorruptInput, match=r"has MD5 [0-9a-f]{32}, CIFAR-10's has") as caught:
        Cifar10(root=tmp_path).load()
    assert str(tmp_path / name) in str(caught.value)


def test_a_damaged_archive_is_named(tiny: TinyCifar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = cifar10.LAYOUTS[0]
    path = tmp_path / layout.archive
    path.write_bytes(tiny.archives[0][:-40])
    with pytest.raises(CorruptInput, match="has MD5"):
        Cifar10(root=tmp_path).load()
    for content, said in (
        (tar_gz({"other": b""}), "not the published archive"),
        (b"nothing", "not the published archive"),
    ):
        path.write_bytes(content)
        monkeypatch.setattr(cifar10, "LAYOUTS", (replace(layout, archive_md5=md5(content)),))
        with pytest.raises(CorruptInput, match=said):
            Cifar10(root=tmp_path).load()


class Evil:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("hidden", [lambda evil: evil, lambda evil: {b"data": evil}, lambda evil: [1, (evil,)]])
def test_code_in_a_pickle_is_not_run_even_if_its_digest_were_right(
    tmp_path: Path, hidden: Callable[[Evil], object]
) -> None:
    content = python2_pickle(hidden(Evil(tmp_path / "ran")))
    pickle.loads(content)
    (tmp_path / "ran").rmdir()  # it would have run
    with pytest.raises(pickle.UnpicklingError, match=r"asks for posix\.mkdir"):
        cifar10._decode_pickle(content)
    assert not (tmp_path / "ran").exists()


def test_a_stand_in_batch_is_what_python_2_would_have_written() -> None:
    """Its strings come back as bytes, and numpy's old module is asked for: else the tests above test another format."""
    images, labels = pixels(3, 3, 32, 32), np.array([0, 1, 2])
    content = python_batch(images, labels)
    assert b"numpy.core.multiarray" in content
    assert b"_codecs" not in content
    assert set(pickle.loads(content, encoding="bytes")) == {b"batch_label", b"labels", b"data", b"filenames"}


@pytest.mark.parametrize(
    "found",
    [{}, {b"data": [], b"labels": 3}, {b"data": [1, 2], b"labels": []}, [], 5, {b"data": [300] * 3072, b"labels": [1]}],
)
def test_a_batch_that_holds_something_else_is_refused(
    tiny: TinyCifar, tmp_path: Path, found: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = python2_pickle(found)
    layout = cifar10.LAYOUTS[0]
    changed = replace(layout, batches=dict(layout.batches) | {"test_batch": md5(content)})
    monkeypatch.setattr(cifar10, "LAYOUTS", (changed,))
    put(tmp_path, tiny.files[0] | {"test_batch": content})
    with pytest.raises(CorruptFile, match=r"test_batch"):
        Cifar10(root=tmp_path).load()


def test_a_folder_that_lacks_a_batch_says_which(tiny: TinyCifar, tmp_path: Path) -> None:
    for files, lacking in zip(tiny.files, ("test_batch", "test_batch.bin"), strict=True):
        folder = tmp_path / lacking
        put(folder, {name: content for name, content in files.items() if name != lacking})
        with pytest.raises(DataNotFound, match=f"lacks {lacking};"):
            Cifar10(root=folder).load()
    with pytest.raises(DataNotFound, match=r"lacks cifar-10-batches-py \(cifar-10-python\.tar\.gz\) and cifar-10-bat"):
        Cifar10(root=tmp_path / "nowhere").load()


def test_the_last_resort_is_a_download_into_the_cache(
    tiny: TinyCifar, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torchvision.datasets

    def download(root: str, download: bool) -> None:
        with tarfile.open(fileobj=io.BytesIO(tiny.archives[0])) as archive:
            archive.extractall(root, filter="data")

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", download)
    first = Cifar10().load()
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", None)
    assert Cifar10().load().digest == first.digest
    assert [p.name for p in (tmp_path / "cache/ganstudy/cifar10").iterdir()] == ["cifar-10-batches-py"]


def test_a_download_that_brings_too_little_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torchvision.datasets, "MNIST", lambda root, download: (Path(root) / "MNIST").mkdir())
    files = PublishedFiles("some", lambda _: ({}, ["a", "b"]), "MNIST", "MNIST", "two files")
    with pytest.raises(DataNotFound, match="lacks a, b; try again"):
        files.find(None)
