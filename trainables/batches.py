"""What the networks are fed: batches of real images, and latents with the classes that they are to have."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.config import TrialConfig
from trainables.images import to_unit_range


@dataclass(frozen=True)
class Batches:
    """Draws batches from explicit generators.

    Attributes:
        config: the trial.
        images: the training images on the device, uint8 (N, C, H, W).
        labels: their classes, int64 (N,), if the trial uses them.
        classes: how many there are, 0 for data without labels.
    """

    config: TrialConfig
    images: Tensor
    labels: Tensor | None
    classes: int

    def reals(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return random training images in [-1, 1], (count, C, H, W), and their classes (count,)."""
        indices = self._indices(count, rng)
        labels = None if self.labels is None else self.labels.index_select(0, indices)
        return to_unit_range(self.images.index_select(0, indices)), labels

    def inputs(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return inputs of G, (count, inputs), and the classes they ask for (count,), as frequent as in the data."""
        labels = None if self.labels is None else self.labels.index_select(0, self._indices(count, rng))
        latents = self.config.latent.sample(count, rng, labels)
        return self.config.conditioning.generator_input(latents, labels, self.classes), labels

    def _indices(self, count: int, rng: torch.Generator) -> Tensor:
        return torch.randint(len(self.images), (count,), generator=rng, device=self.images.device)
