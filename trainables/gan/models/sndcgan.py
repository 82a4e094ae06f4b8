"""SNDCGAN: the standard convolutional network of Miyato et al. 2018, table 3 (appendix B.4)."""

from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.gan.models.base import ImageShape, Model
from trainables.gan.models.convolutions import Conv2d
from trainables.gan.models.initialise import initialise
from trainables.gan.models.layout import Features, Maps
from trainables.gan.models.normalisation import Normalisation
from trainables.gan.models.scales import doubled_sizes

_PAPERS_WIDTH = 64
_SLOPE = 0.1


class Sndcgan(Model):
    """Three doublings in G and three halvings in D, with `width` to 8 times `width` channels; the paper's is 64.

    G: dense to size/8, then 4 x 4 transposed convolutions and a 3 x 3 one. D: pairs of a 3 x 3 convolution and a
    strided 4 x 4 one, then a last 3 x 3. An odd map (7, for 28 pixels) is padded to 8 in D and cropped from 8 in G,
    so that 28 pixels use the network of 32.
    """

    name: Literal["sndcgan"] = "sndcgan"
    width: int = Field(default=_PAPERS_WIDTH, ge=4, le=512)

    def check_shape(self, shape: ImageShape) -> None:
        """Check that the first two halvings are even; the third may be rounded up."""
        if shape.size % 4 or shape.size < 8:
            raise ValueError(f"sndcgan needs an image size that is a multiple of 4 and at least 8, not {shape.size}")

    def generator(self, latent: int, shape: ImageShape) -> nn.Module:
        """Return (N, latent) -> (N, C, H, W) in [-1, 1]."""
        sizes, widths = doubled_sizes(shape.size, 3), [self.width * k for k in (8, 4, 2, 1)]
        layers: list[nn.Module] = [
            nn.Linear(latent, widths[0] * sizes[0] ** 2, bias=False),
            Maps(widths[0], sizes[0]),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        for (inputs, outputs), (before, after) in zip(pairwise(widths), pairwise(sizes), strict=True):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False))
            if after < 2 * before:
                layers.append(_Crop(after))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(widths[-1], shape.channels, 3, padding=1), nn.Tanh())

    def trunk(self, shape: ImageShape, normalisation: Normalisation) -> nn.Module:
        """Return (N, C, H, W) -> (N, F); the first layer is not normalised, but may be wrapped."""
        wrap, behind, bias = normalisation.wrap, normalisation.behind, not normalisation.cancels_bias
        w, sizes = self.width, doubled_sizes(shape.size, 3)
        layers: list[nn.Module] = [wrap(Conv2d(shape.channels, w, 3, padding=1)), nn.LeakyReLU(_SLOPE)]
        for (inputs, outputs), size in zip(pairwise((w, 2 * w, 4 * w, 8 * w)), sizes[:0:-1], strict=True):
            if size % 2:
                layers.append(nn.ZeroPad2d((0, 1, 0, 1)))
            for convolution in (
                nn.Conv2d(inputs, inputs, 4, stride=2, padding=1, bias=bias),
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias),
            ):
                layers += [wrap(convolution), behind(convolution.out_channels, True), nn.LeakyReLU(_SLOPE)]
        return nn.Sequential(*layers, Features())

    def features(self, shape: ImageShape) -> int:
        """The size of the smallest map."""
        smallest: int = doubled_sizes(shape.size, 3)[0]
        return 8 * self.width * smallest**2

    def initialise(self, module: nn.Module, rng: torch.Generator) -> None:
        """N(0, 0.02) at the paper's width; at others, scaled to keep the size of a layer's output."""
        std = 0.02 * (_PAPERS_WIDTH / self.width) ** 0.5
        initialise(module, weight=partial(nn.init.normal_, std=std, generator=rng))


class _Crop(nn.Module):
    """Keep the first `size` rows and columns."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.size, : self.size]
