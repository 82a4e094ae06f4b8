"""Batch norm over the parts of a batch that several processes hold. (torch's SyncBatchNorm wants GPUs.)"""

import torch
from torch import Tensor, nn

from trainables.world import World

_Plain = nn.BatchNorm1d | nn.BatchNorm2d


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """A batch norm whose statistics in training are those of the whole batch; its parameters are the plain layer's.

    Ioffe & Szegedy 2015. In eval mode it is the plain layer and sends nothing.
    """

    def __init__(self, plain: _Plain, world: World) -> None:
        if plain.momentum is None or not (plain.affine and plain.track_running_stats):
            raise ValueError("only a batch norm with gains, biases and running averages can be shared")
        super().__init__(plain.num_features, plain.eps, plain.momentum, device="meta")
        self._world, self._weight_of_news = world, plain.momentum
        self.weight, self.bias = plain.weight, plain.bias
        self.running_mean, self.running_var = plain.running_mean, plain.running_var
        self.num_batches_tracked = plain.num_batches_tracked
        self.train(plain.training)

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # (N, C) and (N, C, H, W) alike

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel (dimension 1); statistics in float32 or better."""
        if not self.training:
            return super().forward(input)
        x = input if input.dtype == torch.float64 else input.float()
        others = [dim for dim in range(x.ndim) if dim != 1]
        own_variance, own_mean = torch.var_mean(x, others, correction=0)
        moments = torch.cat([own_mean.double(), own_variance.double() + own_mean.double().square()])
        mean, square = self._world.mean(moments).chunk(2)
        variance = square - mean.square()
        self._follow(mean, variance, self._world.world_size * x.numel() // x.shape[1])
        scale = self.weight * (variance + self.eps).rsqrt().to(x.dtype)
        shift = self.bias - mean.to(x.dtype) * scale
        shape = [-1 if dim == 1 else 1 for dim in range(x.ndim)]
        return torch.addcmul(shift.view(shape), x, scale.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, samples: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
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
