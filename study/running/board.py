"""What is known of a running study, kept up from its events: the source of every live display."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from study.analysis.summary import summary
from study.ledger.events import AttemptStarted, Ended, Event, Reported, TrialProposed
from study.ledger.records import Fold, TrialRecord, TrialState
from study.study_file.schedule import Schedule
from trainables.evaluation.image_counts import Judgement, best_of

_REPORTS_PER_SLOT = 1
"""So many after the first, and the pace is measured by the clock."""


@dataclass
class Line:
    """One trial, as a display shows it. Times are `time.monotonic()` seconds."""

    record: TrialRecord
    waiting: bool = True
    """For a slot: it has not begun, or is to be handed out again."""
    started: float = 0.0
    ended: float | None = None

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.record.number

    @property
    def what(self) -> str:
        """Its configuration in a few words."""
        return summary(self.record.config)

    @property
    def state(self) -> str:
        """How it stands."""
        return "waiting" if self.waiting else str(self.record.state)

    @property
    def judgement(self) -> Judgement:
        """Its best FID."""
        return self.record.best.judgement if self.record.best else Judgement(0, math.inf)

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
        """Seconds since the trial was last handed out, until it ended."""
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0

    @property
    def _last(self) -> Mapping[str, float]:
        return self.record.reports[-1].metrics if self.record.reports else {}


@dataclass
class Board:
    """All trials of a study that is being run, as `fold` has them."""

    schedule: Schedule
    trials: int
    concurrency: int
    fold: Fold
    lines: dict[int, Line] = field(default_factory=dict)
    _reports: int = 0
    _first: tuple[float, int] | None = None
    """When this run had a report for each slot (monotonic seconds), and the kimg of all trials then."""
    _last: tuple[float, int] | None = None

    def __post_init__(self) -> None:
        """Begin with the trials there are; those that were running wait to be handed out again."""
        study = self.fold.record(live=False)
        for trial in (*study.trials, *filter(None, [study.ahead])):
            raised = trial.state == TrialState.COMPLETED and trial.kimg < self.schedule.max_kimg
            self.lines[trial.number] = Line(trial, waiting=raised or trial.unfinished)

    def take(self, event: Event) -> Line | None:
        """Take note of an event that the fold has taken; return the trial's line if it is about one."""
        if not isinstance(event, TrialProposed | AttemptStarted | Reported | Ended):
            return None
        record = self.fold.trial(event.trial)
        line = self.lines.setdefault(event.trial, Line(record))
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
        """Trials that came to an end."""
        return sum(line.state not in ("waiting", "running") for line in self.lines.values())

    @property
    def total(self) -> int:
        """Trials that there will be: all that are wanted, and what had begun if fewer are wanted now."""
        return max(self.trials, sum(bool(line.record.attempts) for line in self.lines.values()))

    def _is_to_run(self, line: Line) -> bool:
        return line.state in ("running", "waiting") and bool(line.record.attempts or line.number < self.trials)

    @property
    def best(self) -> Line | None:
        """The trial with the best FID so far."""
        known = [line for line in self.lines.values() if line.record.reports and line.state != "diverged"]
        return best_of(known)

    def seconds_left(self) -> float | None:
        """Forecast: the training still expected, at the pace so far; None before the first report."""
        pace = self._seconds_per_kimg()
        if pace is None:
            return None
        running = [line.record.kimg for line in self.lines.values() if self._is_to_run(line)]
        arrived = {
            rung: sum(line.record.kimg >= rung for line in self.lines.values()) for rung in self.schedule.rungs()
        }
        coming = max(0, self.trials - len(self.lines))
        left = self.schedule.expected_kimg(coming, running, arrived)
        return left * pace / max(1, min(self.concurrency, coming + len(running)))

    def _seconds_per_kimg(self) -> float | None:
        """What a slot takes for 1,000 images, with all that goes with them: evaluation, checkpoints, starting trials.

        From this run's reports, once there were some for each slot; before that from what trials say they took.
        """
        if self._first and self._last:
            seconds, kimg = (last - first for last, first in zip(self._last, self._first, strict=True))
            if self._reports >= (1 + _REPORTS_PER_SLOT) * self.concurrency:
                return seconds * self.concurrency / kimg
        told = [line.seconds / line.record.kimg for line in self.lines.values() if line.record.kimg]
        return sum(told) / len(told) if told else None
