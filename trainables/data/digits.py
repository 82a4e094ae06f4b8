"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8, part of the library, so always at hand."""

from typing import Literal

import numpy as np
from pydantic import Field

from trainables.data.images import Dataset, LabelledImages
from trainables.data.source import LARGEST, SMALLEST, DataSource
from trainables.data.transform import resize, split_indices

_LEVELS = 16  # the set's pixels are counts 0..16


class Digits(DataSource, frozen=True, extra="forbid"):
    """The digits scaled to 0..255, shuffled once for all: 1,437 train, 180 validation, 180 test images."""

    name: Literal["digits"] = "digits"
    size: int = Field(default=8, ge=SMALLEST, le=LARGEST, description="pixels a side; other than 8 is resized")

    def load(self) -> Dataset:
        """The data set, from the installed library."""
        from sklearn.datasets import load_digits  # takes 0.5 s: not for those who only read configurations

        bunch = load_digits()
        counts = np.asarray(bunch.images)
        labels = np.asarray(bunch.target, np.int64)
        images = resize(np.rint(counts * (255 / _LEVELS)).astype(np.uint8)[:, None], self.size)
        train, validation, test = (LabelledImages(images[i], labels[i]) for i in split_indices(len(images), 2))
        return Dataset(self.name, train, validation, test, classes=10)
