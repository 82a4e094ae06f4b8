"""What the networks are fed: batches of real images, and latents with the classes asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from trainables.data import Dataset
from trainables.evaluation.config import Evaluation
from trainables.gan.config import TrialConfig
from trainables.images import to_unit_range
from trainables.precision import PRECISIONS
from trainables.tensors import as_tensor
from trainables.world import SINGLE, World


@dataclass(frozen=True)
class Batches:
    """Draws batches from explicit generators.

    Attributes:
        config: the trial.
        images: the training images on the device, uint8 (N, C, H, W).
        labels: their classes, int64 (N,), if the trial uses them.
        classes: their number, 0 for data without labels.
    """

    config: TrialConfig
    images: Tensor
    labels: Tensor | None
    classes: int

    @classmethod
    def of(cls, config: TrialConfig, dataset: Dataset, device: torch.device | str) -> Self:
        """Return the batches of `dataset`'s training images, which are copied to the device."""
        images, labels = dataset.train.images, dataset.train.labels
        used = as_tensor(labels).to(device) if config.uses_labels and labels is not None else None
        return cls(config, as_tensor(images).to(device), used, dataset.classes or 0)

    def reals(self, count: int, rng: torch.Generator, world: World = SINGLE) -> tuple[Tensor, Tensor | None]:
        """Return random training images in [-1, 1], (count, C, H, W), and their classes (count,).

        With `world`, this process's part of them.
        """
        indices = world.shard(self._indices(count, rng))
        labels = None if self.labels is None else self.labels.index_select(0, indices)
        return to_unit_range(self.images.index_select(0, indices)), labels

    def inputs(self, count: int, rng: torch.Generator, world: World = SINGLE) -> tuple[Tensor, Tensor | None]:
        """Return inputs of G, (count, inputs), and the classes they ask for (count,), as frequent as in the data.

        With `world`, this process's part of them.
        """
        labels = None if self.labels is None else self.labels.index_select(0, self._indices(count, rng))
        latents = world.shard(self.config.latent.sample(count, rng, labels))
        labels = None if labels is None else world.shard(labels)
        return self.config.conditioning.generator_input(latents, labels, self.classes), labels

    @torch.no_grad()
    def generated(
        self, network: nn.Module, count: int, evaluation: Evaluation, rng: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield a generator network's images, float32 in [-1, 1], and their classes: `count` in all.

        `evaluation` sets the batch size and the precision.
        """
        precision, size = PRECISIONS[evaluation.precision](self.images.device.type), evaluation.batch
        for start in range(0, count, size):
            inputs, labels = self.inputs(min(size, count - start), rng)
            with precision():
                images: Tensor = network(inputs)
            yield images.float(), labels

    def _indices(self, count: int, rng: torch.Generator) -> Tensor:
        return torch.randint(len(self.images), (count,), generator=rng, device=self.images.device)
