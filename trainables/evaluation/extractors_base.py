"""What an extractor is: a row's configuration, its prepared state, and the built one that maps images to features."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.images import Dataset
from trainables.errors import InvalidInput
from trainables.tensors import weights_digest
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
        """Its features to float32 logits N x classes of its own classes, without gradient."""


@dataclass(frozen=True, eq=False)
class ExtractorState:
    """A prepared extractor as plain values: what `build_extractor` needs, picklable without torch.

    `input_shape` is C x H x W of the images it takes; of a larger image it uses the central `crop` pixels.
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
        """Refuse at once what `prepare` would refuse, as far as that is known without work.

        Raises:
            InvalidInput: naming what is missing.
        """

    @abstractmethod
    def prepare(self, dataset: Dataset) -> ExtractorState:
        """The extractor for this data set; may train or read a file, so call it once per study."""

    def state(
        self, dataset: Dataset, arrays: dict[str, NDArray[Any]], crop: int, test_accuracy: float | None
    ) -> ExtractorState:
        """The state of these weights for images as `dataset` has them."""
        return ExtractorState(
            name=self.name,
            digest=weights_digest(arrays),
            dimension=self.dimension,
            input_shape=(dataset.channels, dataset.size, dataset.size),
            crop=crop,
            arrays=arrays,
            test_accuracy=test_accuracy,
        )

    @staticmethod
    @abstractmethod
    def build(state: ExtractorState, device: torch.device) -> Extractor:
        """The extractor of a state that `prepare` gave."""


class Built:
    """What built extractors share: their state's facts, and the check of their input."""

    def __init__(self, state: ExtractorState) -> None:
        """Take the facts of the state."""
        self.name = state.name
        self.digest = state.digest
        self.dimension = state.dimension
        self._shape = state.input_shape

    def check_input(self, images: Tensor) -> None:
        """Refuse images of another type or shape than the state's.

        Raises:
            InvalidInput: saying what they are, and what it takes.
        """
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != self._shape:
            raise InvalidInput(
                f"images of {images.dtype}, shape {tuple(images.shape)}: the extractor takes uint8 N x "
                + " x ".join(map(str, self._shape))
            )
