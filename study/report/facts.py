"""What several sections of the report need: the study, and what follows from it."""

from dataclasses import dataclass
from typing import Self

from study.analysis.common_rung import Axis, axes
from study.analysis.compared import Compared, compared, telling
from study.analysis.ranking import Ranked, rank
from study.folder import StudyFolder
from study.ledger.records import StudyRecord, TrialRecord


@dataclass(frozen=True)
class Facts:
    """A study and what several sections need of it.

    Attributes:
        study: what the ledger knows.
        folder: where its pictures lie.
        ranked: the ranking.
        best: the first of the ranking.
        budgets: all trials side by side at each budget, rising.
        chosen: which of the budgets is shown first; None if there is none.
        axes: the parameters that vary.
    """

    study: StudyRecord
    folder: StudyFolder
    ranked: list[Ranked]
    best: TrialRecord | None
    budgets: list[Compared]
    chosen: int | None
    axes: list[Axis]

    @classmethod
    def of(cls, study: StudyRecord, folder: StudyFolder) -> Self:
        """Work them out."""
        ranked, budgets = rank(study.trials), compared(study)
        best = ranked[0].trial if ranked else None
        return cls(study, folder, ranked, best, budgets, telling(budgets), axes(study.trials))
