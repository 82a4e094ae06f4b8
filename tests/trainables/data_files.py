"""Small data sets in the published formats, for tests of the sources: whose every image differs from all others."""

import gzip
import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trainables.data import Cifar10, DataSource, Digits, FashionMnist, Folder, Mnist, Npz, cifar10, fashion_mnist, mnist
from trainables.data.mnist_family import IdxFile, IdxSet

Pixels = NDArray[np.uint8]


def pixels(*shape: int, seed: int = 0) -> Pixels:
    """Uniform bytes; even the smallest images here have 64 of them, so that no two are equal."""
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, shape, dtype=np.uint8)


# ------------------------------------------------------------------------------------------ MNIST and its kin


def idx(array: Pixels) -> bytes:
    """An IDX file of unsigned bytes."""
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def tiny_idx_set(official: IdxSet, train: int = 12, test: int = 5) -> tuple[IdxSet, dict[str, bytes]]:
    """A stand-in for the official set of so many images, and its files; two thirds of `train` are for training."""
    shapes = {n: (train if n.startswith("train") else test, *file.shape[1:]) for n, file in official.files.items()}
    arrays = {n: pixels(*shape, seed=i) for i, (n, shape) in enumerate(shapes.items())}
    arrays |= {n: array % 10 for n, array in arrays.items() if array.ndim == 1}
    files = {n: idx(array) for n, array in arrays.items()}
    expected = {n: IdxFile(shapes[n], hashlib.sha256(files[n]).hexdigest()) for n in files}
    return replace(official, files=expected, train_count=train * 2 // 3), files


def put(folder: Path, files: Mapping[str, bytes], zipped: bool = False) -> None:
    """Write the files, gzipped on request."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)


# --------------------------------------------------------------------------------------------------- CIFAR-10


class _Python2Pickler(pickle._Pickler):  # the one in Python, which can be changed
    """Writes bytes as Python 2 wrote its strings, which is how the published batches hold them."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value: bytes) -> None:
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)  # type: ignore[attr-defined]
        self.memoize(value)  # type: ignore[attr-defined]

    dispatch[bytes] = save_bytes


def python2_pickle(value: Any) -> bytes:
    """A pickle of protocol 2 with numpy's module named as it was then."""
    stream = io.BytesIO()
    _Python2Pickler(stream, protocol=2).dump(value)
    return stream.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def python_batch(images: Pixels, labels: NDArray[np.int64]) -> bytes:
    """A file of `cifar-10-batches-py`."""
    count = len(images)
    names = [f"image_{i}.png".encode() for i in range(count)]
    return python2_pickle(
        {
            b"batch_label": b"a batch",
            b"labels": labels.tolist(),
            b"data": images.reshape(count, -1),
            b"filenames": names,
        }
    )


def binary_batch(images: Pixels, labels: NDArray[np.int64]) -> bytes:
    """A file of `cifar-10-batches-bin`."""
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))


ENCODERS: tuple[Callable[[Pixels, NDArray[np.int64]], bytes], ...] = (python_batch, binary_batch)


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """A .tar.gz of these files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def md5(content: bytes) -> str:
    """In hex."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class TinyCifar:
    """Six batches of `count` images in each layout, with their MD5s in place of the official ones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int = 10) -> None:
        self.images = pixels(6, count, 3, 32, 32)
        self.labels = (pixels(6, count, seed=1) % 10).astype(np.int64)
        self.files: list[dict[str, bytes]] = []
        self.archives: list[bytes] = []
        layouts = []
        for layout, encode in zip(cifar10.LAYOUTS, ENCODERS, strict=True):
            batches = zip(self.images, self.labels, strict=True)
            files = {name: encode(*batch) for name, batch in zip(layout.batches, batches, strict=True)}
            archive = tar_gz({f"{layout.folder}/{name}": content for name, content in files.items()})
            digests = {name: md5(content) for name, content in files.items()}
            layouts.append(replace(layout, batches=digests, archive_md5=md5(archive)))
            self.files.append(files)
            self.archives.append(archive)
        monkeypatch.setattr(cifar10, "LAYOUTS", tuple(layouts))
        monkeypatch.setattr(cifar10, "VALIDATION_COUNT", count)


# ------------------------------------------------------------------------------------------------ image files


def encoded(array: Pixels, form: str = "PNG", **options: Any) -> bytes:
    """An image file of H x W or H x W x 3 pixels."""
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **options)
    return stream.getvalue()


def image_files(count: int, classes: int = 2, size: int = 12) -> dict[str, bytes]:
    """PNGs of noise in a folder for each class, by relative path."""
    noise = pixels(count, size, size, 3)
    return {f"class{i % classes}/{i:03}.png": encoded(image) for i, image in enumerate(noise)}


def put_below(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files by relative path; return the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


# ---------------------------------------------------------------------------------------- one of every source

Make = Callable[[Path, pytest.MonkeyPatch], Callable[..., DataSource]]


def _idx_source(module: Any, source: type[DataSource]) -> Make:
    def make(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataSource]:
        official, files = tiny_idx_set(module.OFFICIAL, train=30, test=10)
        monkeypatch.setattr(module, "OFFICIAL", official)
        put(folder, files)
        return lambda **more: source(name=source.model_fields["name"].default, root=folder, **more)  # type: ignore[call-arg]

    return make


def _cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataSource]:
    put(folder, TinyCifar(monkeypatch).files[0])
    return lambda **more: Cifar10(root=folder, **more)


def _digits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataSource]:
    return lambda **more: Digits(**more)


def _folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataSource]:
    put_below(folder / "images", image_files(40))
    return lambda size=12, **more: Folder(path=folder / "images", size=size, **more)


def _npz(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataSource]:
    np.savez(folder / "data.npz", images=pixels(40, 12, 12, 3), labels=np.arange(40) % 3)
    return lambda **more: Npz(path=folder / "data.npz", **more)


EXAMPLES: dict[str, Make] = {
    "fashion_mnist": _idx_source(fashion_mnist, FashionMnist),
    "mnist": _idx_source(mnist, Mnist),
    "cifar10": _cifar10,
    "digits": _digits,
    "folder": _folder,
    "npz": _npz,
}
"""For each row of SOURCES: puts data into a folder, and returns what configures a source of it (`size=` and so on)."""
