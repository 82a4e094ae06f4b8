"""How maps lie in memory: the channels of a pixel side by side, in which oneDNN convolves faster on a CPU.

It only pays where a map and its gradient lie alike, since elementwise kernels on two layouts are slow. So a network
converts where its maps begin (`Maps`), and the gradient where they end (`Features`).
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
    """(N, C, H, W) -> (N, F), in the order C, H, W; the gradient that comes back lies as the maps do."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the features."""
        if input.requires_grad:
            input.register_hook(_as_maps)  # type: ignore[no-untyped-call]
        return super().forward(input)


def _as_maps(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=CHANNELS_LAST)


def lay_out(network: nn.Module) -> None:
    """Lay the weights of a network's convolutions likewise, in place."""
    network.to(memory_format=CHANNELS_LAST)
