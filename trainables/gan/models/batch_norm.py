"""Batch norm over the parts of a batch that several processes hold. (torch's SyncBatchNorm wants GPUs.)"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.world import World

_Plain = nn.BatchNorm1d | nn.BatchNorm2d


class SharedBatchNorm(nn.Module):
    """A batch norm whose statistics in training are those of the whole batch; its parameters are the plain layer's.

    Ioffe & Szegedy 2015. In eval mode it is the plain layer and sends nothing.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, plain: _Plain, world: World) -> None:
        if plain.momentum is None or not (plain.affine and plain.track_running_stats):
            raise ValueError("only a batch norm with gains, biases and running averages can be shared")
        super().__init__()
        self._world, self._weight_of_news, self._eps = world, plain.momentum, plain.eps
        self.weight, self.bias = plain.weight, plain.bias
        for name, buffer in plain.named_buffers():
            self.register_buffer(name, buffer)
        self.train(plain.training)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel (dimension 1); statistics in float32 or better."""
        if not self.training:
            averages = self.running_mean, self.running_var
            return functional.batch_norm(input, *averages, self.weight, self.bias, eps=self._eps)
        x = input if input.dtype == torch.float64 else input.float()
        others = [dim for dim in range(x.ndim) if dim != 1]
        own_variance, own_mean = torch.var_mean(x, others, correction=0)
        moments = torch.cat([own_mean.double(), own_variance.double() + own_mean.double().square()])
        mean, square = self._world.mean(moments).chunk(2)
        variance = square - mean.square()
        self._follow(mean, variance, self._world.world_size * x.numel() // x.shape[1])
        scale = self.weight * (variance + self._eps).rsqrt().to(x.dtype)
        shift = self.bias - mean.to(x.dtype) * scale
        shape = [-1 if dim == 1 else 1 for dim in range(x.ndim)]
        return torch.addcmul(shift.view(shape), x, scale.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, samples: int) -> None:
        unbiased = variance * (samples / (samples - 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self._weight_of_news)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self._weight_of_news)
        self.num_batches_tracked.add_(1)


def share_batch_norm(module: nn.Module, world: World) -> None:
    """Replace every batch norm inside `module` by a `SharedBatchNorm`; does nothing for one process."""
    if world.world_size == 1:
        return
    for name, child in module.named_children():
        if isinstance(child, _Plain):
            setattr(module, name, SharedBatchNorm(child, world))
        else:
            share_batch_norm(child, world)
