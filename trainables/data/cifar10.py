"""CIFAR-10 (Krizhevsky 2009): 60,000 colour photographs in 10 classes, 32 x 32 pixels."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.data.images import Dataset, LabelledImages
from trainables.data.published import PublishedFiles, read
from trainables.data.source import LARGEST, SMALLEST, DataSource
from trainables.data.transform import resize
from trainables.errors import CorruptInput
from trainables.paths import is_file

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_CLASSES = 10

_Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class Layout:
    """One of the two forms in which CIFAR-10 is published.

    Attributes:
        folder: what the archive unpacks to.
        archive: the archive's name, and `archive_md5` its MD5.
        batches: MD5 of each batch file, in order; the last is the test batch.
        decode: turns a batch file's content into images N x 3 x 32 x 32 and labels. It is called only with
            content of the official MD5.
    """

    folder: str
    archive: str
    archive_md5: str
    batches: Mapping[str, str]
    decode: Callable[[bytes], _Batch]

    def in_folder(self, folder: Path) -> dict[str, Path]:
        """The paths of the batch files in this folder, or in the folder below it that the archive has."""
        choices = {name: [folder / name, folder / self.folder / name] for name in self.batches}
        return {name: next(filter(is_file, paths)) for name, paths in choices.items() if any(map(is_file, paths))}

    def archive_at(self, path: Path) -> Path | None:
        """The archive, if it is in this folder or is this file."""
        choices = [path] if path.name == self.archive else [path / self.archive]
        return next(filter(is_file, choices), None)


class _ArraysOnly(pickle.Unpickler):
    """Makes arrays, and refuses everything else that a pickle asks to import and call."""

    _ALLOWED = frozenset({("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct")})

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"asks for {module}.{name}")
        # These files hold numpy's old name of the module, which warns.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _decode_pickle(content: bytes) -> _Batch:
    found = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    return np.asarray(found[b"data"], np.uint8).reshape(-1, *_SHAPE), np.asarray(found[b"labels"], np.int64)


def _decode_records(content: bytes) -> _Batch:
    """Records of one byte (the class) and 3,072 (the red, the green and the blue plane, row by row)."""
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
    return records[:, 1:].reshape(-1, *_SHAPE), records[:, 0].astype(np.int64)


# The MD5s: of the archives, the authors' page; of the Python batches, torchvision's CIFAR10.train_list and test_list.
# Two files can be made to share an MD5, but nobody can make one that shares the MD5 of a given file.
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        archive_md5="c58f30108f718f92721af3b95e74349a",
        batches={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
        },
        decode=_decode_pickle,
    ),
    Layout(
        folder="cifar-10-batches-bin",
        archive="cifar-10-binary.tar.gz",
        archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
        batches={
            "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
            "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
            "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
            "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
            "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
            "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
        },
        decode=_decode_records,
    ),
)

VALIDATION_COUNT = 5_000
"""How many of the official 50,000 training images are `validation`: the last ones; they are in random order."""


class Cifar10(DataSource, frozen=True, extra="forbid"):
    """CIFAR-10 from the first folder that has it: 45,000 train, 5,000 validation, 10,000 test images.

    Only `root` is searched if it is given; else the user's cache, then torchvision downloads it into the cache.
    Both the Python batches (`cifar-10-batches-py`) and the binary ones (`cifar-10-batches-bin`) will do,
    unpacked or in their .tar.gz. A file's MD5 is checked before its content is read.
    """

    name: Literal["cifar10"] = "cifar10"
    root: Path | None = Field(default=None, description="folder with the batches or their .tar.gz; default: look")
    size: int = Field(default=32, ge=SMALLEST, le=LARGEST, description="pixels a side; other than 32 is resized")

    def load(self) -> Dataset:
        """The three splits with their labels."""
        parts = [(resize(images, self.size), labels) for images, labels in _batches(self.root)]
        images, labels = (np.concatenate(arrays) for arrays in zip(*parts[:-1], strict=True))
        n = len(images) - VALIDATION_COUNT
        return Dataset(
            self.name,
            LabelledImages(images[:n], labels[:n]),
            LabelledImages(images[n:], labels[n:]),
            LabelledImages(*map(np.ascontiguousarray, parts[-1])),
            classes=_CLASSES,
        )

    @classmethod
    def published(cls) -> PublishedFiles:
        """The user's cache, a download."""
        return PublishedFiles(
            name="cifar10",
            search=_search,
            torchvision="CIFAR10",
            downloaded=LAYOUTS[0].folder,
            files=" or ".join(layout.archive for layout in LAYOUTS),
        )


def _batches(root: Path | None) -> list[_Batch]:
    found = Cifar10.published().find(root)
    for layout in LAYOUTS:
        if layout.archive in found:
            return _from_archive(found[layout.archive], layout)
        if set(found) == set(layout.batches):
            files = ((found[name], read(found[name]), md5) for name, md5 in layout.batches.items())
            return [_decode(str(path), content, md5, layout) for path, content, md5 in files]
    raise AssertionError(f"the search found {sorted(found)}")


def _search(path: Path) -> tuple[dict[str, Path], list[str]]:
    """The six batch files of one layout, or its archive; else what the nearest layout lacks."""
    unpacked = [(layout, layout.in_folder(path)) for layout in LAYOUTS]
    for layout, found in unpacked:
        if len(found) == len(layout.batches):
            return found, []
    for layout in LAYOUTS:
        if (archive := layout.archive_at(path)) is not None:
            return {layout.archive: archive}, []
    layout, found = max(unpacked, key=lambda pair: len(pair[1]))
    if found:
        return found, [name for name in layout.batches if name not in found]
    return {}, [" and ".join(f"{layout.folder} ({layout.archive})" for layout in LAYOUTS)]


def _from_archive(path: Path, layout: Layout) -> list[_Batch]:
    content = read(path)
    _check(str(path), content, layout.archive_md5)
    batches = []
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for name, md5 in layout.batches.items():
                member = archive.extractfile(f"{layout.folder}/{name}")
                if member is None:
                    raise KeyError(f"{name} is no file in it")
                batches.append(_decode(f"{path}: {name}", member.read(), md5, layout))
    except (tarfile.TarError, OSError, EOFError, KeyError) as error:
        raise CorruptInput(f"{path}: not the published archive ({error}); replace it") from error
    return batches


def _decode(name: str, content: bytes, md5: str, layout: Layout) -> _Batch:
    _check(name, content, md5)
    try:
        images, labels = layout.decode(content)
    except Exception as error:  # an unpickler raises whatever the content makes it do
        raise CorruptInput(f"{name}: not a batch of CIFAR-10 ({error}); replace it") from error
    if labels.shape != (len(images),):
        raise CorruptInput(f"{name}: labels of shape {labels.shape} for {len(images)} images; replace it")
    return images, labels


def _check(name: str, content: bytes, expected: str) -> None:
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if digest != expected:
        raise CorruptInput(f"{name}: has MD5 {digest}, CIFAR-10's has {expected}; replace the file")
