"""Controllers of G's learning rate by how well D tells generated from real images. A new one is a class and a row.

The configuration (`RateControl`) is frozen; `start` gives the `Controller` that holds what changes in training.
"""

from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from trainables.variants import Variant


class Controller:
    """Base: G's rate is multiplied by 1, always."""

    multiplier = 1.0

    def observe(self, step: int, fake_logits: Tensor) -> None:
        """Note D's logits (N,) on generated images in its step number `step` (from 0), before D moves."""

    def state_dict(self) -> dict[str, Any]:
        """Return what changes: tensors and plain numbers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""


class RateControl(Variant):
    """Base: no control."""

    name: str
    needs_boundary: ClassVar[bool] = False
    """Only for losses with a logit at which D decides between real and generated."""

    def start(self, boundary: float | None, device: torch.device) -> Controller:
        """Return a new controller.

        Args:
            boundary: the logit above which D calls an image real, None if the loss has none.
            device: of the logits.
        """
        return Controller()

    def reads(self, step: int) -> bool:
        """Whether the controller reads from the device in D's step number `step` (from 0), so that the host waits."""
        return False


class NoRateControl(RateControl):
    """The rate as given."""

    name: Literal["none"] = "none"


class FalsePositiveRate(RateControl):
    """Keep the share of generated images that D takes for real within [low, high].

    After every `window` steps of D: below `low` (D wins) G's rate is multiplied by `factor`, above `high` (G wins) it
    is divided by `factor`, in between it stays. The product of all factors stays within [1 / limit, limit].
    """

    name: Literal["false_positive_rate"] = "false_positive_rate"
    window: int = Field(default=100, ge=1, le=100_000, description="steps of D")
    low: float = Field(default=0.1, ge=0, le=1)
    high: float = Field(default=0.5, ge=0, le=1)
    factor: float = Field(default=0.9, gt=0, lt=1)
    limit: float = Field(default=10, gt=1, le=1e6, description="largest multiplier of G's rate, and 1 over the least")
    needs_boundary: ClassVar[bool] = True

    @model_validator(mode="after")
    def _is_a_band(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}; swap them")
        return self

    def adjust(self, multiplier: float, share: float) -> float:
        """Return the multiplier after a window in which D took `share` of the generated images for real."""
        if share < self.low:
            multiplier *= self.factor
        elif share > self.high:
            multiplier /= self.factor
        return min(max(multiplier, 1 / self.limit), self.limit)

    def reads(self, step: int) -> bool:
        """At the end of each window."""
        return (step + 1) % self.window == 0

    def start(self, boundary: float | None, device: torch.device) -> Controller:
        """Return a controller with multiplier 1 and an empty window."""
        if boundary is None:
            raise ValueError("false_positive_rate needs a loss with a boundary")
        return _FalsePositives(self, boundary, device)


class _FalsePositives(Controller):
    """Counts on the device; the host waits for the count once per window."""

    def __init__(self, config: FalsePositiveRate, boundary: float, device: torch.device) -> None:
        self._config, self._boundary = config, boundary
        self._positives = torch.zeros((), dtype=torch.int64, device=device)

    @torch.no_grad()
    def observe(self, step: int, fake_logits: Tensor) -> None:
        self._positives += (fake_logits > self._boundary).sum()
        if self._config.reads(step):
            seen = self._config.window * len(fake_logits)  # batches are always full
            self.multiplier = self._config.adjust(self.multiplier, self._positives.item() / seen)
            self._positives.zero_()

    def state_dict(self) -> dict[str, Any]:
        return {"multiplier": self.multiplier, "positives": int(self._positives)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.multiplier = state["multiplier"]
        self._positives.fill_(state["positives"])


RATE_CONTROLS: dict[str, type[RateControl]] = {"none": NoRateControl, "false_positive_rate": FalsePositiveRate}
