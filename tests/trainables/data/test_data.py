import gzip
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import pixels, put, tiny_idx_set
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainables.data import Dataset, Digits, FashionMnist, LabelledImages, Mnist, Npz, Split, fashion_mnist, mnist
from trainables.data.fashion_mnist import DEBIAN
from trainables.data.mnist_family import IdxSet
from trainables.data.transform import resize, split_indices
from trainables.errors import CorruptFile, DataNotFound, InvalidInput
from trainables.tensors import as_tensor

debian_only = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs `apt-get install dataset-fashion-mnist`")


def labelled(count: int, seed: int = 0) -> LabelledImages:
    return LabelledImages(pixels(count, 1, 8, 8, seed=seed), np.arange(count, dtype=np.int64) % 3)


def small_dataset() -> Dataset:
    return Dataset("small", labelled(30), labelled(6, 1), labelled(6, 2), classes=3)


# ------------------------------------------------------------------------------------------------ the arrays


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (pixels(4, 1, 8, 8).astype(np.float32), None, "float32: must be uint8"),
        (pixels(4, 8, 8), None, "must be N x C x H x W"),
        (pixels(4, 2, 8, 8), None, "C 1 or 3"),
        (pixels(4, 1, 8, 9), None, "H = W"),
        (pixels(0, 1, 8, 8), None, "at least one image"),
        (pixels(4, 8, 8, 3).transpose(0, 3, 1, 2), None, "must be contiguous"),
        (pixels(4, 1, 8, 8), np.zeros(3, np.int64), "each of the 4 images"),
        (pixels(4, 1, 8, 8), np.zeros(4, np.int32), "contiguous int64"),
        (pixels(4, 1, 8, 8), np.full(4, -1, np.int64), "label -1"),
    ],
)
def test_images_that_break_a_rule_are_refused(
    images: NDArray[np.uint8], labels: NDArray[np.int64] | None, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        LabelledImages(images, labels)


def test_splits_must_fit_together() -> None:
    small, grey = labelled(6), LabelledImages(pixels(6, 1, 8, 8))
    with pytest.raises(InvalidInput, match=r"test images are \(1, 9, 9\)"):
        Dataset("d", grey, grey, LabelledImages(pixels(2, 1, 9, 9)))
    with pytest.raises(InvalidInput, match="label every split, or none"):
        Dataset("d", small, grey, small, classes=3)
    with pytest.raises(InvalidInput, match="label 2 in train: labels are 0 to 1"):
        Dataset("d", small, small, small, classes=2)


def test_arrays_are_held_read_only_without_changing_the_callers() -> None:
    array = pixels(4, 1, 8, 8)
    held = LabelledImages(array).images
    assert array.flags.writeable
    assert not held.flags.writeable
    assert np.shares_memory(array, held)


def test_the_digest_depends_on_every_array_and_only_on_them() -> None:
    base = small_dataset()
    same = Dataset("other name", base.train, base.validation, base.test, classes=3)
    changed = base.test.images.copy()
    changed[-1, -1, -1, -1] ^= 1
    moved = np.roll(np.asarray(base.train.labels), 1)
    others = [
        Dataset("d", base.train, base.validation, LabelledImages(changed, base.test.labels), classes=3),
        Dataset("d", LabelledImages(base.train.images, moved), base.validation, base.test, classes=3),
        Dataset("d", base.train, base.test, base.validation, classes=3),
        Dataset(
            "d",
            LabelledImages(base.train.images),
            LabelledImages(base.validation.images),
            LabelledImages(base.test.images),
        ),
    ]
    assert same.digest == base.digest
    assert len({base.digest, *(other.digest for other in others)}) == 5


def test_classes_are_counted_in_each_split_and_absent_ones_too() -> None:
    def part(*labels: int) -> LabelledImages:
        return LabelledImages(np.zeros((len(labels), 1, 8, 8), np.uint8), np.array(labels, np.int64))

    dataset = Dataset("counted", part(2, 0, 2, 2), part(1), part(3, 0), classes=5)
    counts = {split: dataset.class_counts(split) for split in Split}
    assert counts == {"train": (1, 0, 3, 0, 0), "validation": (0, 1, 0, 0, 0), "test": (1, 0, 0, 1, 0)}
    unlabelled = LabelledImages(dataset.train.images)
    assert Dataset("bare", unlabelled, unlabelled, unlabelled).class_counts(Split.TRAIN) == ()


def test_pickles_with_its_arrays_out_of_band() -> None:
    dataset = small_dataset()
    digest = dataset.digest
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(dataset, protocol=5, buffer_callback=buffers.append)
    assert len(buffers) == 6  # three splits, images and labels
    assert len(content) < dataset.train.images.nbytes
    back = pickle.loads(content, buffers=[bytes(b) for b in buffers])
    assert not back.train.images.flags.writeable
    assert vars(back).pop("digest") == digest
    np.testing.assert_array_equal(back.test.images, dataset.test.images)


@pytest.mark.filterwarnings("error")
def test_a_tensor_of_a_read_only_array_shares_its_memory_and_does_not_warn() -> None:
    images = labelled(3).images
    tensor = as_tensor(images)
    assert tensor.data_ptr() == images.ctypes.data
    np.testing.assert_array_equal(tensor.numpy(), images)


# ------------------------------------------------------------------------------------- splitting and resizing


@given(st.integers(10, 500), st.integers(1, 2))
def test_a_split_has_every_index_once_in_the_same_order_each_time(count: int, parts: int) -> None:
    pieces = split_indices(count, parts)
    assert sorted(np.concatenate(pieces).tolist()) == list(range(count))
    assert all(abs(len(piece) - count / 10) <= 0.5 for piece in pieces[1:])
    for one, two in zip(pieces, split_indices(count, parts), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("size", [8, 20, 28, 64])
def test_resizing_keeps_flat_images_flat_and_antialiases(size: int) -> None:
    flat = np.full((2, 3, 28, 28), 77, np.uint8)
    assert resize(flat, size).shape == (2, 3, size, size)
    assert (resize(flat, size) == 77).all()


def test_resizing_down_averages_a_checkerboard_where_picking_pixels_would_not() -> None:
    board = np.indices((32, 32)).sum(0) % 2 * 255
    small = resize(board.astype(np.uint8)[None, None], 8)
    assert abs(small.astype(int) - 127.5).max() < 16  # nearest or plain bicubic leaves 0s and 255s


# -------------------------------------------------------------------------------------------------- the sources


def test_digits_are_scaled_and_split_the_same_way_every_time() -> None:
    from sklearn.datasets import load_digits

    dataset = Digits().load()
    assert [len(dataset.split(s)) for s in Split] == [1437, 180, 180]
    assert (dataset.channels, dataset.size, dataset.classes) == (1, 8, 10)
    assert dataset.digest == Digits().load().digest
    every = np.concatenate([dataset.split(s).images for s in Split])
    # 0..16 becomes 0..255, so each image sums to 255/16 of its counts but for rounding by half a level a pixel.
    sums = np.sort(every.sum(axis=(1, 2, 3), dtype=np.int64))
    expected = np.sort(load_digits().images.sum(axis=(1, 2)) * 255 / 16)
    np.testing.assert_allclose(sums, expected, atol=32)
    assert (every.min(), every.max()) == (0, 255)
    assert Digits(size=16).load().size == 16


IDX_SOURCES: dict[str, tuple[Any, type[FashionMnist] | type[Mnist]]] = {
    "fashion_mnist": (fashion_mnist, FashionMnist),
    "mnist": (mnist, Mnist),
}


@dataclass
class Tiny:
    """A stand-in for an official IDX set (8 + 4 + 5 images), and no data in any of the usual folders."""

    source: type[FashionMnist] | type[Mnist]
    official: IdxSet
    files: dict[str, bytes]


@pytest.fixture(params=IDX_SOURCES)
def tiny(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tiny:
    module, source = IDX_SOURCES[request.param]
    official, files = tiny_idx_set(module.OFFICIAL)
    if official.debian is not None:
        official = replace(official, debian=tmp_path / "debian")
    monkeypatch.setattr(module, "OFFICIAL", official)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Tiny(source, official, files)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("where", ["root", "root/RAW", "cache/ganstudy/NAME", "debian"])
def test_idx_files_are_found_in_each_folder_and_layout(tiny: Tiny, tmp_path: Path, where: str, zipped: bool) -> None:
    if where == "debian" and tiny.official.debian is None:
        pytest.skip("Debian has no package of it")
    raw = f"{tiny.official.torchvision}/raw"
    put(tmp_path / where.replace("RAW", raw).replace("NAME", tiny.official.name), tiny.files, zipped)
    dataset = tiny.source(root=tmp_path / "root" if where.startswith("root") else None).load()
    assert [len(dataset.split(s)) for s in Split] == [8, 4, 5]
    train = np.frombuffer(tiny.files["train-images-idx3-ubyte"], np.uint8, offset=16).reshape(12, 1, 28, 28)
    np.testing.assert_array_equal(dataset.train.images, train[:8])
    np.testing.assert_array_equal(dataset.validation.images, train[8:])
    assert dataset.test.labels is not None
    assert dataset.test.labels.tolist() == list(tiny.files["t10k-labels-idx1-ubyte"][8:])


def test_of_32_pixels_there_are_two_rows_and_columns_of_zeros_around(tiny: Tiny, tmp_path: Path) -> None:
    put(tmp_path, tiny.files)
    padded, plain = (tiny.source(root=tmp_path, size=size).load().test.images for size in (32, 28))
    np.testing.assert_array_equal(padded[:, :, 2:-2, 2:-2], plain)
    assert padded.sum(dtype=np.int64) == plain.sum(dtype=np.int64)


def test_an_explicit_root_without_the_files_is_an_error_even_if_they_are_elsewhere(tiny: Tiny, tmp_path: Path) -> None:
    put(tmp_path / f"cache/ganstudy/{tiny.official.name}", tiny.files)
    put(tmp_path / "root", {k: v for k, v in tiny.files.items() if "labels" not in k})
    with pytest.raises(DataNotFound, match="lacks train-labels-idx1-ubyte, t10k-labels-idx1-ubyte"):
        tiny.source(root=tmp_path / "root").load()


def test_when_it_is_nowhere_the_error_names_all_folders(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torchvision.datasets

    def offline(**_: object) -> None:
        raise RuntimeError("Error downloading")

    monkeypatch.setattr(torchvision.datasets, tiny.official.torchvision, offline)
    with pytest.raises(DataNotFound) as caught:
        tiny.source().load()
    message = str(caught.value)
    for part in ("`root`", str(tmp_path / "cache"), "torchvision", "four IDX files"):
        assert part in message
    assert (str(tmp_path / "debian") in message) == (tiny.official.name == "fashion_mnist")
    assert ("apt-get install dataset-fashion-mnist" in message) == (tiny.official.name == "fashion_mnist")
    assert "\n" not in message
    # No half download stays behind.
    assert list((tmp_path / "cache/ganstudy" / tiny.official.name).iterdir()) == []


def test_the_last_resort_is_a_download_into_the_cache(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torchvision.datasets

    def download(root: str, download: bool) -> None:
        assert download
        put(Path(root) / tiny.official.torchvision / "raw", tiny.files)

    monkeypatch.setattr(torchvision.datasets, tiny.official.torchvision, download)
    first = tiny.source().load()
    monkeypatch.setattr(torchvision.datasets, tiny.official.torchvision, None)  # a second download would fail
    assert tiny.source().load().digest == first.digest
    cache = tmp_path / "cache/ganstudy" / tiny.official.name
    assert [p.name for p in cache.iterdir()] == [tiny.official.torchvision]


def test_torchvision_lays_its_download_where_we_look(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own code, up to the network."""
    from torchvision.datasets import mnist as theirs

    def arrived(url: str, download_root: str, filename: str, md5: str) -> None:
        put(Path(download_root), {filename.removesuffix(".gz"): tiny.files[filename.removesuffix(".gz")]})

    monkeypatch.setattr(theirs, "download_and_extract_archive", arrived)
    assert [len(tiny.source().load().split(s)) for s in Split] == [8, 4, 5]


def _flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda c: _flip(c, 2), "not with the header"),
        (lambda c: _flip(c, 7), "not with the header"),
        (lambda c: c[:-1], "bytes, not the"),
        (lambda c: c + b"\0", "more than the"),
        (lambda c: gzip.compress(c + bytes(10**6)), "more than the"),
        (lambda c: _flip(c, len(c) // 2), "its data has SHA-256"),
        (lambda c: gzip.compress(c)[:-20], "damaged gzip"),
        (lambda c: _flip(gzip.compress(c), len(gzip.compress(c)) // 2), "damaged gzip"),
        (lambda _: b"", "not with the header"),
    ],
)
def test_a_damaged_file_is_named(tiny: Tiny, tmp_path: Path, damage: object, said: str) -> None:
    assert callable(damage)
    name = "t10k-images-idx3-ubyte"
    put(tmp_path, tiny.files | {name: damage(tiny.files[name])})
    with pytest.raises(CorruptFile, match=said) as caught:
        tiny.source(root=tmp_path).load()
    assert str(tmp_path / name) in str(caught.value)


@debian_only
def test_the_real_fashion_mnist_is_divided_50_10_10_thousand() -> None:
    dataset = FashionMnist(root=DEBIAN).load()
    assert [len(dataset.split(s)) for s in Split] == [50_000, 10_000, 10_000]
    assert (dataset.channels, dataset.size, dataset.classes) == (1, 28, 10)
    assert dataset.test.labels is not None
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10


# ------------------------------------------------------------------------------------------------------- .npz


def _npz(path: Path, **arrays: NDArray[np.generic]) -> Npz:
    np.savez(path / "data.npz", **arrays)  # type: ignore[arg-type]  # the stub confuses arrays with its flag
    return Npz(path=path / "data.npz")


@pytest.mark.parametrize("channels", [1, 3])
def test_npz_takes_channels_first_last_or_none(tmp_path: Path, channels: int) -> None:
    first = pixels(40, channels, 8, 8)
    one = _npz(tmp_path, images=first).load()
    assert one.digest == _npz(tmp_path, images=first.transpose(0, 2, 3, 1)).load().digest
    if channels == 1:
        assert one.digest == _npz(tmp_path, images=first[:, 0]).load().digest
    assert one.classes is None
    assert [len(one.split(s)) for s in Split] == [32, 4, 4]


def test_npz_takes_the_splits_that_are_there_and_sets_the_others_apart(tmp_path: Path) -> None:
    images, labels = pixels(40, 8, 8), (np.arange(40) % 4).astype(np.uint8)
    dataset = _npz(tmp_path, images=images, labels=labels, test_images=images[:7], test_labels=labels[:7]).load()
    assert [len(dataset.split(s)) for s in Split] == [36, 4, 7]
    assert dataset.classes == 4
    np.testing.assert_array_equal(dataset.test.images[:, 0], images[:7])
    # Each image still has its label: find it among the originals.
    assert dataset.train.labels is not None
    for image, label in zip(dataset.train.images[:, 0], dataset.train.labels, strict=True):
        (index,) = np.flatnonzero((images == image).all(axis=(1, 2)))
        assert label == labels[index]


def test_npz_resizes_on_request(tmp_path: Path) -> None:
    source = _npz(tmp_path, images=pixels(20, 16, 16))
    assert source.model_copy(update={"size": 8}).load().size == 8


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.array([None, {}], dtype=object)}, "plain array of numbers"),
        ({"images": pixels(20, 8, 8) / 255}, "float64; must be uint8"),
        ({"images": pixels(20, 8, 8) % 2}, r"0 to 1; must use 0\.\.255"),
        ({"images": pixels(20, 8, 9)}, "H = W"),
        ({"images": pixels(20, 8, 8, 2)}, "C 1 or 3"),
        ({"images": pixels(20, 64)}, "N x H x W"),
        ({"images": pixels(20, 4, 4)}, "8 to 256 pixels"),
        ({"images": pixels(0, 8, 8)}, "at least one image"),
        ({"images": pixels(9, 8, 8)}, "9 images: at least 10"),
        ({"image": pixels(20, 8, 8)}, "needs 'images'"),
        ({"images": pixels(20, 8, 8), "lables": np.zeros(20, int)}, "'lables'"),
        ({"images": pixels(20, 8, 8), "test_labels": np.zeros(20, int)}, "'test_labels' without 'test_images'"),
        ({"images": pixels(20, 8, 8), "labels": np.array([{}] * 20)}, "plain array of numbers"),
        ({"images": pixels(20, 8, 8).astype(np.int16) - 9}, "int16; must be uint8"),
        ({"images": pixels(20, 8, 8) > 99}, "bool; must be uint8"),
        ({"images": pixels(20, 8, 8), "test_images": pixels(20, 9, 9)}, r"test images are \(1, 9, 9\)"),
        ({"images": pixels(20, 8, 8), "labels": np.zeros(19, int)}, "20 integers"),
        ({"images": pixels(20, 8, 8), "labels": np.zeros(20)}, "float64 of shape"),
        ({"images": pixels(20, 8, 8), "labels": np.full(20, -3)}, "has -3"),
        ({"images": pixels(20, 8, 8), "labels": np.full(20, 2)}, "class 0 of 0..2"),
        ({"images": pixels(20, 8, 8), "labels": np.zeros(20, int), "test_images": pixels(5, 8, 8)}, "label every"),
    ],
)
def test_npz_says_what_is_wrong(tmp_path: Path, arrays: dict[str, NDArray[np.generic]], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        _npz(tmp_path, **arrays).load()


def test_npz_that_is_not_there_or_not_one(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound, match="there is no file"):
        Npz(path=tmp_path / "none.npz").load()
    with pytest.raises(DataNotFound, match="there is no file"):
        Npz(path=tmp_path / ("x" * 300)).load()
    np.save(tmp_path / "one.npy", pixels(20, 8, 8))
    with pytest.raises(InvalidInput, match="one array"):
        Npz(path=tmp_path / "one.npy").load()
    whole = _npz(tmp_path, images=pixels(20, 8, 8)).path.read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2], _flip(whole, len(whole) // 2)):
        (tmp_path / "bad.npz").write_bytes(damaged)
        with pytest.raises(CorruptFile, match=r"bad\.npz"):
            Npz(path=tmp_path / "bad.npz").load()
