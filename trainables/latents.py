"""Distributions of the generator's input. A new one is one class and one row in `LATENTS`."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from trainables.variants import Variant


class Latent(Variant):
    """Base: `dimension` numbers per image."""

    name: str
    dimension: int = Field(default=64, ge=1, le=4096)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw (count, dimension) float32 on the generator's device."""
        raise NotImplementedError


class NormalLatent(Latent):
    """Independent N(0, 1)."""

    name: Literal["normal"] = "normal"

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw from N(0, 1)."""
        return torch.randn(count, self.dimension, generator=generator, device=generator.device)


class UniformLatent(Latent):
    """Independent U(-1, 1), as in Radford et al. 2016."""

    name: Literal["uniform"] = "uniform"

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw from U(-1, 1)."""
        return torch.rand(count, self.dimension, generator=generator, device=generator.device) * 2 - 1


LATENTS: dict[str, type[Latent]] = {"normal": NormalLatent, "uniform": UniformLatent}
