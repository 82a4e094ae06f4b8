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
from trainables.data.folder_layout import FEWEST, Labels, Splits, read_layout
from trainables.data.images import Dataset, LabelledImages, Reading, Split
from trainables.data.picture import FORMATS, MODES, decode, strict_pillow
from trainables.data.source import LARGEST, SMALLEST, DataSource
from trainables.display import shown
from trainables.errors import InvalidInput
from trainables.paths import absolute, cache_folder
from trainables.variants import KeyOf

DECODING = 1
"""Version of `picture.decode`, part of every cached array's name: raise it when pixels come out differently."""

_THREADS = 8
_BATCH = 64  # files in memory at once

_T = TypeVar("_T")


class Folder(DataSource, frozen=True, extra="forbid"):
    """Image files of any sizes in a folder, a .zip or a .tar archive (plain, gz, bz2, xz).

    Each is turned upright, laid on white where it is transparent, cropped to its central square and resized
    with antialiasing (`picture.decode`). Sub-folders called train, val and test (or as usual, in any case) are the
    splits; a missing one is a tenth of train. Without them four fifths are `train`, a tenth `validation` and a tenth
    `test`. What is taken out is so by a fixed shuffle in the order of the paths. Classes are what a StyleGAN
    `dataset.json` says; without one, where every image is in a sub-folder (of its split) and there are two or more of
    these at the first level, they are the classes in the order of their names, unless they look like numbered parts
    of one set. The pixels are kept in the user's cache as one array, which is remade when a file's path, size or time
    changes.
    """

    name: Literal["folder"] = "folder"
    path: Path = Field(description="the folder, or a .zip or .tar archive")
    size: int = Field(ge=SMALLEST, le=LARGEST, description="pixels a side")
    mode: Annotated[str, KeyOf(MODES)] = Field(default="rgb", description="rgb or grey")
    labels: Labels = Field(
        default="auto",
        description="where classes come from; auto: a StyleGAN dataset.json if there is one, else sub-folders that "
        "look like classes; none: no classes",
    )
    splits: Splits = Field(
        default="auto",
        description="auto: sub-folders called train, val and test if there are such, else a fixed shuffle; folders: "
        "only these; shuffle: never these; all: every image in every split, for small sets: FIDs are then measured "
        "against the images that the GAN trains on",
    )

    def load(self) -> Dataset:
        """The three splits."""
        collection = open_collection(absolute(self.path))
        names = collection.names
        if len(names) < FEWEST:
            raise InvalidInput(_too_few(self.path, collection))
        layout = read_layout(self.path, collection, self.labels, self.splits)
        shape = (len(names), 3 if self.mode == "rgb" else 1, self.size, self.size)
        key = hashlib.sha256(f"{DECODING}/{collection.stamp()}/{shape}".encode()).hexdigest()[:32]
        cache = ArrayCache(cache_folder() / "images")
        images = cache.get(key, shape, lambda array: _fill(array, collection, self.size, self.mode))
        labels, shared = layout.classes.labels, self.splits == "all"

        def part(split: Split) -> LabelledImages:
            chosen = layout.splits[split]
            return LabelledImages(images[chosen], None if labels is None else labels[chosen])

        train = part(Split.TRAIN)
        validation, test = (train, train) if shared else (part(Split.VALIDATION), part(Split.TEST))
        classes = None if labels is None else len(layout.classes.names)
        reading = Reading(
            splits=layout.origins,
            labels=layout.classes.told,
            class_names=layout.classes.names,
            passed_over=collection.passed_over(layout.classes.used),
            formats=FORMATS,
            doubts=layout.doubts,
        )
        return Dataset(self.name, train, validation, test, classes=classes, reading=reading, shared=shared)


def _too_few(path: Path, collection: Collection) -> str:
    others = ", ".join(map(str, collection.passed_over())) or "nothing"
    return (
        f"{path}: {len(collection.names)} images; at least {FEWEST} are needed to split them: give more "
        f"({', '.join(FORMATS)} are read; passed over: {others})"
    )


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
