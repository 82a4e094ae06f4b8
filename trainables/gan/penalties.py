"""Penalties and constraints on the discriminator, an axis of their own beside the losses.

A penalty may add a term to D's loss (`loss`) or act on D's weights after its step (`after_step`).
A new penalty is one class and one row in `PENALTIES`. Terms are computed in float32 (never under autocast):
second derivatives of bf16 are mostly rounding. Where a batch is split over processes (`DiscriminatorStep.world`), draws
and statistics are of the whole batch, and a term is a mean over this process's part.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.variants import Variant
from trainables.world import SINGLE, World


@dataclass(frozen=True)
class DiscriminatorStep:
    """What a penalty may look at in one step of D.

    Attributes:
        discriminator: images (N, C, H, W) and their labels (N,), None where D uses none, to logits (N,).
        weights: D's trained parameters.
        real: real images in [-1, 1], (N, C, H, W), as D sees them (augmented).
        fake: generated images, same shape, detached.
        rng: source of all randomness.
        step: number of this step of D, from 0.
        real_labels: classes of `real`, (N,).
        fake_labels: classes of `fake`, (N,).
        world: the processes that share the batch.
    """

    discriminator: Callable[[Tensor, Tensor | None], Tensor]
    weights: Iterable[Tensor]
    real: Tensor
    fake: Tensor
    rng: torch.Generator
    step: int = 0
    real_labels: Tensor | None = None
    fake_labels: Tensor | None = None
    world: World = SINGLE


class Penalty(Variant):
    """Base: neither a term nor a constraint."""

    name: str
    per_sample: ClassVar[bool] = False
    """The term is defined sample by sample, so D must not mix samples (no batch norm)."""
    limits_weights: ClassVar[bool] = False
    """The size of the weights is limited, so D must not divide it out again (no spectral norm)."""

    def loss(self, at: DiscriminatorStep) -> Tensor | None:
        """Return a scalar to add to D's loss, or None."""
        return None

    def phase(self, step: int) -> int:
        """Return the phase of D's step number `step` (from 0): `loss` does the same in all steps of one phase."""
        return 0

    def after_step(self, discriminator: nn.Module) -> None:
        """Act on D's weights after its optimiser's step."""


class NoPenalty(Penalty):
    """The plain loss."""

    name: Literal["none"] = "none"


class GradientPenalty(Penalty):
    """WGAN-GP: weight * E(||grad D(x^)||_2 - 1)^2 at x^ = x + a (G(z) - x), a ~ U(0, 1) per sample.

    The norm is per sample over all pixels; a conditional D is given the real image's label.
    Gulrajani et al. 2017, eq. 3.
    """

    name: Literal["gradient_penalty"] = "gradient_penalty"
    weight: float = Field(gt=0)
    per_sample: ClassVar[bool] = True

    def loss(self, at: DiscriminatorStep) -> Tensor:
        """Return the penalty on a random point between each real and generated image."""
        a = _uniform(at, (len(at.real), 1, 1, 1))
        return self.weight * _distance_of_norm_from_one(at, torch.lerp(at.real, at.fake, a))


class Dragan(Penalty):
    """DRAGAN: weight * E(||grad D(x + d)||_2 - 1)^2 around real images, d = 0.5 std u, u ~ U(0, 1) per pixel.

    std is over all pixels of the batch (the mean square, not the unbiased one). Kodali et al. 2017, algorithm 1
    and section 2.5 (k = 1), with d of the authors' code (which goes only a random part of the way to x + d).
    """

    name: Literal["dragan"] = "dragan"
    weight: float = Field(gt=0)
    per_sample: ClassVar[bool] = True

    def loss(self, at: DiscriminatorStep) -> Tensor:
        """Return the penalty on a perturbed copy of each real image."""
        far = 0.5 * at.world.std(at.real) * _uniform(at, at.real.shape)
        return self.weight * _distance_of_norm_from_one(at, at.real + far)


class _ZeroCentred(Penalty):
    """weight / 2 * E||grad D||_2^2, at every `interval`-th step of D with `interval` times the weight.

    Mescheder et al. 2018, eq. 9 and 10; lazy: Karras et al. 2020 (StyleGAN2), section 3.1.
    """

    weight: float = Field(gt=0)
    interval: int = Field(default=1, ge=1, le=1000, description="steps of D from one penalty to the next")
    per_sample: ClassVar[bool] = True

    def _images(self, at: DiscriminatorStep) -> tuple[Tensor, Tensor | None]:
        raise NotImplementedError

    def phase(self, step: int) -> int:
        """0 where the penalty is due, 1 at the steps between."""
        return 1 if step % self.interval else 0

    def loss(self, at: DiscriminatorStep) -> Tensor | None:
        """Return the penalty, or None at the steps between."""
        if self.phase(at.step):
            return None
        gradient = _gradient(at, *self._images(at))
        penalty: Tensor = self.weight * self.interval / 2 * gradient.square().sum(1).mean()
        return penalty


class R1(_ZeroCentred):
    """weight / 2 * E||grad D(x)||_2^2 on real images. Mescheder et al. 2018, eq. 9."""

    name: Literal["r1"] = "r1"

    def _images(self, at: DiscriminatorStep) -> tuple[Tensor, Tensor | None]:
        return at.real, at.real_labels


class R2(_ZeroCentred):
    """weight / 2 * E||grad D(G(z))||_2^2 on generated images. Mescheder et al. 2018, eq. 10."""

    name: Literal["r2"] = "r2"

    def _images(self, at: DiscriminatorStep) -> tuple[Tensor, Tensor | None]:
        return at.fake, at.fake_labels


class L2(Penalty):
    """weight * the mean over D's layers of half the sum of squared weights, biases and gains left out.

    Kurach et al. 2019, as in their code (compare_gan, `l2_penalty`), so that their weights can be compared.
    """

    name: Literal["l2"] = "l2"
    weight: float = Field(gt=0)
    limits_weights: ClassVar[bool] = True

    def loss(self, at: DiscriminatorStep) -> Tensor:
        """Return the penalty."""
        halves = [w.square().sum() / 2 for w in at.weights if w.ndim > 1]
        return self.weight * torch.stack(halves).mean()


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
    "dragan": Dragan,
    "r1": R1,
    "r2": R2,
    "l2": L2,
    "weight_clip": WeightClip,
}


def _gradient(at: DiscriminatorStep, images: Tensor, labels: Tensor | None) -> Tensor:
    """The derivative of each image's logit by its pixels, (N, pixels), that can be differentiated again."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(at.discriminator(images, labels).sum(), images, create_graph=True)
    return gradient.flatten(1)


def _uniform(at: DiscriminatorStep, shape: tuple[int, ...]) -> Tensor:
    """Return numbers from U(0, 1), as the real images are."""
    draw = partial(torch.rand, generator=at.rng, device=at.real.device, dtype=at.real.dtype)
    return at.world.draw_shard(draw, shape)


def _distance_of_norm_from_one(at: DiscriminatorStep, images: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(_gradient(at, images, at.real_labels), dim=1)
    return (norm - 1).square().mean()
