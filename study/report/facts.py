"""What several sections of the report need: the study, what follows from it, and small words."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from study.analysis.common_rung import Axis, CommonRung, axes
from study.analysis.importances import importances
from study.analysis.ranking import Ranked, rank
from study.analysis.rung_facts import RungFacts, rung_facts, schedule_of
from study.folder import StudyFolder
from study.ledger.records import StudyRecord, TrialRecord
from study.report.markup import Html, el

_NAMED = 40  # trials named one by one before "and N more"


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


def key(class_: str, text: str) -> Html:
    """Return an entry of a legend: the colour of a class, and what it stands for."""
    return el("span", el("i", class_=class_), text)


def so_many(count: int) -> str:
    """Return a number of trials in words."""
    return f"{count} trial{'s' * (count != 1)}"


def state(trial: TrialRecord) -> str:
    """Return a trial's state, with the rung that stopped it."""
    return f"{trial.state} at {trial.rung}" if trial.rung else str(trial.state)


def numbers(trials: Sequence[int]) -> str:
    """Return trial numbers as a list that does not grow beyond all bounds."""
    more = f" and {len(trials) - _NAMED} more" if len(trials) > _NAMED else ""
    return ", ".join(map(str, trials[:_NAMED])) + more
