"""How a running confirmation is shown: a line per event, or on a terminal one line that is redrawn."""

from collections.abc import Mapping

from study.confirmation.record import Place
from study.ledger.events import Event, RetrainingEnded, RetrainingReported, RetrainingStarted
from study.ledger.records import StudyRecord
from study.running.cluster import Slots
from study.terminal.say import Say
from study.views.tables import duration, number


class ConfirmProgress:
    """Follows the events of a confirmation."""

    def __init__(self, study: StudyRecord, concurrency: int, say: Say) -> None:
        """Begin with what the ledger holds.

        Args:
            study: with its plan.
            concurrency: retrainings at a time.
            say: shows a line.
        """
        plan, known = study.confirmation.plan, study.confirmation.retrainings
        assert plan is not None, "a confirmation begins with its plan"
        self._plan, self._say, self._concurrency = plan, say, concurrency
        self._seconds = {n: _seconds_per_kimg(study.trials[n].reports[-1].metrics) for n in plan.trials}
        planned = study.confirmation.planned
        reached = {r.place: r.kimg for r in known}
        over = {r.place for r in known if not r.due}
        self._left: dict[Place, int] = {p: plan.budget - reached.get(p, 0) for p in planned if p not in over}
        self._ended, self._all = len(planned) - len(self._left), len(planned)

    def begin(self, slots: Slots) -> None:
        """Say what is going to be done, and how long it takes at the speed that the study's trials had."""
        plan, trials = self._plan, ", ".join(map(str, self._plan.trials))
        before = f", {self._ended} of them done" if self._ended else ""
        self._say(
            f"training {len(plan.trials)} configurations (trials {trials}) from {plan.seeds} fresh seeds each to "
            f"{plan.budget} kimg: {self._all} trainings{before}, {slots.concurrency} at a time, "
            f"about {self._time_left()}",
            True,
        )

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, RetrainingStarted | RetrainingReported | RetrainingEnded):
            what = f"trial {event.trial:4d} seed {event.index}/{self._plan.seeds}"
            if isinstance(event, RetrainingStarted):
                again = f"started again (attempt {event.attempt}) from its last checkpoint"
                self._say(f"{what}  {'started' if event.attempt == 1 else again}", False)
            elif isinstance(event, RetrainingReported):
                self._left[event.place] = event.budget - event.kimg
                fid = f"{event.kimg:4d} of {event.budget} kimg  FID {number(event.metrics['fid'])}"
                self._say(f"{what}  {fid}; about {self._time_left()} left in all", False)
            else:
                self._left.pop(event.place, None)
                self._ended += 1
                self._say(f"{what}  {_ended(event)}; {self._ended} of {self._all} done", True)

    def _time_left(self) -> str:
        seconds = sum(kimg * self._seconds[trial] for (_, trial, _), kimg in self._left.items())
        return duration(seconds / self._concurrency)


def _ended(event: RetrainingEnded) -> str:
    if event.test is None:
        return f"{event.state}: {event.cause}"
    return f"completed: FID {number(event.test['fid'])} on test images, of its generator of {event.chosen} kimg"


def _seconds_per_kimg(metrics: Mapping[str, float]) -> float:
    return (metrics.get("train_seconds", 0.0) + metrics.get("eval_seconds", 0.0)) / metrics.get("kimg", 1.0)
