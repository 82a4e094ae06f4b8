"""The memory layout of maps: channels last, in which oneDNN convolves faster on a CPU.

It only pays if a map and its gradient share a layout, since elementwise kernels on two layouts are slow. So a network
converts maps where they begin (`Maps`), and gradients where maps end (`Features`).
"""

import torch
from torch import Tensor, nn

CHANNELS_LAST = torch.channels_last


class Maps(nn.Unflatten):
    """(N, F) -> (N, C, H, W), the channels last in memory."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__(1, (channels, size, size))

    def forward(self, input: Tensor) -> Tensor:
        """Return the maps."""
        maps: Tensor = super().forward(input)
        return maps.contiguous(memory_format=CHANNELS_LAST)


class Features(nn.Flatten):
    """(N, C, H, W) -> (N, F), in the order C, H, W; the gradient that comes back has the maps' layout."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the features."""
        if input.requires_grad:
            input.register_hook(_as_maps)  # type: ignore[no-untyped-call]
        return super().forward(input)


def _as_maps(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=CHANNELS_LAST)


def lay_out(network: nn.Module) -> None:
    """Convert the weights of a network's convolutions to the same layout, in place."""
    network.to(memory_format=CHANNELS_LAST)
