"""Anyone's images, from one NumPy .npz file."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.data.images import CHANNELS, Dataset, LabelledImages
from trainables.data.source import LARGEST, SMALLEST, DataSource
from trainables.data.transform import resize, split_indices
from trainables.errors import CorruptInput, DataNotFound, GanStudyError, InvalidInput, reason_of
from trainables.paths import absolute, is_file

_PREFIXES = ("", "validation_", "test_")
_KEYS = tuple(f"{prefix}{what}" for prefix in _PREFIXES for what in ("images", "labels"))

_Images = NDArray[np.uint8]
_Labels = NDArray[np.int64] | None


class Npz(DataSource, frozen=True, extra="forbid"):
    """Images from an .npz file, read without pickle.

    Its arrays: `images` (uint8; N x H x W, N x H x W x C or N x C x H x W, C 1 or 3, H = W) and, all
    optional, `labels` (integers 0..K-1), `validation_images`, `validation_labels`, `test_images`,
    `test_labels`. For each of validation and test that is not in the file a tenth of `images` is set apart
    by a fixed shuffle.
    """

    name: Literal["npz"] = "npz"
    path: Path = Field(description="the .npz file")
    size: int | None = Field(default=None, ge=SMALLEST, le=LARGEST, description="pixels a side; default: as they are")
    splits: Literal["auto", "all"] = Field(
        default="auto",
        description="auto: as the file has them, else a fixed shuffle; all: every image in every split, for small "
        "sets: FIDs are then measured against the images that the GAN trains on",
    )

    def load(self) -> Dataset:
        """The three splits."""
        arrays = _read(absolute(self.path))
        given = {p: _part(self.path, arrays, p, self.size) for p in _PREFIXES if f"{p}images" in arrays}
        images, labels = given[""]
        if self.splits == "all":
            return self._shared(list(given.values()))
        missing = [prefix for prefix in _PREFIXES if prefix not in given]
        parts = dict(given)
        if missing:
            for prefix, chosen in zip(["", *missing], split_indices(len(images), len(missing)), strict=True):
                parts[prefix] = (images[chosen], None if labels is None else labels[chosen])
        train, validation, test = (LabelledImages(*parts[prefix]) for prefix in _PREFIXES)
        return Dataset(
            self.name,
            train,
            validation,
            test,
            classes=None if labels is None else _classes(self.path, parts[""][1]),
            shared=False,
        )

    def _shared(self, parts: list[tuple[_Images, _Labels]]) -> Dataset:
        """Every image of the file in each of the splits."""
        known = [labels for _, labels in parts if labels is not None]
        if known and len(known) < len(parts):
            raise InvalidInput(f"{self.path}: some splits have labels and some have none; label every split, or none")
        if len({images.shape[1:] for images, _ in parts}) > 1:
            raise InvalidInput(f"{self.path}: the splits' images differ in shape; give all one shape")
        labels = np.concatenate(known) if known else None
        whole = LabelledImages(np.concatenate([images for images, _ in parts]), labels)
        classes = None if labels is None else _classes(self.path, labels)
        return Dataset(self.name, whole, whole, whole, classes=classes, shared=True)


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    if not is_file(path):
        raise DataNotFound(f"npz: there is no file {path}; correct `data.path`")
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise InvalidInput(f"{path}: one array, not an .npz file; write it with numpy.savez(images=...)")
        with loaded as file:
            if "images" not in file or not set(file.files) <= set(_KEYS):
                raise InvalidInput(
                    f"{path}: has arrays {sorted(file.files)}; needs 'images' and may have "
                    f"{', '.join(_KEYS[1:])}: rename or remove the others"
                )
            for prefix in _PREFIXES:
                if f"{prefix}labels" in file and f"{prefix}images" not in file:
                    raise InvalidInput(f"{path}: has '{prefix}labels' without '{prefix}images'; give both, or neither")
            return {key: _read_array(path, file, key) for key in file.files}
    except GanStudyError:
        raise
    except Exception as error:  # zipfile, its decompressors and numpy's parser of headers: each has errors of its own
        raise CorruptInput(
            f"{path}: not a readable .npz file ({reason_of(error, most=200)}); write it again"
        ) from error


def _read_array(path: Path, file: "np.lib.npyio.NpzFile", key: str) -> NDArray[np.generic]:
    try:
        array: NDArray[np.generic] = file[key]
    except ValueError as error:  # numpy's refusal to unpickle
        raise InvalidInput(f"{path}: '{key}' cannot be read ({error}); it must be a plain array of numbers") from error
    return array


def _part(path: Path, arrays: dict[str, NDArray[np.generic]], prefix: str, size: int | None) -> tuple[_Images, _Labels]:
    images = _checked_images(path, f"{prefix}images", arrays[f"{prefix}images"])
    labels = arrays.get(f"{prefix}labels")
    return (
        images if size is None else resize(images, size),
        None if labels is None else _checked_labels(path, f"{prefix}labels", labels, len(images)),
    )


def _checked_images(path: Path, key: str, images: NDArray[np.generic]) -> _Images:
    if images.dtype != np.uint8:
        raise InvalidInput(f"{path}: '{key}' is {images.dtype}; must be uint8 in 0..255: scale, round and convert it")
    pixels = images.view(np.uint8)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.ndim == 4 and pixels.shape[1] not in CHANNELS:
        pixels = pixels.transpose(0, 3, 1, 2)
    if pixels.ndim != 4 or pixels.shape[1] not in CHANNELS or pixels.shape[2] != pixels.shape[3]:
        raise InvalidInput(
            f"{path}: '{key}' has shape {images.shape}; must be N x H x W, N x H x W x C or N x C x H x W "
            "with C 1 or 3 and H = W: crop or reorder it"
        )
    if len(pixels) == 0 or not SMALLEST <= pixels.shape[2] <= LARGEST:
        raise InvalidInput(
            f"{path}: '{key}' has shape {images.shape}; needs at least one image of {SMALLEST} to {LARGEST} "
            "pixels a side: resize it"
        )
    if pixels.max() <= 1:
        raise InvalidInput(f"{path}: '{key}' goes from 0 to {pixels.max()}; must use 0..255: multiply it by 255")
    return np.ascontiguousarray(pixels)


def _checked_labels(path: Path, key: str, labels: NDArray[np.generic], count: int) -> NDArray[np.int64]:
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (count,):
        raise InvalidInput(
            f"{path}: '{key}' is {labels.dtype} of shape {labels.shape}; must be {count} integers, one for each image"
        )
    numbers = np.ascontiguousarray(labels.astype(np.int64))
    if numbers.min() < 0:
        raise InvalidInput(f"{path}: '{key}' has {numbers.min()}; classes are numbered from 0: renumber them")
    return numbers


def _classes(path: Path, labels: _Labels) -> int:
    """The number of classes in the train split, each of which must occur."""
    assert labels is not None
    present = np.unique(labels)
    classes = int(present[-1]) + 1
    if len(present) != classes:
        absent = next(i for i in range(classes) if i not in present)
        raise InvalidInput(f"{path}: class {absent} of 0..{classes - 1} has no train image; renumber the labels")
    return classes
