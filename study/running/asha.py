"""ASHA's decisions: asynchronous successive halving in its stopping form, exact and replayable."""

import numpy as np

from study.study_file.schedule import Schedule
from trainables.streams import derive_seed


class Asha:
    """Asynchronous successive halving, minimising FID over kimg, by the stopping rule of Ray's `ASHAScheduler`.

    A trial that reports at a rung goes on if its FID is at most the 1/reduction_factor quantile (linear
    interpolation) of those recorded there before it; the first at a rung always goes on. The paper's rule, the top
    1/reduction_factor with the trial itself counted, is stricter. Li et al. 2020, "A System for Massively Parallel
    Hyperparameter Tuning", algorithm 2.

    Rungs are exact integers and a trial's bracket follows from (seed, trial number). So the decisions are a function
    of the schedule, the seed and the reports in their order: feeding the ledger's reports again rebuilds the state.
    """

    def __init__(self, schedule: Schedule, seed: int) -> None:
        self._brackets: list[dict[int, dict[int, float]]] = [
            {rung: {} for rung in schedule.rungs(bracket)} for bracket in range(schedule.brackets)
        ]
        self._percentile = (1 - 1 / schedule.reduction_factor) * 100
        self._seed = seed

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
        recorded = self._brackets[self.bracket(number)].get(kimg)
        if recorded is None or number in recorded:
            return True
        # Of rewards, -FID, as Ray computes it: decisions in older ledgers depend on its rounding.
        survives = not recorded or bool(-fid >= np.percentile(list(recorded.values()), self._percentile))
        recorded[number] = -fid
        return survives

    def bracket(self, number: int) -> int:
        """Return the bracket of a trial: drawn with Ray's probabilities, e^rungs normalised."""
        sizes = np.array([len(rungs) for rungs in self._brackets])
        weights = np.exp(sizes - sizes.max())
        rng = np.random.default_rng(derive_seed(self._seed, "bracket", number))
        return int(rng.choice(len(sizes), p=weights / weights.sum()))
