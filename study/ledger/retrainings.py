"""What of a study was trained again from fresh seeds, as one of the groups that can ask for it sees it."""

from collections.abc import Iterable
from dataclasses import dataclass

from study.ledger.events import CONFIRM, NOISE, RetrainingPlanned, TrialId
from study.ledger.outcomes import TrialState
from study.ledger.trial_record import TrialRecord


@dataclass(frozen=True)
class Retrainings:
    """All plans of a group in order, and all retrainings, whoever asked for them, in the order in which they began."""

    group: str
    plans: tuple[RetrainingPlanned, ...] = ()
    retrainings: tuple[TrialRecord, ...] = ()

    @property
    def plan(self) -> RetrainingPlanned | None:
        """The plan that holds: the newest."""
        return self.plans[-1] if self.plans else None

    def find(self, id: TrialId) -> TrialRecord | None:
        """That retraining, None if it has not begun."""
        return next((r for r in self.retrainings if r.id == id), None)

    def of(self, plan: RetrainingPlanned, trial: int) -> list[TrialRecord]:
        """What has begun of a plan's retrainings of one trial, in order of their seeds."""
        found = (self.find(id) for id in plan.ids if id.trial == trial)
        return [retraining for retraining in found if retraining]

    def is_over(self, retraining: TrialRecord) -> bool:
        """Whether it has come to its end for this group: to confirm is to evaluate what completed on test images."""
        unevaluated = retraining.state == TrialState.COMPLETED and retraining.test is None
        return not retraining.unfinished and not (unevaluated and self.group == CONFIRM)

    @property
    def due(self) -> list[TrialId]:
        """What the next run of the command hands out: what failed may have failed for want of a machine."""
        return [
            id
            for id in self.planned
            if not any(
                self._answers(r, id) and (self._says(r, id) or r.state != TrialState.FAILED) for r in self.retrainings
            )
        ]

    def is_answered(self, id: TrialId) -> bool:
        """Whether there is what was asked for, or will not be."""
        return any(self._answers(retraining, id) for retraining in self.retrainings)

    def _answers(self, retraining: TrialRecord, id: TrialId) -> bool:
        return self._says(retraining, id) or (retraining.id == id and self.is_over(retraining))

    def _says(self, retraining: TrialRecord, id: TrialId) -> bool:
        """Whether one says what noise asks for, be it on its way to a larger budget."""
        same = (retraining.number, retraining.seed) == (id.trial, id.seed)
        return self.group == NOISE and same and id.budget in retraining.curve

    def is_complete(self, plan: RetrainingPlanned) -> bool:
        """Whether all of a plan has come to its end."""
        return self._ended(plan.ids) == len(plan.ids)

    @property
    def planned(self) -> list[TrialId]:
        """All retrainings of the plan that holds."""
        return self.plan.ids if self.plan else []

    @property
    def begun(self) -> list[TrialRecord]:
        """Those of the plan that holds that have begun."""
        planned = set(self.planned)
        return [retraining for retraining in self.retrainings if retraining.id in planned]

    @property
    def ended(self) -> int:
        """How many retrainings of the plan that holds have come to their end."""
        return self._ended(self.planned)

    @property
    def complete(self) -> bool:
        """Whether there is a plan, and all of the one that holds has come to its end."""
        return self.plan is not None and self.is_complete(self.plan)

    def _ended(self, ids: Iterable[TrialId]) -> int:
        return sum(map(self.is_answered, ids))
