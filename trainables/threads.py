"""Numbers that must come out the same to the last bit, however many threads the caller uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def fixed_threads(count: int = 1) -> Iterator[None]:
    """Run the block with `count` threads in torch's operations, then give back the former number.

    Sums over a dimension depend in their last bits on how many threads share them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
