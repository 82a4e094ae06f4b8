"""Sets an optimiser's learning rate from step to step, and keeps its state.

A step that is captured once and replayed (trainables/gan/captured.py) cannot take a new plain number: it reads its rate
from the device, where the host has written it.
"""

import copy
from typing import Any

import torch
from torch import Tensor


class RateDial:
    """The rate of a torch optimiser. Its saved state is the same whether or not the rate is on the device."""

    def __init__(self, optimiser: torch.optim.Optimizer, device: torch.device | None = None) -> None:
        """Take over the rate of `optimiser`, before its first step.

        Args:
            optimiser: with one or several groups of parameters, all at one rate.
            device: to keep the rate on (in float32, as torch's fused optimisers need); None: a plain number.
        """
        self._optimiser = optimiser
        self._rate = None if device is None else torch.zeros((), device=device)
        # Torch allows `capturable`, which says where an optimiser counts its steps, only on a GPU.
        self._own = {"lr": self._rate, "capturable": device.type == "cuda"} if device else {}
        for group in optimiser.param_groups:
            group |= self._owned(group)

    def set(self, rate: float) -> None:
        """Use `rate` from now on; never waits for a device."""
        if self._rate is not None:
            self._rate.fill_(rate)
            return
        for group in self._optimiser.param_groups:
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """Return the optimiser's state, with a plain number for the rate."""
        state = self._optimiser.state_dict()
        if self._rate is not None:
            plain = {"lr": float(self._rate), "capturable": False}
            state["param_groups"] = [g | {k: v for k, v in plain.items() if k in g} for g in state["param_groups"]]
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, with each moment in the memory layout of its parameter.

        Torch's fused optimisers walk both by raw pointers: in another layout, moments would go to the wrong weights.
        """
        # A torch optimiser keeps the very tensors it is given and changes them in place: give it copies.
        state = copy.deepcopy(state)
        for group in state["param_groups"]:
            group |= self._owned(group)
        self._optimiser.load_state_dict(state)
        for group in self._optimiser.param_groups:  # torch copied the rate: back to what `set` writes
            group |= self._owned(group)
        for parameter, values in self._optimiser.state.items():
            for name, value in values.items():
                alike = isinstance(value, Tensor) and value.shape == parameter.shape
                if alike and value.stride() != parameter.stride():
                    values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    def _owned(self, group: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in self._own.items() if name in group}
