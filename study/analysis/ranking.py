"""Which trial is best: at equal budget, so that an early FID never beats a trial that was trained on."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from study.ledger.records import StudyRecord, TrialRecord, TrialState
from trainables.errors import GanStudyError, InvalidInput

RULE = (
    "Trials trained to a larger budget (kimg) come first; at the same budget the lower best FID, "
    "then the lower last FID, then the earlier trial; diverged and failed trials are not ranked."
)

UNRANKED = frozenset({TrialState.DIVERGED, TrialState.FAILED})
"""States of trials that are not ranked."""


@dataclass(frozen=True)
class Ranked:
    """A trial with its rank (from 1), its budget (kimg), and the best and last FID up to that budget."""

    rank: int
    trial: TrialRecord
    budget: int
    fid_best: float
    fid: float


def rank(trials: Iterable[TrialRecord], top: int | None = None) -> list[Ranked]:
    """The trials in the order of `RULE`, the best first, at most `top` of them.

    FIDs are compared only between trials of one budget. A trial that ASHA stopped at 27 kimg may have had a
    lower FID there than a finalist has at the end: nobody knows whether it would have kept it, and production
    training is longer still. Only those that went on are evidence for the larger budget.

    At one budget the *best* FID counts, since a trial keeps the checkpoint of its best and that is what one
    gets: late collapse is normal in GAN training. The trials of a study report at the same budgets, so the
    minimum is over equally many looks. Of equal best FIDs the one that held it (lower last FID) wins. Where rungs are
    evaluated by fewer images (`evaluation.rung_count`), only the looks of the most images count.

    A diverged or failed trial never ranks, nor does one without a report. A running or interrupted one does,
    by what it has reported.

    Raises:
        InvalidInput: `top` is below 1.
    """
    if top is not None and top < 1:
        raise InvalidInput(f"top {top}: ask for at least 1 trial")
    ranked = [_at_own_budget(trial) for trial in trials if _ranks(trial)]
    ranked.sort(key=lambda r: (-r.budget, r.fid_best, r.fid, r.trial.number))
    return [replace(r, rank=number) for number, r in enumerate(ranked[:top], start=1)]


def chosen_trial(study: StudyRecord, number: int | None) -> TrialRecord:
    """Return trial `number`, or the best one.

    Raises:
        InvalidInput: if there is no such trial.
        GanStudyError: if none can be ranked.
    """
    if number is None:
        ranked = rank(study.trials, top=1)
        if not ranked:
            raise GanStudyError(f"no trial of {study.config['name']} can be ranked yet; see `ganstudy status`")
        return ranked[0].trial
    if not 0 <= number < len(study.trials):
        raise InvalidInput(f"--trial {number}: the study has trials 0 to {len(study.trials) - 1}")
    return study.trials[number]


def common_budget(trials: Iterable[TrialRecord]) -> int | None:
    """The largest budget (kimg) at which every trial that can be ranked has a report; None if there is none.

    With `TrialRecord.best_up_to` it puts trials of different budgets side by side in one column.
    """
    budgets = [set(trial.curve) for trial in trials if _ranks(trial)]
    return max(set.intersection(*budgets), default=None) if budgets else None


def _ranks(trial: TrialRecord) -> bool:
    return bool(trial.reports) and trial.state not in UNRANKED


def _at_own_budget(trial: TrialRecord) -> Ranked:
    last = trial.reports[-1]
    assert trial.fid_best is not None, "it has reported"
    return Ranked(rank=0, trial=trial, budget=last.kimg, fid_best=trial.fid_best, fid=last.fid)
