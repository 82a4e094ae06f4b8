"""How many threads compute: set for all libraries at once, and blocks whose numbers do not depend on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


def use_threads(count: int) -> None:
    """Have this process compute with `count` threads from now on: torch with its OpenMP and MKL, and NumPy's BLAS.

    Two processes of a thread each beat one of two; more threads than cores are many times slower, so each trial takes
    no more than its resources say, whatever the environment says.
    """
    torch.set_num_threads(count)
    threadpool_limits(count)  # used as a function it stays


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
