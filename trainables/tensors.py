"""Arrays that Ray maps read-only, as torch tensors."""

import warnings
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def as_tensor(array: NDArray[Any]) -> Tensor:
    """A tensor that shares the array's memory, read-only or not: never write into it (that would crash)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        return torch.from_numpy(array)
