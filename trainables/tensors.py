"""Read-only arrays from Ray as torch tensors, and the digest of weights."""

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_tensor(array: NDArray[Any]) -> Tensor:
    """A tensor that shares the array's memory, read-only or not: never write to it (that could crash)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        return torch.from_numpy(array)


def weights_digest(weights: Mapping[str, NDArray[Any] | Tensor]) -> str:
    """SHA-256 (hex) of named arrays or tensors: names, types, shapes and bytes, in the order of the names."""
    state = hashlib.sha256()
    for name, value in sorted(weights.items(), key=lambda item: item[0]):
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        state.update(f"{name}/{array.dtype.str}/{array.shape};".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()
