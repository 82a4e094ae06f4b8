"""What is known of a running study, kept up from its events: the source of every live display."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from study.analysis.summary import summary
from study.ledger.events import AttemptStarted, Ended, Event, Reported, TrialId, TrialProposed
from study.ledger.records import Fold, TrialRecord, TrialState
from study.study_file.schedule import Schedule
from trainables.evaluation.image_counts import FidEstimate, best_of

_REPORTS_PER_SLOT = 1
"""So many after the first, and the pace is measured by the clock."""


@dataclass
class Line:
    """One training, as a display shows it. Times are `time.monotonic()` seconds."""

    record: TrialRecord
    waiting: bool = True
    """For a slot: it has not begun, or is to be handed out again."""
    started: float = 0.0
    ended: float | None = None

    @property
    def what(self) -> str:
        """Its configuration in a few words."""
        return summary(self.record.config)

    @property
    def state(self) -> str:
        """How it stands."""
        return "waiting" if self.waiting else str(self.record.state)

    @property
    def over(self) -> bool:
        """Whether it came to an end."""
        return not self.waiting and not self.record.unfinished

    @property
    def estimate(self) -> FidEstimate:
        """Its best FID."""
        return self.record.best.estimate if self.record.best else FidEstimate(0, math.inf)

    @property
    def images_per_second(self) -> float | None:
        """The speed of its training by the last report."""
        return self._last.get("images_per_second")

    @property
    def seconds(self) -> float:
        """Of training and evaluation up to the last report."""
        return self._last.get("train_seconds", 0.0) + self._last.get("eval_seconds", 0.0)

    @property
    def elapsed(self) -> float:
        """Seconds since the training was last handed out, until it ended."""
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0

    @property
    def _last(self) -> Mapping[str, float]:
        return self.record.reports[-1].metrics if self.record.reports else {}


class Board(ABC):
    """All trainings that a director runs, as `fold` has them."""

    what: ClassVar[str]
    """What they are called, many of them."""

    def __init__(self, fold: Fold, concurrency: int) -> None:
        """Begin before any is handed out.

        Args:
            fold: has taken what is in the ledger.
            concurrency: trainings at a time.
        """
        self.fold, self.concurrency = fold, concurrency
        self.lines: dict[TrialId, Line] = {}
        self._reports = 0
        # When this run had a report for each slot, and its last (monotonic seconds); the kimg of all trainings then.
        self._first: tuple[float, int] | None = None
        self._last: tuple[float, int] | None = None

    @property
    @abstractmethod
    def total(self) -> int:
        """Trainings that there will be."""

    @abstractmethod
    def name(self, id: TrialId) -> str:
        """What one is called."""

    @abstractmethod
    def shows(self, id: TrialId) -> bool:
        """Whether it is one of those."""

    @abstractmethod
    def _left(self) -> tuple[float, int]:
        """The kimg still expected, and of how many trainings."""

    def take(self, event: Event) -> Line | None:
        """Take note of an event that the fold has taken; return the training's line if it is about one."""
        if isinstance(event, TrialProposed):
            id = TrialId(event.trial)
        elif isinstance(event, AttemptStarted | Reported | Ended):
            id = event.id
        else:
            return None
        if not self.shows(id):
            return None
        record = self.fold.trial(id)
        line = self.lines.setdefault(id, Line(record))
        line.record = record
        if isinstance(event, AttemptStarted):
            line.waiting, line.started, line.ended = False, time.monotonic(), None
        elif isinstance(event, Ended):
            line.ended = time.monotonic()
        elif isinstance(event, Reported):
            self._reports += 1
            self._last = time.monotonic(), sum(one.record.kimg for one in self.lines.values())
            self._first = self._last if self._reports <= self.concurrency else self._first
        return line

    @property
    def finished(self) -> int:
        """Trainings that came to an end."""
        return sum(line.over for line in self.lines.values())

    @property
    def best(self) -> Line | None:
        """The training with the best FID so far."""
        known = [line for line in self.lines.values() if line.record.reports and line.state != "diverged"]
        return best_of(known)

    def seconds_left(self) -> float | None:
        """Forecast: the training still expected, at the pace so far; None before the first report."""
        pace = self._seconds_per_kimg()
        if pace is None:
            return None
        kimg, trainings = self._left()
        return kimg * pace / max(1, min(self.concurrency, trainings))

    def _seconds_per_kimg(self) -> float | None:
        """What a slot takes for 1,000 images, with all that goes with them: evaluation, checkpoints, starting trials.

        From this run's reports, once there were some for each slot; before that from what trainings say they took.
        """
        if self._first and self._last:
            seconds, kimg = (last - first for last, first in zip(self._last, self._first, strict=True))
            if self._reports >= (1 + _REPORTS_PER_SLOT) * self.concurrency and kimg:
                return seconds * self.concurrency / kimg
        told = [line.seconds / line.record.kimg for line in self._known() if line.record.kimg]
        return sum(told) / len(told) if told else None

    def _known(self) -> Iterable[Line]:
        """What tells how long a training takes."""
        return self.lines.values()


class StudyBoard(Board):
    """The trials of a study."""

    what = "trials"

    def __init__(self, schedule: Schedule, trials: int, concurrency: int, fold: Fold) -> None:
        """Begin with the trials there are; those that were running wait to be handed out again."""
        super().__init__(fold, concurrency)
        self.schedule, self.trials = schedule, trials
        study = fold.record(live=False)
        for trial in (*study.trials, *filter(None, [study.ahead])):
            raised = trial.state == TrialState.COMPLETED and trial.kimg < schedule.max_kimg
            self.lines[trial.id] = Line(trial, waiting=raised or trial.unfinished)

    @property
    def total(self) -> int:
        """Trials that there will be: all that are wanted, and what had begun if fewer are wanted now."""
        return max(self.trials, sum(bool(line.record.attempts) for line in self.lines.values()))

    def name(self, id: TrialId) -> str:
        """Its number."""
        return f"trial {id.trial:4d}"

    def shows(self, id: TrialId) -> bool:
        """Not retrainings."""
        return not id.seed

    def _left(self) -> tuple[float, int]:
        running = [line.record.kimg for line in self.lines.values() if self._is_to_run(line)]
        arrived = {
            rung: sum(line.record.kimg >= rung for line in self.lines.values()) for rung in self.schedule.rungs()
        }
        coming = max(0, self.trials - len(self.lines))
        return self.schedule.expected_kimg(coming, running, arrived), coming + len(running)

    def _is_to_run(self, line: Line) -> bool:
        wanted = bool(line.record.attempts or line.record.number < self.trials)
        return wanted and not line.over
