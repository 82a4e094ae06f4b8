"""The data that trials see: whole data sets as uint8 arrays in memory, which Ray can map without a copy."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trainables.data.passed_over import PassedOver
from trainables.errors import InvalidInput

CHANNELS = (1, 3)

_Scalar = TypeVar("_Scalar", np.uint8, np.int64)


class Split(StrEnum):
    """A part of a data set: trials train on `train`, studies rank on `validation`, `confirm` uses `test`."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images, uint8 N x C x H x W in 0..255, and their classes, int64 N (None where there are none).

    Both arrays are held read-only, as they are when Ray maps them from its object store.

    Raises:
        InvalidInput: when an array has another type, shape or memory layout, or there is no image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Check the arrays and keep read-only views of them."""
        object.__setattr__(self, "images", _read_only(_checked_images(self.images)))
        if self.labels is not None:
            object.__setattr__(self, "labels", _read_only(_checked_labels(self.labels, len(self.images))))

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)


@dataclass(frozen=True)
class Reading:
    """How a user's files became a data set.

    Attributes:
        splits: where the images of each split come from, in words.
        labels: where the classes come from, in words.
        class_names: in the order of their numbers; empty where there are none.
        passed_over: the files that are not read.
        formats: that are read, Pillow's names.
        doubts: what may be meant otherwise, and what to set then.
    """

    splits: Mapping[Split, str]
    labels: str
    class_names: tuple[str, ...]
    passed_over: tuple[PassedOver, ...]
    formats: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class DataFacts:
    """A data set's description without its pixels; a study's ledger keeps it.

    Attributes:
        shape: of an image, C x H x W.
        images: how many, by split.
        classes: how many, None where there are none.
        class_counts: `train` images of each class; empty where there are none.
        digest: `Dataset.digest`.
    """

    shape: tuple[int, int, int]
    images: dict[str, int]
    classes: int | None
    class_counts: tuple[int, ...]
    digest: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of images of one shape, all labelled 0..classes-1 or none of them (`classes` is None).

    Attributes:
        reading: how it was made of a user's files.
        shared: whether the three splits are the same images; None where the source has no such choice.

    Raises:
        InvalidInput: when the splits differ in shape or labels do not fit `classes`.
    """

    name: str
    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    classes: int | None = None
    reading: Reading | None = None
    shared: bool | None = None

    def __post_init__(self) -> None:
        """Check that the splits fit together."""
        for split in Split:
            part = self.split(split)
            shape, expected = part.images.shape[1:], self.train.images.shape[1:]
            if shape != expected:
                raise InvalidInput(
                    f"{self.name}: {split} images are {shape}, train images {expected}: give all one shape"
                )
            if (part.labels is None) != (self.classes is None):
                raise InvalidInput(
                    f"{self.name}: {split} labels {'missing' if part.labels is None else 'given'} while "
                    f"classes={self.classes}: label every split, or none"
                )
            if part.labels is not None and self.classes is not None and part.labels.max() >= self.classes:
                raise InvalidInput(
                    f"{self.name}: label {part.labels.max()} in {split}: labels are 0 to {self.classes - 1}"
                )

    def split(self, split: Split) -> LabelledImages:
        """The images of one split."""
        parts = {Split.TRAIN: self.train, Split.VALIDATION: self.validation, Split.TEST: self.test}
        return parts[split]

    def class_counts(self, split: Split) -> tuple[int, ...]:
        """How many images of each class a split has; empty for data without labels."""
        labels = self.split(split).labels
        if labels is None or self.classes is None:
            return ()
        return tuple(np.bincount(labels, minlength=self.classes).tolist())

    @property
    def facts(self) -> DataFacts:
        """Its description."""
        images = {str(split): len(self.split(split)) for split in Split}
        shape = self.channels, self.size, self.size
        return DataFacts(shape, images, self.classes, self.class_counts(Split.TRAIN), self.digest)

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (red, green, blue)."""
        return int(self.train.images.shape[1])

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return int(self.train.images.shape[2])

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the shapes and bytes of all arrays: the same for the same data, wherever it comes from."""
        state = hashlib.sha256()
        for split in Split:
            part = self.split(split)
            for array in (part.images, part.labels):
                if array is not None:
                    state.update(f"{split}/{array.dtype.str}/{array.shape};".encode())
                    state.update(array.data.cast("B"))
        return state.hexdigest()


def _checked_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if images.dtype != np.uint8:
        raise InvalidInput(f"images of dtype {images.dtype}: must be uint8 in 0..255; scale and round them")
    if images.ndim != 4 or images.shape[1] not in CHANNELS or images.shape[2] != images.shape[3]:
        raise InvalidInput(
            f"images of shape {images.shape}: must be N x C x H x W with C 1 or 3 and H = W; reorder or crop"
        )
    if images.size == 0:
        raise InvalidInput(f"images of shape {images.shape}: there must be at least one image of one pixel")
    if not images.flags.c_contiguous:
        raise InvalidInput(f"images with strides {images.strides}: must be contiguous; use numpy.ascontiguousarray")
    return images


def _checked_labels(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    if labels.dtype != np.int64 or labels.shape != (count,) or not labels.flags.c_contiguous:
        raise InvalidInput(
            f"labels of dtype {labels.dtype}, shape {labels.shape}: must be contiguous int64, one for "
            f"each of the {count} images"
        )
    if labels.min() < 0:
        raise InvalidInput(f"label {labels.min()}: labels must be 0 or more; renumber them from 0")
    return labels


def _read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    view = array.view()
    view.flags.writeable = False
    return view
