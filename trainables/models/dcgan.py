"""DCGAN: strided convolutions in D, transposed ones in G. Radford et al. 2016, at two resolutions below the image."""

from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from trainables.models.base import ImageShape, Model
from trainables.models.initialise import initialise
from trainables.models.normalisation import Normalisation


class Dcgan(Model):
    """Channels `width` and twice that at half and a quarter of the image's size."""

    name: Literal["dcgan"] = "dcgan"
    width: int = Field(default=64, ge=4, le=1024)
    normalisations = ("none", "batch", "layer", "instance", "spectral")

    def check_shape(self, shape: ImageShape) -> None:
        """Two halvings must come out even and leave something to convolve."""
        if shape.size % 4 or shape.size < 8:
            raise ValueError(f"dcgan needs an image size that is a multiple of 4 and at least 8, not {shape.size}")

    def generator(self, latent: int, shape: ImageShape) -> nn.Module:
        """Return (N, latent) -> (N, C, H, W) in [-1, 1]."""
        base, deep, shallow = shape.size // 4, 2 * self.width, self.width
        return nn.Sequential(
            nn.Linear(latent, deep * base * base, bias=False),
            nn.Unflatten(1, (deep, base, base)),
            nn.BatchNorm2d(deep),
            nn.ReLU(),
            nn.ConvTranspose2d(deep, shallow, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(shallow),
            nn.ReLU(),
            nn.ConvTranspose2d(shallow, shape.channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def discriminator(self, shape: ImageShape, normalisation: Normalisation) -> nn.Module:
        """Return (N, C, H, W) -> (N,) logits; the first layer is not normalised but may be wrapped."""
        base, deep, shallow = shape.size // 4, 2 * self.width, self.width
        wrap, bias = normalisation.wrap, not normalisation.cancels_bias
        return nn.Sequential(
            wrap(nn.Conv2d(shape.channels, shallow, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            wrap(nn.Conv2d(shallow, deep, 4, stride=2, padding=1, bias=bias)),
            normalisation.behind(deep, True),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            wrap(nn.Linear(deep * base * base, 1)),
            nn.Flatten(0),
        )

    def initialise(self, module: nn.Module, rng: torch.Generator) -> None:
        """N(0, 0.02) for weights and N(1, 0.02) for norms' gains, section 4 of the paper."""
        initialise(
            module,
            weight=partial(nn.init.normal_, std=0.02, generator=rng),
            gain=partial(nn.init.normal_, mean=1.0, std=0.02, generator=rng),
        )
