"""What a metric is: made once for a study's real images, then called on each set of generated ones."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Looks:
    """What an extractor sees in N images.

    Attributes:
        features: float32 N x dimension.
        logits: float32 N x classes, of the extractor's own classes.
    """

    features: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.features)


class Knobs(Protocol):
    """What the metrics read from an `Evaluation`."""

    @property
    def kid_subsets(self) -> int:
        """Number of subsets."""

    @property
    def kid_subset_size(self) -> int:
        """Images per subset, both real and generated."""

    @property
    def prdc_images(self) -> int:
        """Images, both real and generated."""


class Metric(ABC):
    """A family of numbers about generated images. Never touches a global random generator.

    The same features give the same numbers. Computed on the device of the features.
    """

    keys: ClassVar[tuple[str, ...]]
    """Names of the numbers."""

    knobs: ClassVar[tuple[str, ...]] = ()
    """Names of the fields of `Evaluation` that change the numbers."""

    @abstractmethod
    def __init__(self, real: Looks, knobs: Knobs) -> None:
        """Compute what is needed from the real images."""

    @abstractmethod
    def __call__(self, fake: Looks) -> dict[str, float]:
        """Measure generated images: a number for each of `keys`."""
