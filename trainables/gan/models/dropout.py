"""Dropout whose masks come from a seed of the trial, not from torch's global generator."""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor, nn

from trainables.streams import derive_seed
from trainables.world import SINGLE, World


class Dropout(nn.Module):
    """In training, zero each number with probability `p` and divide the others by 1 - p. Srivastava et al. 2014.

    The masks are drawn one after the other from the seed last given to `reseed`, so that a step keyed by its seed
    is the same however the trial got there. It has no state of its own for a checkpoint.
    """

    def __init__(self, p: float) -> None:
        if not 0 <= p < 1:
            raise ValueError(f"dropout {p}: a probability of at least 0 and below 1")
        super().__init__()
        self.p = p
        self.world: World = SINGLE
        """The processes that share a batch; masks are drawn for the whole of it."""
        self._seed: int | None = None
        self._rng: torch.Generator | None = None

    @property
    def generators(self) -> list[torch.Generator]:
        """The generator of the masks: one object from the first mask on, none before."""
        return [] if self._rng is None else [self._rng]

    def reseed(self, seed: int) -> None:
        """Draw the masks that follow from `seed`."""
        self._seed = seed
        if self._rng is not None:
            self._rng.manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with a fresh mask, or `x` itself in eval mode; any shape.

        Raises:
            RuntimeError: in training mode before the first `reseed`.
        """
        if not self.training:
            return x
        if self._seed is None:
            raise RuntimeError("dropout without a seed: call reseed_dropout before each step")
        if self._rng is None or self._rng.device.type != x.device.type:
            self._rng = torch.Generator(x.device).manual_seed(self._seed)
        draw = partial(torch.rand, generator=self._rng, device=x.device)
        kept = self.world.draw_shard(draw, x.shape) >= self.p
        return x * kept / (1 - self.p)

    def extra_repr(self) -> str:
        """Show the probability."""
        return f"p={self.p}"


def dropouts_of(module: nn.Module) -> tuple[Dropout, ...]:
    """Return the dropout layers in `module`; none for most networks."""
    return tuple(layer for layer in module.modules() if isinstance(layer, Dropout))


def reseed_dropout(layers: Iterable[Dropout], seed: int) -> None:
    """Give each of `layers` a seed of its own made from `seed`."""
    for index, layer in enumerate(layers):
        layer.reseed(derive_seed(seed, "dropout", index))
