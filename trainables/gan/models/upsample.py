"""Resize, then convolve: a generator without the checkerboards of transposed convolutions. Odena et al. 2016."""

from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from trainables.gan.models.base import ImageShape, Model
from trainables.gan.models.convolutions import Conv2d
from trainables.gan.models.initialise import initialise
from trainables.gan.models.layout import Features, Maps
from trainables.gan.models.normalisation import Normalisation
from trainables.gan.models.scales import check_halvings, halvings

Resize = Literal["nearest", "bilinear"]
SLOPE = 0.2


class Upsample(Model):
    """G doubles by `resize` and a 3 x 3 convolution, D convolves and averages 2 x 2; LeakyReLU in both.

    Channels `width` at the image's size, doubled (up to 8 times `width`) at each halving; as many halvings as
    `dcgan`. With `skip` "output" each map of G makes an image by a 1 x 1 convolution and the images are summed,
    resized bilinearly (the output skips of Karras et al. 2020, fig. 7b); with "none" only the last map does.
    """

    name: Literal["upsample"] = "upsample"
    width: int = Field(default=32, ge=4, le=1024)
    resize: Resize = "nearest"
    skip: Literal["none", "output"] = "none"
    normalisations = ("none", "batch", "layer", "instance", "spectral")

    def check_shape(self, shape: ImageShape) -> None:
        """Check that all halvings are even and leave something to convolve."""
        check_halvings("upsample", shape.size)

    def generator(self, latent: int, shape: ImageShape) -> nn.Module:
        """Return (N, latent) -> (N, C, H, W) in [-1, 1]."""
        widths, base = self._widths(shape)[::-1], self._smallest(shape)
        first = nn.Sequential(
            nn.Linear(latent, widths[0] * base * base, bias=False),
            Maps(widths[0], base),
            nn.BatchNorm2d(widths[0]),
            nn.LeakyReLU(SLOPE),
        )
        stages = [first, *(_doubling(inputs, outputs, self.resize) for inputs, outputs in pairwise(widths))]
        if self.skip == "output":
            return _OutputSkips(stages, widths, shape.channels)
        return nn.Sequential(*stages, _ToImage(widths[-1], shape.channels, 3, padding=1), nn.Tanh())

    def trunk(self, shape: ImageShape, normalisation: Normalisation) -> nn.Module:
        """Return (N, C, H, W) -> (N, F); the first layer is not normalised, but may be wrapped."""
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(pairwise([shape.channels, *self._widths(shape)])):
            bias = index == 0 or not normalisation.cancels_bias
            if index:
                layers.append(nn.AvgPool2d(2))
            layers.append(normalisation.wrap(Conv2d(inputs, outputs, 3, padding=1, bias=bias)))
            if index:
                layers.append(normalisation.behind(outputs, True))
            layers.append(nn.LeakyReLU(SLOPE))
        return nn.Sequential(*layers, Features())

    def features(self, shape: ImageShape) -> int:
        """The size of the smallest map."""
        return self._widths(shape)[-1] * self._smallest(shape) ** 2

    def initialise(self, module: nn.Module, rng: torch.Generator) -> None:
        """He et al. 2015 for the leaky slope; what makes G's image starts at half, so that tanh is not saturated."""
        initialise(module, weight=partial(nn.init.kaiming_normal_, a=SLOPE, generator=rng))
        outputs = [layer for layer in module.modules() if isinstance(layer, _ToImage)]
        with torch.no_grad():
            for layer in outputs:
                layer.weight.mul_(0.5 / len(outputs) ** 0.5)

    def _smallest(self, shape: ImageShape) -> int:
        return shape.size >> halvings(shape.size)

    def _widths(self, shape: ImageShape) -> list[int]:
        """Channels from the image's size down to the smallest map."""
        return [self.width * min(2**k, 8) for k in range(halvings(shape.size) + 1)]


class _ToImage(nn.Conv2d):
    """The convolution that makes an image of a map of G."""


class _OutputSkips(nn.Module):
    """tanh of the sum of what every stage's map makes, each resized to the next."""

    def __init__(self, stages: list[nn.Module], widths: list[int], channels: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        last = len(widths) - 1  # one bias is enough: they would all be added
        self.to_image = nn.ModuleList(_ToImage(width, channels, 1, bias=k == last) for k, width in enumerate(widths))

    def forward(self, z: Tensor) -> Tensor:
        x = self.stages[0](z)
        image = self.to_image[0](x)
        for stage, to_image in zip(self.stages[1:], self.to_image[1:], strict=True):
            x = stage(x)
            image = functional.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False) + to_image(x)
        made: Tensor = image.tanh()
        return made


def _doubling(inputs: int, outputs: int, resize: Resize) -> nn.Module:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode=resize),
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE),
    )
