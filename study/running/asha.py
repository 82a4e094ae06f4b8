"""ASHA's decisions: Ray's scheduler, made exact and replayable."""

from dataclasses import dataclass

import numpy as np
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from study.study_file.schedule import Schedule
from trainables.streams import derive_seed


@dataclass(frozen=True)
class _Entrant:
    """All that Ray's rungs want to know of a trial. Named by its number, not by Ray's id, which changes on resume."""

    trial_id: str


class ExactAsha(ASHAScheduler):
    """Ray's asynchronous successive halving, minimising FID over kimg, in its stopping form.

    A trial that reports at a rung goes on if its FID is at most the 1/reduction_factor quantile (linear
    interpolation) of those recorded there before it; the first at a rung always goes on.

    Ray's own class computes rungs in floating point (and loses some), draws brackets from numpy's global state and
    lets NaN pass. Here rungs are exact integers, the bracket follows from (seed, trial number), and a value that
    is not finite is refused. So the decisions are a function of the schedule, the seed and the reports in their order:
    feeding the ledger's reports again rebuilds the state.
    """

    def __init__(self, schedule: Schedule, seed: int) -> None:
        super().__init__(
            time_attr="kimg",
            metric="fid",
            mode="min",
            max_t=schedule.max_kimg,
            grace_period=schedule.grace_kimg,
            reduction_factor=schedule.reduction_factor,
            brackets=schedule.brackets,
        )
        self._seed = seed
        for index, bracket in enumerate(self._brackets):
            bracket._rungs = [(rung, {}) for rung in reversed(schedule.rungs(index))]

    def goes_on(self, number: int, kimg: int, fid: float) -> bool:
        """Record the report of trial `number` and tell whether it survives.

        Args:
            number: the trial's number in the study.
            kimg: its training time; only at a rung is anything decided.
            fid: its FID there, finite.

        Raises:
            ValueError: if `fid` is not finite (a diverged trial ends, it does not compete).
        """
        if not np.isfinite(fid):
            raise ValueError(f"FID {fid} of trial {number} at {kimg} kimg is not finite")
        bracket = self._brackets[self.bracket(number)]
        if kimg not in (rung for rung, _ in bracket._rungs):
            return True
        decision = bracket.on_result(_Entrant(str(number)), kimg, -fid)  # type: ignore[arg-type]
        return bool(decision == TrialScheduler.CONTINUE)

    def bracket(self, number: int) -> int:
        """Return the bracket of a trial: drawn with Ray's probabilities, e^rungs normalised."""
        sizes = np.array([len(bracket._rungs) for bracket in self._brackets])
        weights = np.exp(sizes - sizes.max())
        rng = np.random.default_rng(derive_seed(self._seed, "bracket", number))
        return int(rng.choice(len(sizes), p=weights / weights.sum()))
