"""Penalties and constraints on the discriminator, an axis of their own beside the losses.

A penalty may add a term to D's loss (`loss`) or act on D's weights after its step (`after_step`).
A new penalty is one class and one row in `PENALTIES`.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.variants import Variant

Discriminator = Callable[[Tensor], Tensor]


class Penalty(Variant):
    """Base: neither a term nor a constraint."""

    name: str
    per_sample: ClassVar[bool] = False
    """The term is defined sample by sample, so D must not mix samples (no batch norm)."""
    limits_weights: ClassVar[bool] = False
    """The weights themselves are constrained, so D must not be reparametrised (no spectral norm)."""

    def loss(
        self, discriminator: Discriminator, real: Tensor, fake: Tensor, generator: torch.Generator
    ) -> Tensor | None:
        """Return a scalar to add to D's loss, or None.

        Args:
            discriminator: images (N, C, H, W) to logits (N,).
            real: real images in [-1, 1], (N, C, H, W).
            fake: generated images, same shape, detached.
            generator: source of all randomness used here.
        """
        return None

    def after_step(self, discriminator: nn.Module) -> None:
        """Act on D's weights after its optimiser's step."""


class NoPenalty(Penalty):
    """The plain loss."""

    name: Literal["none"] = "none"


class GradientPenalty(Penalty):
    """WGAN-GP: weight * E(||grad D(x^)||_2 - 1)^2 at x^ = x + a (G(z) - x), a ~ U(0, 1) per sample.

    The norm is per sample over all pixels. Gulrajani et al. 2017, eq. 3.
    """

    name: Literal["gradient_penalty"] = "gradient_penalty"
    weight: float = Field(gt=0)
    per_sample: ClassVar[bool] = True

    def loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
        """Return the penalty on a random point between each real and generated image."""
        a = torch.rand(len(real), 1, 1, 1, generator=generator, device=real.device, dtype=real.dtype)
        between = torch.lerp(real, fake, a).requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
        norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        penalty: Tensor = self.weight * (norm - 1).square().mean()
        return penalty


class WeightClip(Penalty):
    """Clip every parameter of D to [-limit, limit] after its step. Arjovsky et al. 2017, algorithm 1."""

    name: Literal["weight_clip"] = "weight_clip"
    limit: float = Field(gt=0)
    limits_weights: ClassVar[bool] = True

    @torch.no_grad()
    def after_step(self, discriminator: nn.Module) -> None:
        """Clip in place."""
        for parameter in discriminator.parameters():
            parameter.clamp_(-self.limit, self.limit)


PENALTIES: dict[str, type[Penalty]] = {
    "none": NoPenalty,
    "gradient_penalty": GradientPenalty,
    "weight_clip": WeightClip,
}
