"""MNIST and the sets that share its format: four IDX files, 60,000 + 10,000 grey images of 28 x 28 in ten classes."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.data.idx import read_idx
from trainables.data.images import Dataset, LabelledImages
from trainables.data.published import PublishedFiles
from trainables.data.source import LARGEST, SMALLEST, DataSource
from trainables.data.transform import pad, resize
from trainables.errors import CorruptInput
from trainables.paths import is_file


@dataclass(frozen=True)
class IdxFile:
    """What one official file must hold: its shape, and the SHA-256 of the file when it is not gzipped."""

    shape: tuple[int, ...]
    sha256: str


def idx_files(train_images: str, train_labels: str, test_images: str, test_labels: str) -> dict[str, IdxFile]:
    """Return the four official files by name, given their SHA-256."""
    found = {}
    for part, count, images, labels in (
        ("train", 60_000, train_images, train_labels),
        ("t10k", 10_000, test_images, test_labels),
    ):
        found[f"{part}-images-idx3-ubyte"] = IdxFile((count, 28, 28), images)
        found[f"{part}-labels-idx1-ubyte"] = IdxFile((count,), labels)
    return found


@dataclass(frozen=True)
class IdxSet:
    """One data set of the family.

    Attributes:
        name: the source's name.
        title: what people call it.
        torchvision: its class in `torchvision.datasets`, and the folder that this class makes.
        files: the four official files by name.
        train_count: of the official training images so many, from the first on, are `train`, the rest `validation`.
        debian: the folder of the Debian package `package`, where there is one.
    """

    name: str
    title: str
    torchvision: str
    files: Mapping[str, IdxFile]
    train_count: int = 50_000
    debian: Path | None = None
    package: str = ""

    def load(self, root: Path | None, size: int) -> Dataset:
        """The three splits with their labels, at `size` pixels a side: 32 is padded with zeros, others are resized."""
        arrays = {name: self._read(path, self.files[name]) for name, path in self.published().find(root).items()}
        train, test = (_fit(arrays[f"{part}-images-idx3-ubyte"][:, None], size) for part in ("train", "t10k"))
        train_labels, test_labels = (arrays[f"{part}-labels-idx1-ubyte"].astype(np.int64) for part in ("train", "t10k"))
        n = self.train_count
        return Dataset(
            self.name,
            LabelledImages(train[:n], train_labels[:n]),
            LabelledImages(train[n:], train_labels[n:]),
            LabelledImages(test, test_labels),
            classes=10,
        )

    def published(self) -> PublishedFiles:
        """Where its files are looked for, and how to download them."""
        return PublishedFiles(
            name=self.name,
            search=self._search,
            torchvision=self.torchvision,
            downloaded=self.torchvision,
            files="its four IDX files (plain or .gz)",
            debian=self.debian,
            package=self.package,
        )

    def _search(self, folder: Path) -> tuple[dict[str, Path], list[str]]:
        found: dict[str, Path] = {}
        for name in self.files:
            for layout in (folder, folder / self.torchvision / "raw"):
                for path in (layout / name, layout / f"{name}.gz"):
                    if is_file(path):
                        found.setdefault(name, path)
        return found, [name for name in self.files if name not in found]

    def _read(self, path: Path, expected: IdxFile) -> NDArray[np.uint8]:
        content, array = read_idx(path, expected.shape)
        digest = hashlib.sha256(content).hexdigest()
        if digest != expected.sha256:
            raise CorruptInput(
                f"{path}: its data has SHA-256 {digest[:16]}, {self.title}'s has {expected.sha256[:16]}; "
                "replace the file (other data goes into an .npz file)"
            )
        return array


class IdxSource(DataSource, ABC, frozen=True, extra="forbid"):
    """What the sources of the family share."""

    root: Path | None = Field(default=None, description="folder with the four IDX files; default: look for it")
    size: int = Field(default=28, ge=SMALLEST, le=LARGEST, description="pixels a side; 32 pads, others resize")

    @classmethod
    @abstractmethod
    def official(cls) -> IdxSet:
        """The data set."""

    def load(self) -> Dataset:
        """The three splits with their labels."""
        return self.official().load(self.root, self.size)

    @classmethod
    def published(cls) -> PublishedFiles:
        """The files of this data set."""
        return cls.official().published()


def _fit(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return pad(images, 2) if size == 32 else resize(images, size)
