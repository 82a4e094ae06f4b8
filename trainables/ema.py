"""Exponential moving average of the generator's weights, by half-life in thousands of images."""

import copy

import torch
from torch import nn


class Ema:
    """A slowly following copy of a generator; its weights make the images that are judged.

    The half-life is `kimg` thousand images, but at most a twentieth of what was shown so far, so that an early
    evaluation is not dominated by the initial weights (Karras et al. 2020, StyleGAN2's `ema_rampup` 0.05).
    Floating-point buffers (batch norm's statistics) follow as the weights do.
    """

    RAMP_UP = 0.05

    def __init__(self, generator: nn.Module, kimg: float) -> None:
        self.module = copy.deepcopy(generator).requires_grad_(False)
        self._kimg = kimg

    @torch.no_grad()
    def update(self, generator: nn.Module, shown: int, since_last: int) -> None:
        """Follow `generator`.

        Args:
            generator: the trained generator.
            shown: real images shown to D so far.
            since_last: of these, shown since the last update.
        """
        half_life = min(self._kimg * 1000, shown * self.RAMP_UP)
        weight = 1 - 0.5 ** (since_last / half_life)
        pairs = zip(self.module.state_dict().values(), generator.state_dict().values(), strict=True)
        for average, current in pairs:
            if average.is_floating_point():
                average.lerp_(current, weight)
            else:
                average.copy_(current)
