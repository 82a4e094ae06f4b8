"""The budget plan of a study: when trials report, where ASHA's rungs lie, when they are done."""

import math
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field, model_validator

from trainables.variants import Variant


class Schedule(Variant):
    """Successive halving over training time in kimg (thousands of real images shown to D).

    Bracket b has its rungs at grace_kimg * reduction_factor^(b + k), below max_kimg. Li et al. 2020, "A System for
    Massively Parallel Hyperparameter Tuning" (ASHA), section 3.
    """

    max_kimg: int = Field(ge=1, description="a trial that gets here is completed")
    grace_kimg: int = Field(ge=1, description="no trial is stopped earlier; the first rung")
    reduction_factor: int = Field(
        default=3,
        ge=2,
        description="a trial passes a rung if it is among the best one in so many of those before it",
    )
    brackets: int = Field(
        default=1, ge=1, description="trials are spread over this many brackets, with later first rungs"
    )
    report_kimg: int | None = Field(default=None, ge=1, description="kimg between FIDs; default: grace_kimg")

    @model_validator(mode="after")
    def _rungs_can_be_reported(self) -> Self:
        if self.grace_kimg > self.max_kimg:
            raise ValueError(f"grace_kimg {self.grace_kimg} is above max_kimg {self.max_kimg}; lower it")
        for what, kimg in [("max_kimg", self.max_kimg), *(("rung", rung) for rung in self.rungs())]:
            if kimg % self.report_every:
                raise ValueError(
                    f"{what} {kimg} is not a multiple of report_kimg {self.report_every}, so no report would fall on "
                    "it; choose report_kimg so that it divides grace_kimg and max_kimg"
                )
        possible = max(1, len(self.rungs()))
        if self.brackets > possible:
            raise ValueError(
                f"brackets {self.brackets}: only {possible} rungs lie below max_kimg; use at most {possible}"
            )
        return self

    @property
    def report_every(self) -> int:
        """Thousands of images between two reports."""
        return self.report_kimg or self.grace_kimg

    def rungs(self, bracket: int = 0) -> list[int]:
        """Return the kimg of the rungs of `bracket`, rising, all below `max_kimg`, in exact integers."""
        rungs, rung = [], self.grace_kimg * self.reduction_factor**bracket
        while rung < self.max_kimg:
            rungs.append(rung)
            rung *= self.reduction_factor
        return rungs

    def expected_kimg(
        self, waiting: int, running: Sequence[int] = (), arrived: Mapping[int, int] | None = None
    ) -> float:
        """Forecast the training time still to come, in kimg over all trials (of bracket 0).

        Args:
            waiting: trials that have not begun.
            running: kimg of each trial in hand.
            arrived: how many trials reported at each rung already.
        """
        left, flow, last = 0.0, float(waiting), 0
        for rung in [*self.rungs(), self.max_kimg]:
            here = [kimg for kimg in running if last <= kimg < rung]
            left += flow * (rung - last) + sum(rung - kimg for kimg in here)
            flow = self.passing(flow + len(here), (arrived or {}).get(rung, 0))
            last = rung
        return left

    def passing(self, arriving: float, before: int = 0) -> float:
        """Return how many of `arriving` trials pass a rung that `before` trials reached, if all are equally good.

        More pass if later ones are better than earlier ones, as a sampler that learns makes them.

        The i-th to arrive passes if it is below the 1/reduction_factor quantile of the i - 1 before it, which lies at
        position 1 + (i - 2) / reduction_factor of these; the i values cut the line into i equally likely gaps.
        """
        passing, whole = 0.0, math.ceil(arriving)
        for i in range(before + 1, before + whole + 1):
            chance = 1.0 if i == 1 else (1 + (i - 2) / self.reduction_factor) / i
            passing += chance * min(1.0, arriving - (i - before - 1))
        return passing
