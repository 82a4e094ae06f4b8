"""What several sections of the report need: the study, and what follows from it."""

from dataclasses import dataclass
from functools import cached_property

from study.analysis.common_rung import Axis, CommonRung, axes
from study.analysis.importances import importances
from study.analysis.ranking import Ranked, rank
from study.analysis.rung_facts import RungFacts, rung_facts, schedule_of
from study.folder import StudyFolder
from study.ledger.records import StudyRecord, TrialRecord


@dataclass(frozen=True)
class Facts:
    """A study and what several sections need of it."""

    study: StudyRecord
    folder: StudyFolder

    @cached_property
    def ranked(self) -> list[Ranked]:
        """The ranking."""
        return rank(self.study.trials)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The first of the ranking."""
        return self.ranked[0].trial if self.ranked else None

    @cached_property
    def common(self) -> CommonRung | None:
        """All trials at one budget."""
        return CommonRung.of(self.study)

    @cached_property
    def axes(self) -> list[Axis]:
        """The parameters that vary."""
        return axes(self.study.trials)

    @cached_property
    def importances(self) -> dict[str, float]:
        """Of the parameters at the common rung, the largest first; empty for too few trials."""
        found = importances(self.study.trials, self.common) if self.common else {}
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    @cached_property
    def rungs(self) -> list[RungFacts]:
        """What each rung saw."""
        return rung_facts(self.study.trials, schedule_of(self.study.config))
