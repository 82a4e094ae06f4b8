"""Anyone's images, from a folder or an archive of image files."""

import hashlib
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from trainables.data.array_cache import ArrayCache
from trainables.data.collection import Collection, open_collection
from trainables.data.images import Dataset, LabelledImages
from trainables.data.picture import MODES, decode, strict_pillow
from trainables.data.source import LARGEST, SMALLEST, DataSource
from trainables.data.transform import split_indices
from trainables.display import shown
from trainables.errors import InvalidInput
from trainables.paths import absolute, cache_folder
from trainables.variants import KeyOf

DECODING = 1
"""Version of `picture.decode`, part of every cached array's name: raise it when pixels come out differently."""

_FEWEST = 10  # what `split_indices` needs
_THREADS = 8
_BATCH = 64  # files in memory at once

_T = TypeVar("_T")


class Folder(DataSource, frozen=True, extra="forbid"):
    """Image files of any sizes in a folder, a .zip or a .tar archive (plain, gz, bz2, xz).

    Each is turned upright, laid on white where it is transparent, cropped to its central square and resized
    with antialiasing (`picture.decode`). In the order of their paths, four fifths are `train`, a tenth
    `validation` and a tenth `test` by a fixed shuffle. When every image is in a sub-folder, and there are two
    or more of these at the first level, they are the classes in the order of their names; `labels: none` ignores
    them. The pixels are kept in the user's cache as one array, which is remade when a file's path, size or time
    changes.
    """

    name: Literal["folder"] = "folder"
    path: Path = Field(description="the folder, or a .zip or .tar archive")
    size: int = Field(ge=SMALLEST, le=LARGEST, description="pixels a side")
    mode: Annotated[str, KeyOf(MODES)] = Field(default="rgb", description="rgb or grey")
    labels: Literal["auto", "none"] = Field(default="auto", description="auto: sub-folders are classes")

    def load(self) -> Dataset:
        """The three splits."""
        collection = open_collection(absolute(self.path))
        names = collection.names
        if len(names) < _FEWEST:
            raise InvalidInput(
                f"{self.path}: {len(names)} images; at least {_FEWEST} are needed to split them: give more"
            )
        labels = _labels(names) if self.labels == "auto" else None
        shape = (len(names), 3 if self.mode == "rgb" else 1, self.size, self.size)
        key = hashlib.sha256(f"{DECODING}/{collection.stamp()}/{shape}".encode()).hexdigest()[:32]
        cache = ArrayCache(cache_folder() / "images")
        images = cache.get(key, shape, lambda array: _fill(array, collection, self.size, self.mode))
        parts = [
            LabelledImages(images[chosen], None if labels is None else labels[chosen])
            for chosen in split_indices(len(images), 2)
        ]
        train, validation, test = parts
        classes = None if labels is None else self._classes(labels, train)
        return Dataset(self.name, train, validation, test, classes=classes)

    def _classes(self, labels: NDArray[np.int64], train: LabelledImages) -> int:
        classes = int(labels.max()) + 1
        absent = np.setdiff1d(labels, np.asarray(train.labels))
        if len(absent):
            raise InvalidInput(
                f"{self.path}: no image of sub-folder {int(absent[0]) + 1} of {classes} fell to the train split; give "
                "it more images, or set `labels: none`"
            )
        return classes


def _labels(names: list[str]) -> NDArray[np.int64] | None:
    """The class of each file: the number of its first-level folder; None if a file has none, or all share one."""
    folders = [name.partition("/")[0] if "/" in name else None for name in names]
    classes = sorted({folder for folder in folders if folder is not None})
    if None in folders or len(classes) < 2:
        return None
    numbers = {folder: number for number, folder in enumerate(classes)}
    return np.asarray([numbers[str(folder)] for folder in folders], np.int64)


def _fill(array: NDArray[np.uint8], collection: Collection, size: int, mode: str) -> None:
    """Decode every file into its row; stop at the first damaged one."""
    rows = {name: row for row, name in enumerate(collection.names)}

    def pixels(file: tuple[str, bytes]) -> tuple[str, NDArray[np.uint8]]:
        name, content = file
        return name, decode(content, collection.full_name(name), size, mode)

    with strict_pillow(), ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:
        decoded = (made for some in _batches(collection.contents(), _BATCH) for made in pool.map(pixels, some))
        for name, made in _with_progress(decoded, len(rows), f"reading {collection.path}"):
            array[rows[name]] = made


def _batches(items: Iterable[_T], count: int) -> Iterator[list[_T]]:
    left = iter(items)
    while some := list(itertools.islice(left, count)):
        yield some


def _with_progress(items: Iterable[_T], count: int, what: str) -> Iterable[_T]:
    """The same items, with a progress bar on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        return items
    return track(items, escape(shown(what)), total=count, console=Console(stderr=True), transient=True)
