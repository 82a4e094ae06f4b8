"""How many cores there are to compute on: what trials run on, and what `doctor` tells."""

import os


def usable_cores() -> int:
    """Return the cores that this process may use; where the system does not tell (macOS), all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
