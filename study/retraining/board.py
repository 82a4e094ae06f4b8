"""What is known of running retrainings: their part of the live display."""

from collections.abc import Iterable

from study.ledger.events import TrialId
from study.ledger.records import Fold
from study.running.board import Board, Line


class RetrainingBoard(Board):
    """The retrainings of the plan that holds in a group."""

    what = "retrainings"

    def __init__(self, fold: Fold, group: str, concurrency: int) -> None:
        """Begin with what was done before."""
        super().__init__(fold, concurrency)
        study = fold.record(live=False)
        asked = study.asked(group)
        self._due, self._planned = set(asked.due), asked.planned
        self._seeds = max((id.seed for id in self._planned), default=0)
        self._trials = [Line(study.trials[number]) for number in {id.trial for id in self._planned}]
        for retraining in asked.begun:
            self.lines[retraining.id] = Line(retraining, waiting=retraining.id in self._due)

    @property
    def total(self) -> int:
        """All of the plan."""
        return len(self._planned)

    @property
    def finished(self) -> int:
        """Those that came to their end, or had been where the plan ends."""
        return len(self._planned) - len(self._to_do)

    def name(self, id: TrialId) -> str:
        """Its trial, and the index of its seed."""
        return f"trial {id.trial:4d} seed {id.seed}/{self._seeds}"

    def shows(self, id: TrialId) -> bool:
        """Those of the plan."""
        return id in self._planned

    def _left(self) -> tuple[float, int]:
        known = {id: line.record.kimg for id, line in self.lines.items()}
        left = [id.budget - known.get(id, 0) for id in self._to_do]
        return sum(left), len(left)

    @property
    def _to_do(self) -> list[TrialId]:
        return [id for id in self._due if id not in self.lines or not self.lines[id].over]

    def _known(self) -> Iterable[Line]:
        """Before its first report a retraining will take as long as its trial."""
        return [*(super()._known() if any(line.record.kimg for line in super()._known()) else self._trials)]
