"""Torch's optimisers without torch's compiler.

Torch imports its compiler (1.5 s, with sympy) when a process makes its first optimiser, only to tell it to leave the
optimiser alone. Nothing here is compiled, so the functions behind those wrappers are called directly.
"""

import inspect
from collections.abc import Callable, Hashable
from functools import cache
from typing import Any, TypeVar, cast

import torch
from torch.optim import Optimizer

AnOptimizer = TypeVar("AnOptimizer", bound=Optimizer)

_WRAPPED = ("add_param_group", "state_dict", "load_state_dict", "zero_grad")
"""Methods that torch wraps to keep its compiler out."""


def eager(kind: type[AnOptimizer]) -> Callable[..., AnOptimizer]:
    """Return the same optimiser, to the last bit, that never loads the compiler.

    Args:
        kind: of `torch.optim`.
    """
    found: Callable[..., AnOptimizer] = _eager(cast(Hashable, kind))
    return found


@cache
def _eager(kind: Any) -> Any:
    plain_step = inspect.unwrap(kind.step)

    @torch.no_grad()
    def step(self: Optimizer, closure: None = None) -> Any:
        return plain_step(self, closure)

    methods = {name: inspect.unwrap(getattr(kind, name)) for name in _WRAPPED}
    return type(kind.__name__, (kind,), {**methods, "step": step, "__doc__": kind.__doc__})
