"""Convolutions between an image and many channels, as matrix products where oneDNN is slow on a CPU.

With one or three channels on one side oneDNN reaches a twentieth of its speed when it scatters to that side: for the
derivative of D's first layer by an image, and for the image that a transposed convolution of G makes. As a matrix
product and a fold both are two to six times faster. State and arithmetic are those of torch's layers, with sums in
another order.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

_FEW = 4
Pair = tuple[int, int]


class Conv2d(nn.Conv2d):
    """torch's, without groups or dilation; on a CPU, for an image that needs a gradient, a matrix product."""

    kernel_size: Pair
    stride: Pair
    padding: Pair

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, outputs, H', W')."""
        if self.in_channels > _FEW or not input.requires_grad or input.device.type != "cpu":
            return super().forward(input)
        columns = functional.unfold(input, self.kernel_size, padding=self.padding, stride=self.stride)
        made = functional.linear(columns.transpose(1, 2), self.weight.flatten(1), self.bias)  # N x pixels x outputs
        rows = (input.shape[2] + 2 * self.padding[0] - self.kernel_size[0]) // self.stride[0] + 1
        return made.transpose(1, 2).reshape(len(input), self.out_channels, rows, -1)


class ConvTranspose2d(nn.ConvTranspose2d):
    """torch's, without groups or dilation; on a CPU, where it makes an image, a matrix product."""

    kernel_size: Pair
    stride: Pair
    padding: Pair
    output_padding: Pair

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return (N, outputs, H', W'); float32 under autocast too, since it sums in float32."""
        if self.out_channels > _FEW or output_size is not None or input.device.type != "cpu":
            return super().forward(input, output_size)
        columns = torch.matmul(input.flatten(2).transpose(1, 2), self.weight.flatten(1))  # N x pixels x outputs k k
        columns = columns.transpose(1, 2).to(self.weight.dtype)
        size = self._side(0, input.shape[2]), self._side(1, input.shape[3])
        made = functional.fold(columns, size, self.kernel_size, padding=self.padding, stride=self.stride)
        return made if self.bias is None else made + self.bias[:, None, None]

    def _side(self, axis: int, before: int) -> int:
        gained = self.kernel_size[axis] + self.output_padding[axis] - 2 * self.padding[axis]
        return (before - 1) * self.stride[axis] + gained


def with_torch_convolutions(network: nn.Module) -> nn.Module:
    """Return a copy of a network whose convolutions are torch's own: for other devices and runtimes."""
    copied = copy.deepcopy(network)
    for layer in copied.modules():
        if isinstance(layer, Conv2d):
            layer.__class__ = nn.Conv2d  # type: ignore[assignment]  # which it is, but for `forward`
        elif isinstance(layer, ConvTranspose2d):
            layer.__class__ = nn.ConvTranspose2d  # type: ignore[assignment]
    return copied
