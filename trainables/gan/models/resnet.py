"""SNGAN's residual networks: Miyato et al. 2018, tables 4 and 5, after Gulrajani et al. 2017; Miyato & Koyama 2018."""

from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.gan.models.base import ImageShape, Model
from trainables.gan.models.convolutions import Conv2d
from trainables.gan.models.initialise import initialise, weight_of
from trainables.gan.models.layout import Maps
from trainables.gan.models.normalisation import Normalisation
from trainables.gan.models.scales import check_halvings, doubled_sizes, halvings


class Resnet(Model):
    """Residual blocks of two 3 x 3 convolutions with 1 x 1 shortcuts; D ends in a sum over positions.

    Up to 32 pixels, the CIFAR-10 network (table 4): D has `width` channels in 4 blocks, of which 2 halve, and G twice
    that in 3 doubling blocks; the paper's `width` is 128. For 28 pixels G's first map, 4, is doubled to 7.
    Larger images: `width` channels at the image's size, doubled at each halving up to 16 times `width`; the paper's
    `width` is 64. At 128 pixels that is table 5; at 64 pixels the network of Miyato & Koyama's code.
    """

    name: Literal["resnet"] = "resnet"
    width: int = Field(default=128, ge=4, le=512)

    def check_shape(self, shape: ImageShape) -> None:
        """Check that the halvings are even."""
        check_halvings("resnet", shape.size)

    def generator(self, latent: int, shape: ImageShape) -> nn.Module:
        """Return (N, latent) -> (N, C, H, W) in [-1, 1]; batch norm before each ReLU.

        Only the last layer has a bias: shortcuts would carry that of a convolution to the last batch norm, which
        cancels it; the dense layer has none, like DCGAN's.
        """
        count = _halvings_of_g(shape.size)
        widths, sizes = self._generator_widths(shape.size), doubled_sizes(shape.size, count)
        layers: list[nn.Module] = [
            nn.Linear(latent, widths[0] * sizes[0] ** 2, bias=False),
            Maps(widths[0], sizes[0]),
        ]
        for (inputs, outputs), size in zip(pairwise(widths), sizes[1:], strict=True):
            layers.append(_Up(inputs, outputs, size))
        last = nn.Conv2d(widths[-1], shape.channels, 3, padding=1)
        return nn.Sequential(*layers, nn.BatchNorm2d(widths[-1]), nn.ReLU(), last, nn.Tanh())

    def trunk(self, shape: ImageShape, normalisation: Normalisation) -> nn.Module:
        """Return (N, C, H, W) -> (N, F); a norm before each ReLU but the first block's and the last, as Gulrajani's."""
        blocks = self._blocks(shape.size)
        widths = [shape.channels, *(width for width, _ in blocks)]
        layers = [
            _Down(inputs, outputs, normalisation, first=index == 0, halve=blocks[index][1])
            for index, (inputs, outputs) in enumerate(pairwise(widths))
        ]
        return nn.Sequential(*layers, nn.ReLU(), _SumOverPositions())

    def features(self, shape: ImageShape) -> int:
        """The last block's channels."""
        return self._blocks(shape.size)[-1][0]

    def initialise(self, module: nn.Module, rng: torch.Generator) -> None:
        """Glorot & Bengio 2010, uniform; with a gain of sqrt(2) in the blocks' 3 x 3 convolutions, as in the code."""
        initialise(module, weight=partial(nn.init.xavier_uniform_, generator=rng))
        with torch.no_grad():
            for block in module.modules():
                if isinstance(block, _Up | _Down):
                    for convolution in (block.conv1, block.conv2):
                        weight_of(convolution).mul_(2**0.5)

    def _generator_widths(self, size: int) -> list[int]:
        """G's channels from the first map to the last."""
        count = _halvings_of_g(size)
        if _is_small(size):
            return [2 * self.width] * (count + 1)
        return [self.width * min(2**k, 16) for k in range(count, -1, -1)]

    def _blocks(self, size: int) -> list[tuple[int, bool]]:
        """For each block of D, its channels and whether it halves the map."""
        if _is_small(size):
            return [(self.width, halve) for halve in (True, True, False, False)]
        widths = [self.width * min(2**k, 16) for k in range(halvings(size) + 1)]
        return [*((width, True) for width in widths[:-1]), (widths[-1], widths[-1] > widths[-2])]


def _is_small(size: int) -> bool:
    return halvings(size) == 2


def _halvings_of_g(size: int) -> int:
    return 3 if _is_small(size) else halvings(size)


class _Up(nn.Module):
    """Twice batch norm, ReLU and 3 x 3 convolution, the map resized (nearest) before the first, plus a shortcut."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.resize = nn.Upsample(size=(size, size), mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(self.resize(self.norm1(x).relu()))
        h = self.conv2(self.norm2(h).relu())
        shortcut: Tensor = self.resize(self.shortcut(x))  # the same as resizing first, at a quarter of the work
        out: Tensor = h + shortcut
        return out


class _Down(nn.Module):
    """Twice norm, ReLU and 3 x 3 convolution, averaged over 2 x 2 where it halves, plus a shortcut.

    The first block of D has no ReLU before its first convolution, since that takes the image, and no norms.
    """

    def __init__(self, inputs: int, outputs: int, normalisation: Normalisation, first: bool, halve: bool) -> None:
        super().__init__()
        hidden = outputs if first else inputs
        wrap, cancelled = normalisation.wrap, normalisation.cancels_bias and not first
        self.before = nn.Identity() if first else nn.Sequential(normalisation.behind(inputs, True), nn.ReLU())
        self.conv1 = wrap(Conv2d(inputs, hidden, 3, padding=1, bias=not cancelled))
        self.between = nn.Sequential(nn.Identity() if first else normalisation.behind(hidden, True), nn.ReLU())
        self.conv2 = wrap(nn.Conv2d(hidden, outputs, 3, padding=1))
        self.pool = nn.AvgPool2d(2) if halve else nn.Identity()
        self.shortcut = wrap(nn.Conv2d(inputs, outputs, 1)) if halve or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(self.between(self.conv1(self.before(x))))
        shortcut: Tensor = self.shortcut(self.pool(x))
        pooled: Tensor = self.pool(h)
        return pooled + shortcut


class _SumOverPositions(nn.Module):
    """(N, F, H, W) -> (N, F)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))
