"""What an extractor is: a row's configuration, its prepared state, and the built one that maps images to features."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.images import Dataset
from trainables.variants import Variant


class Extractor(Protocol):
    """Maps images to features."""

    @property
    def name(self) -> str:
        """Its key in `EXTRACTORS`."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of its weights."""

    @property
    def dimension(self) -> int:
        """The number of features."""

    def __call__(self, images: Tensor) -> Tensor:
        """Uint8 N x C x H x W on the extractor's device to float32 N x dimension, without gradient."""

    def logits(self, features: Tensor) -> Tensor:
        """Features that it gave to float32 logits N x classes of its own classes, without gradient."""


@dataclass(frozen=True, eq=False)
class ExtractorState:
    """A prepared extractor as plain values: what `build_extractor` needs, picklable without torch.

    `input_shape` is C x H x W of the images it takes; from a larger image it uses the central `crop` pixels.
    `test_accuracy` is None where the network was not made for this data.
    """

    name: str
    digest: str
    dimension: int
    input_shape: tuple[int, int, int]
    crop: int
    arrays: dict[str, NDArray[Any]]
    test_accuracy: float | None


class ExtractorConfig(Variant, ABC):
    """Says which extractor a study uses."""

    name: str
    dimension: ClassVar[int]
    """The number of features."""

    @abstractmethod
    def check(self, dataset: Dataset) -> None:
        """Refuse at once what `prepare` would refuse, as far as it can be known without work.

        Raises:
            InvalidInput: naming what is missing.
        """

    @abstractmethod
    def prepare(self, dataset: Dataset) -> ExtractorState:
        """The extractor for this data set; may train or read a file, so once per study."""

    @staticmethod
    @abstractmethod
    def build(state: ExtractorState, device: torch.device) -> Extractor:
        """The extractor of a state that `prepare` gave."""


def weights_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 (hex) of named arrays: their names, types, shapes and bytes, in the order of the names."""
    state = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        state.update(f"{name}/{array.dtype.str}/{array.shape};".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()
