"""What several sections of the report need: the study, and what follows from it."""

from dataclasses import dataclass
from typing import Self

from study.analysis.common_rung import Axis, CommonRung, axes
from study.analysis.importances import importances
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
        common: all trials at one budget.
        axes: the parameters that vary.
        importances: of the parameters at the common rung, the largest first; empty for too few trials.
    """

    study: StudyRecord
    folder: StudyFolder
    ranked: list[Ranked]
    best: TrialRecord | None
    common: CommonRung | None
    axes: list[Axis]
    importances: dict[str, float]

    @classmethod
    def of(cls, study: StudyRecord, folder: StudyFolder) -> Self:
        """Work them out."""
        ranked, common = rank(study.trials), CommonRung.of(study)
        best = ranked[0].trial if ranked else None
        weights = importances(study.trials, common) if common else {}
        by_weight = dict(sorted(weights.items(), key=lambda pair: -pair[1]))
        return cls(study, folder, ranked, best, common, axes(study.trials), by_weight)
