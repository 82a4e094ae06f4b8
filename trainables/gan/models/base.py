"""What every architecture offers to a trial."""

from typing import ClassVar, NamedTuple

import torch
from torch import nn

from trainables.gan.models.normalisation import Normalisation
from trainables.variants import Variant


class ImageShape(NamedTuple):
    """Square images: `channels` x `size` x `size`."""

    channels: int
    size: int

    @property
    def pixels(self) -> int:
        """Numbers per image."""
        return self.channels * self.size * self.size


class Model(Variant):
    """Base: the knobs of an architecture; builds G and D and sets their initial weights."""

    name: str
    normalisations: ClassVar[tuple[str, ...]] = ("none", "batch", "layer", "spectral")
    """Normalisations of D that make sense here."""

    def check_shape(self, shape: ImageShape) -> None:
        """Raise ValueError with the rule if this architecture cannot make images of `shape`."""

    def generator(self, latent: int, shape: ImageShape) -> nn.Module:
        """Return a module (N, latent) -> (N, C, H, W) in [-1, 1]."""
        raise NotImplementedError

    def trunk(self, shape: ImageShape, normalisation: Normalisation) -> nn.Module:
        """Return D without its head: a module (N, C, H, W) -> (N, features(shape))."""
        raise NotImplementedError

    def features(self, shape: ImageShape) -> int:
        """Return how many numbers per image D's trunk gives to its head."""
        raise NotImplementedError

    def initialise(self, module: nn.Module, rng: torch.Generator) -> None:
        """Set every parameter of `module` (on the CPU; G, or D with its head) from `rng` alone."""
        raise NotImplementedError
