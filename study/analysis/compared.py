"""Trials side by side at each budget of a study, and at which of them their order means something."""

from collections.abc import Sequence
from dataclasses import dataclass

from study.analysis.common_rung import CommonRung
from study.analysis.rung_facts import Correlation, correlation, schedule_of
from study.ledger.records import StudyRecord, TrialState

TELLING = 0.5
"""Spearman's correlation with the order at the end, from which on the order at a budget is taken to mean something."""

FEWEST = 5
"""Trials from which such a correlation is believed, and by which a budget without one is worth showing first."""


@dataclass(frozen=True)
class Compared:
    """All trials that can be compared at one budget, and how well their FIDs there tell the order at the end."""

    common: CommonRung
    to_end: Correlation


def compared(study: StudyRecord) -> list[Compared]:
    """Return the trials at each rung and at the full budget, rising; without those at which fewer than two compare.

    Where there is none of these, the largest budget at which all trials that have ended compare, if there is one.
    """
    schedule = schedule_of(study.config)
    found = [CommonRung.at(study, kimg) for kimg in [*schedule.rungs(), schedule.max_kimg]]
    kept = [common for common in found if len(common.fids) > 1] or [*filter(None, [CommonRung.of(study)])]
    completed = [trial for trial in study.trials if trial.state == TrialState.COMPLETED]
    return [Compared(common, correlation(completed, common.kimg, schedule.max_kimg)) for common in kept]


def telling(budgets: Sequence[Compared]) -> int | None:
    """Return which of the budgets to look at first, by index; None if there is none.

    The lowest whose order is that at the end: it has the most trials of those that mean something. While no budget is
    known to, the highest that a few trials have reached.
    """
    means = (i for i, b in enumerate(budgets) if b.to_end.count >= FEWEST and (b.to_end.rho or 0.0) >= TELLING)
    several = (i for i in reversed(range(len(budgets))) if len(budgets[i].common.fids) >= FEWEST)
    return next(means, next(several, 0 if budgets else None))
