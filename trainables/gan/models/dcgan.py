"""DCGAN: strided convolutions in D, transposed ones in G. Radford et al. 2016."""

from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from trainables.gan.models.base import ImageShape, Model
from trainables.gan.models.convolutions import Conv2d, ConvTranspose2d
from trainables.gan.models.dropout import Dropout
from trainables.gan.models.initialise import initialise
from trainables.gan.models.layout import Features, Maps
from trainables.gan.models.normalisation import Normalisation
from trainables.gan.models.scales import check_halvings, halvings


class Dcgan(Model):
    """Channels `width` at half the image's size, doubled (up to 8 times `width`) at each further halving.

    Two halvings for up to 32 pixels (a map of 7 for 28, of 8 for 32), four for 64 and five for 128 (a map of 4).
    The paper's network is width 128 and kernel 5 at 64 pixels.
    """

    name: Literal["dcgan"] = "dcgan"
    width: int = Field(default=64, ge=4, le=1024)
    kernel: Literal[4, 5] = 4
    dropout: float = Field(default=0.0, ge=0, le=0.9, description="in D, behind each activation")
    normalisations = ("none", "batch", "layer", "instance", "spectral")

    def check_shape(self, shape: ImageShape) -> None:
        """Check that all halvings are even and leave something to convolve."""
        check_halvings("dcgan", shape.size)

    def generator(self, latent: int, shape: ImageShape) -> nn.Module:
        """Return (N, latent) -> (N, C, H, W) in [-1, 1]."""
        base, widths = self._smallest(shape), self._widths(shape)[::-1]
        up = partial(
            ConvTranspose2d, kernel_size=self.kernel, stride=2, padding=self._padding, output_padding=self.kernel - 4
        )
        layers: list[nn.Module] = [
            nn.Linear(latent, widths[0] * base * base, bias=False),
            Maps(widths[0], base),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for inputs, outputs in pairwise(widths):
            layers += [up(inputs, outputs, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*layers, up(widths[-1], shape.channels), nn.Tanh())

    def trunk(self, shape: ImageShape, normalisation: Normalisation) -> nn.Module:
        """Return (N, C, H, W) -> (N, F); the first layer is not normalised, but may be wrapped."""
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(pairwise([shape.channels, *self._widths(shape)])):
            bias = index == 0 or not normalisation.cancels_bias
            down = Conv2d(inputs, outputs, self.kernel, stride=2, padding=self._padding, bias=bias)
            layers.append(normalisation.wrap(down))
            if index:
                layers.append(normalisation.behind(outputs, True))
            layers.append(nn.LeakyReLU(0.2))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return nn.Sequential(*layers, Features())

    def features(self, shape: ImageShape) -> int:
        """The size of the smallest map."""
        return self._widths(shape)[-1] * self._smallest(shape) ** 2

    def initialise(self, module: nn.Module, rng: torch.Generator) -> None:
        """N(0, 0.02) for weights and N(1, 0.02) for norms' gains, section 4 of the paper."""
        initialise(
            module,
            weight=partial(nn.init.normal_, std=0.02, generator=rng),
            gain=partial(nn.init.normal_, mean=1.0, std=0.02, generator=rng),
        )

    @property
    def _padding(self) -> int:
        return self.kernel // 2 - (self.kernel == 4)

    def _smallest(self, shape: ImageShape) -> int:
        return shape.size >> halvings(shape.size)

    def _widths(self, shape: ImageShape) -> list[int]:
        """D's channels from the first layer to the last."""
        return [self.width * min(2**k, 8) for k in range(halvings(shape.size))]
