"""Distributions of the generator's input. A new one is one class and one row in `LATENTS`."""

from functools import cache
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from trainables.variants import Variant


class Latent(Variant):
    """Base: `dimension` numbers per image, to which N(0, noise_std^2) may be added."""

    name: str
    dimension: int = Field(default=64, ge=1, le=4096)
    noise_std: float = Field(default=0, ge=0, le=100, description="standard deviation of the noise added; 0 for none")
    uses_labels: ClassVar[bool] = False
    """The distribution depends on the class, so the data must be labelled."""

    def sample(self, count: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Draw (count, dimension) float32 on the generator's device.

        Args:
            count: rows.
            generator: source of all randomness.
            labels: the classes, int64 (count,); needed if `uses_labels`, ignored otherwise.
        """
        drawn = self._draw(count, generator, labels)
        if self.noise_std:
            drawn = drawn + self.noise_std * _normal(drawn.shape, generator)
        return drawn

    def check_classes(self, classes: int) -> None:
        """Raise ValueError with the rule if this distribution does not fit data of so many classes."""

    def in_torch(self, count: str = "n") -> str:
        """Return a torch expression that draws `count` of them without this program.

        The `centres`, if there are any, must be added to it.
        """
        noise = f" + {self.noise_std:g} * {self._normal_in_torch(count)}" if self.noise_std else ""
        return self._in_torch(count) + noise

    def in_numpy(self, count: str = "n") -> str:
        """Return what `in_torch` does as a NumPy expression, in float64; it may need scipy.stats."""
        noise = f" + {self.noise_std:g} * {self._normal_in_numpy(count)}" if self.noise_std else ""
        return self._in_numpy(count) + noise

    def centres(self, classes: int) -> Tensor | None:
        """Return the mean of each class, float32 (classes, dimension), or None where `uses_labels` is false."""
        return None

    def _in_torch(self, count: str) -> str:
        """The torch expression without the noise."""
        return self._normal_in_torch(count)

    def _normal_in_torch(self, count: str) -> str:
        return f"torch.randn({count}, {self.dimension})"

    def _in_numpy(self, count: str) -> str:
        """The NumPy expression without the noise."""
        return self._normal_in_numpy(count)

    def _normal_in_numpy(self, count: str) -> str:
        return f"numpy.random.randn({count}, {self.dimension})"

    def _draw(self, count: int, generator: torch.Generator, labels: Tensor | None) -> Tensor:
        """Draw without the noise."""
        raise NotImplementedError


class NormalLatent(Latent):
    """Independent N(0, 1)."""

    name: Literal["normal"] = "normal"

    def _draw(self, count: int, generator: torch.Generator, labels: Tensor | None) -> Tensor:
        return _normal((count, self.dimension), generator)


class UniformLatent(Latent):
    """Independent U(-1, 1), as in Radford et al. 2016."""

    name: Literal["uniform"] = "uniform"

    def _draw(self, count: int, generator: torch.Generator, labels: Tensor | None) -> Tensor:
        return torch.rand(count, self.dimension, generator=generator, device=generator.device) * 2 - 1

    def _in_torch(self, count: str) -> str:
        return f"torch.rand({count}, {self.dimension}) * 2 - 1"

    def _in_numpy(self, count: str) -> str:
        return f"numpy.random.uniform(-1, 1, ({count}, {self.dimension}))"


class TruncatedNormalLatent(Latent):
    """Independent N(0, 1) under the condition |z| <= bound: the truncation of Brock et al. 2019, in training too.

    Drawn by the inverse of the distribution function in float64, so one uniform number makes one normal number.
    """

    name: Literal["truncated_normal"] = "truncated_normal"
    bound: float = Field(default=2.0, gt=0, le=8)

    def _draw(self, count: int, generator: torch.Generator, labels: Tensor | None) -> Tensor:
        shape, double = (count, self.dimension), torch.float64
        uniform = torch.rand(shape, generator=generator, device=generator.device, dtype=double)
        below = _share_below(-self.bound)
        drawn: Tensor = torch.special.ndtri(below + uniform * (1 - 2 * below))
        return drawn.clamp(-self.bound, self.bound).float()

    def _in_torch(self, count: str) -> str:
        empty = f"torch.empty({count}, {self.dimension})"
        return f"torch.nn.init.trunc_normal_({empty}, a=-{self.bound:g}, b={self.bound:g})"

    def _in_numpy(self, count: str) -> str:
        return f"scipy.stats.truncnorm.rvs(-{self.bound:g}, {self.bound:g}, size=({count}, {self.dimension}))"


class ClassConditionalLatent(Latent):
    """N(m_k, 1) for class k, its mean m_k at distance `separation` from 0 along axis k.

    A mixture of Gaussians, one component per class: Ben-Yosef & Weinshall 2018 (GM-GAN), section 2; class-conditional
    normal latents also in Mariani et al. 2018 (BAGAN). Means of two classes are sqrt(2) * separation apart.
    """

    name: Literal["class_conditional"] = "class_conditional"
    separation: float = Field(default=3.0, gt=0, le=100)
    uses_labels: ClassVar[bool] = True

    def check_classes(self, classes: int) -> None:
        """Check that every class has an axis of its own."""
        if classes > self.dimension:
            raise ValueError(
                f"latent.dimension {self.dimension}: class_conditional needs one per class, but the data has "
                f"{classes} classes; raise it"
            )

    def _draw(self, count: int, generator: torch.Generator, labels: Tensor | None) -> Tensor:
        if labels is None:
            raise ValueError("class_conditional needs labels")
        drawn = _normal((count, self.dimension), generator)
        distance = torch.full((count, 1), self.separation, device=drawn.device)
        return drawn.scatter_add(1, labels[:, None], distance)

    def centres(self, classes: int) -> Tensor:
        """Return `separation` along each class's own axis, float32 (classes, dimension)."""
        return self.separation * torch.eye(classes, self.dimension)


LATENTS: dict[str, type[Latent]] = {
    "normal": NormalLatent,
    "uniform": UniformLatent,
    "truncated_normal": TruncatedNormalLatent,
    "class_conditional": ClassConditionalLatent,
}


@cache
def _share_below(z: float) -> float:
    """The standard normal distribution function at `z`, on the host, so that a device need not wait."""
    share: float = torch.special.ndtr(torch.tensor(z, dtype=torch.float64)).item()
    return share


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)
