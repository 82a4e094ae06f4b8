"""Fully connected G and D: the fastest GAN on a CPU, and the baseline of Goodfellow et al. 2014."""

from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from trainables.gan.models.base import ImageShape, Model
from trainables.gan.models.initialise import initialise
from trainables.gan.models.normalisation import Normalisation


class Mlp(Model):
    """`depth` hidden layers of `width` in each network; batch norm and ReLU in G, leaky ReLU in D."""

    name: Literal["mlp"] = "mlp"
    width: int = Field(default=256, ge=4, le=8192)
    depth: int = Field(default=2, ge=1, le=8)

    def generator(self, latent: int, shape: ImageShape) -> nn.Module:
        """Return (N, latent) -> (N, C, H, W) in [-1, 1]."""
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([latent] + [self.width] * self.depth):
            layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
        layers += [nn.Linear(self.width, shape.pixels), nn.Tanh()]
        return nn.Sequential(*layers, nn.Unflatten(1, (shape.channels, shape.size, shape.size)))

    def trunk(self, shape: ImageShape, normalisation: Normalisation) -> nn.Module:
        """Return (N, C, H, W) -> (N, width); the first layer is not normalised, but may be wrapped."""
        layers: list[nn.Module] = [nn.Flatten()]
        for index, (inputs, outputs) in enumerate(pairwise([shape.pixels] + [self.width] * self.depth)):
            first = index == 0
            bias = first or not normalisation.cancels_bias
            layers.append(normalisation.wrap(nn.Linear(inputs, outputs, bias=bias)))
            if not first:
                layers.append(normalisation.behind(outputs, False))
            layers.append(nn.LeakyReLU(0.2))
        return nn.Sequential(*layers)

    def features(self, shape: ImageShape) -> int:
        """The last hidden layer's width."""
        return self.width

    def initialise(self, module: nn.Module, rng: torch.Generator) -> None:
        """He et al. 2015 for the leaky slope 0.2."""
        initialise(module, weight=partial(nn.init.kaiming_normal_, a=0.2, generator=rng))
