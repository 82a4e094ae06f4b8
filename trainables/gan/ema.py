"""Exponential moving average of the generator's weights, by half-life in thousands of images."""

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Ema:
    """A slowly following copy of a generator; its weights make the images that are evaluated.

    The half-life is `kimg` thousand images, but at most a twentieth of the images shown so far, so that an early
    evaluation is not dominated by the initial weights (Karras et al. 2020, StyleGAN2's `ema_rampup` 0.05).
    Floating-point buffers (batch norm's statistics) follow like the weights.
    """

    RAMP_UP = 0.05

    def __init__(self, generator: nn.Module, kimg: float) -> None:
        self.module = copy.deepcopy(generator).requires_grad_(False)
        self._kimg = kimg
        self._followed: nn.Module | None = None
        self._averages: tuple[list[Tensor], list[Tensor]] = ([], [])
        self._currents: tuple[list[Tensor], list[Tensor]] = ([], [])

    def update(self, generator: nn.Module, shown: int, since_last: int) -> None:
        """Follow `generator` as `weight` says."""
        self.follow(generator, self.weight(shown, since_last))

    def weight(self, shown: int, since_last: int) -> float:
        """Return how far the average moves towards the trained generator, in (0, 1).

        Args:
            shown: real images shown to D so far.
            since_last: of these, shown since the last update.
        """
        half_life = min(self._kimg * 1000, shown * self.RAMP_UP)
        kept: float = 0.5 ** (since_last / half_life)
        return 1 - kept

    @torch.no_grad()
    def follow(self, generator: nn.Module, weight: float | Tensor) -> None:
        """Move `weight` of the way towards `generator`; a scalar tensor on its device is not read by the host."""
        if generator is not self._followed:
            self._followed = generator  # found here: a network moved to another device or type has new buffers
            self._averages, self._currents = _tensors(self.module), _tensors(generator)
        (averages, counters), (currents, counts) = self._averages, self._currents
        if isinstance(weight, Tensor):
            for average, current in zip(averages, currents, strict=True):
                average.lerp_(current, weight)
        else:  # all at once; 1 - (1 - weight) is weight to the bit, as that is 1 - kept
            get_ema_multi_avg_fn(1 - weight)(averages, currents, 0)  # type: ignore[no-untyped-call]
        for counter, count in zip(counters, counts, strict=True):
            counter.copy_(count)


def _tensors(network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and buffers, floating-point ones and the others: found once, not at every step."""
    found = [*network.parameters(), *network.buffers()]
    floating = [tensor for tensor in found if tensor.is_floating_point()]
    return floating, [tensor for tensor in found if not tensor.is_floating_point()]
