"""The number of computing threads: set for all libraries at once, or fixed for a block to make its numbers exact."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


def use_threads(count: int) -> None:
    """Have this process compute with `count` threads from now on: torch with its OpenMP and MKL, and NumPy's BLAS.

    Two processes with one thread each beat one with two; more threads than cores are many times slower, so each trial
    takes what its resources say, whatever the environment says.
    """
    torch.set_num_threads(count)
    threadpool_limits(count)  # without `with`, the limit stays


@contextmanager
def fixed_threads(count: int = 1) -> Iterator[None]:
    """Run the block with `count` threads in torch's operations, then restore the former number.

    The last bits of sums over a dimension depend on how many threads share them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
