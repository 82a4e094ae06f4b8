"""The precision of networks: float32, or bfloat16 under autocast, and where the latter is worth it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

Context = Callable[[], AbstractContextManager[Any]]

PRECISIONS: dict[str, Callable[[str], Context]] = {
    "float32": lambda device: nullcontext,
    "bf16": lambda device: partial(torch.autocast, device, torch.bfloat16),
}
"""From a type of device ("cpu", "cuda") to a function that makes the context of a forward pass."""

_CPU_FLAGS = {"avx512_bf16", "amx_bf16"}


def has_bf16(device: str = "cpu") -> bool:
    """Whether this machine's processor multiplies bfloat16 natively; others emulate it, slower than float32."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability() >= (8, 0)
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        return False
    return bool(_CPU_FLAGS & set(flags.split()))
