"""Several processes that train one GAN: each has a shard of every batch, and together they act as one.

All draw the same numbers for the whole batch and take their shard, so that the training is that of one process up to
the order of sums. `SINGLE` is that one process: it splits, sends and changes nothing.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

from trainables.errors import InvalidInput


class World:
    """Base: one process with the whole batch.

    All processes must call the same methods in the same order.

    Attributes:
        rank: of this process, from 0.
        world_size: the number of processes.
    """

    rank = 0
    world_size = 1

    def shard(self, batch: Tensor) -> Tensor:
        """Return this process's shard (N, ...) of the whole batch (world_size N, ...)."""
        return batch

    def draw_shard(self, draw: Callable[[Sequence[int]], Tensor], shape: Sequence[int], dim: int = 0) -> Tensor:
        """Return this process's shard, of `shape`, of what `draw(whole shape)` draws; samples are along `dim`."""
        return draw(shape)

    def all_gather(self, *own: Tensor) -> tuple[Tensor, ...]:
        """Return each of the tensors (N,) of this process for the whole batch, (world_size N,).

        The derivative reaches only this process's shard, times `world_size`: so the mean over the processes of what
        follows from it (see `all_reduce_mean`) is the derivative by the whole batch, for any loss.
        """
        return own

    def mean(self, own: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes, differentiable through all of them."""
        return own

    def std(self, own: Tensor) -> Tensor:
        """Return the standard deviation of all numbers of the whole batch (divided by N, not N - 1)."""
        return own.std(correction=0)

    def all_reduce_mean(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors of one dtype by their means over the processes, in place."""

    def broadcast(self, value: Any) -> Any:
        """Return the first process's `value`: tensors (which arrive on the CPU) and plain values, also nested."""
        return value


SINGLE = World()


class DistributedWorld(World):
    """The processes of `torch.distributed`'s default group, which must have been set up."""

    def __init__(self) -> None:
        self.rank, self.world_size = distributed.get_rank(), distributed.get_world_size()

    def shard(self, batch: Tensor) -> Tensor:
        """Return shard number `rank` of equal ones."""
        return self._part(batch, 0)

    def draw_shard(self, draw: Callable[[Sequence[int]], Tensor], shape: Sequence[int], dim: int = 0) -> Tensor:
        """Draw for the whole batch and return shard number `rank`."""
        whole = list(shape)
        whole[dim] *= self.world_size
        return self._part(draw(whole), dim)

    def _part(self, whole: Tensor, dim: int) -> Tensor:
        size = whole.shape[dim] // self.world_size
        return whole.narrow(dim, self.rank * size, size)

    def all_gather(self, *own: Tensor) -> tuple[Tensor, ...]:
        """Gather in the order of ranks."""
        gathered: Tensor = _Gathered.apply(torch.stack(own), self.rank, self.world_size)
        return gathered.unbind(0)

    def mean(self, own: Tensor) -> Tensor:
        """Add up and divide; the derivative is averaged likewise."""
        averaged: Tensor = _Averaged.apply(own, self.world_size)
        return averaged

    def std(self, own: Tensor) -> Tensor:
        """Around the mean of the whole batch."""
        return self.mean((own - self.mean(own.mean())).square().mean()).sqrt()

    @torch.no_grad()
    def all_reduce_mean(self, tensors: Iterable[Tensor]) -> None:
        """Send all in one piece."""
        parts = list(tensors)
        averaged = _sum(torch.cat([part.flatten() for part in parts])) / self.world_size
        news = torch.split_with_sizes(averaged, [part.numel() for part in parts])
        for part, new in zip(parts, news, strict=True):
            part.copy_(new.view_as(part))

    def broadcast(self, value: Any) -> Any:
        """Send the value from rank 0."""
        sent = io.BytesIO()
        torch.save(value, sent)
        held = [sent.getvalue()]
        distributed.broadcast_object_list(held, src=0)
        return torch.load(io.BytesIO(held[0]), map_location="cpu", weights_only=True)


def check_divides(batch_size: int, count: int) -> None:
    """Refuse a number of processes that a batch cannot be split over.

    Raises:
        InvalidInput: naming the numbers that can.
    """
    if count < 1 or batch_size % count:
        fitting = [k for k in range(1, min(batch_size, 64) + 1) if batch_size % k == 0]
        raise InvalidInput(
            f"--devices {count}: each takes an equal part of batch_size {batch_size}; use one of "
            f"{', '.join(map(str, fitting))}"
        )


def _sum(own: Tensor) -> Tensor:
    distributed.all_reduce(own)
    return own


class _Gathered(torch.autograd.Function):
    """(M, N) -> (M, world_size N)."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, rank: int, count: int) -> Tensor:
        ctx.start, ctx.size, ctx.count = rank * own.shape[1], own.shape[1], count
        parts = [torch.empty_like(own) for _ in range(count)]
        distributed.all_gather(parts, own)
        return torch.cat(parts, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.narrow(1, ctx.start, ctx.size) * ctx.count, None, None


class _Averaged(torch.autograd.Function):
    """The mean over processes is its own adjoint, where each one's derivative is of its own share of the loss."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, count: int) -> Tensor:
        ctx.count = count
        return _sum(own.clone()) / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _sum(gradient.clone(memory_format=torch.contiguous_format)) / ctx.count, None
