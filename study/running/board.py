"""What is known of a running study, kept up from its events: the source of every live display."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from study.ledger.events import AttemptStarted, Ended, Event, Reported, TrialProposed
from study.study_file.schedule import Schedule
from trainables.evaluation.image_counts import IMAGES, FidEstimate, best_of


def summary(config: Mapping[str, Any]) -> str:
    """Return a trial's configuration in a few words: model, loss, penalty, normalisation of D, learning rates."""
    model = config["model"]
    words = [f"{model['name']}-{model.get('width', '')}", config["loss"]]
    words += [word for word in (config["penalty"]["name"], config["normalisation"]) if word != "none"]
    rates = [f"{config[key]['lr']:.1e}" for key in ("generator_optimiser", "discriminator_optimiser")]
    return " ".join([*words, "/".join(rates)])


_REPORTS_PER_SLOT = 1
"""So many after the first, and the pace is measured by the clock."""


@dataclass
class Line:
    """One trial, as a display shows it. Times are `time.monotonic()` seconds."""

    number: int
    what: str = ""
    origin: str = ""
    state: str = "waiting"
    kimg: int = 0
    fid: float | None = None
    fid_best: float | None = None
    images: int = 0
    """The most by which it was judged: `fid_best` is of so many; 0 where all reports have as many."""
    images_per_second: float | None = None
    seconds: float = 0.0
    """Of training and evaluation up to `kimg`."""
    rung: int | None = None
    cause: str | None = None
    attempt: int = 0
    started: float = 0.0
    ended: float | None = None

    @property
    def estimate(self) -> FidEstimate:
        """Its best FID."""
        return FidEstimate(self.kimg, self.fid_best or 0.0, self.images)

    @property
    def elapsed(self) -> float:
        """Seconds since the trial was last handed out, until it ended."""
        return (self.ended or time.monotonic()) - self.started if self.started else 0.0


@dataclass
class Board:
    """All trials of a study that is being run."""

    schedule: Schedule
    trials: int
    concurrency: int
    lines: dict[int, Line] = field(default_factory=dict)
    _reports: int = 0
    _first: tuple[float, int] | None = None
    """When this run had a report for each slot (monotonic seconds), and the kimg of all trials then."""
    _last: tuple[float, int] | None = None

    @classmethod
    def resumed(cls, schedule: Schedule, trials: int, concurrency: int, events: Iterable[Event]) -> "Board":
        """Return the board of a study after `events`; trials that were running then wait to be handed out again."""
        board = cls(schedule, trials, concurrency)
        for event in events:
            board.take(event)
        for line in board.lines.values():
            line.started, line.ended = 0.0, None
            raised = line.state == "completed" and line.kimg < schedule.max_kimg
            line.state = "waiting" if raised or line.state == "running" else line.state
        board._reports, board._first, board._last = 0, None, None
        return board

    def take(self, event: Event) -> Line | None:
        """Take an event; return the trial's line if the event is about one."""
        handler = _HANDLERS.get(type(event))
        if handler is None:
            return None
        number: int = getattr(event, "trial")  # noqa: B009  every event with a handler has one
        line = self.lines.setdefault(number, Line(number))
        handler(line, event)
        if isinstance(event, Reported):
            self._reports += 1
            self._last = time.monotonic(), sum(one.kimg for one in self.lines.values())
            self._first = self._last if self._reports <= self.concurrency else self._first
        return line

    @property
    def finished(self) -> int:
        """Trials that came to an end."""
        return sum(line.state not in ("waiting", "running") for line in self.lines.values())

    @property
    def total(self) -> int:
        """Trials that there will be: all that are wanted, and what had begun if fewer are wanted now."""
        return max(self.trials, sum(bool(line.attempt) for line in self.lines.values()))

    def _is_to_run(self, line: Line) -> bool:
        return line.state in ("running", "waiting") and bool(line.attempt or line.number < self.trials)

    @property
    def best(self) -> Line | None:
        """The trial with the best FID so far."""
        known = [line for line in self.lines.values() if line.fid_best is not None and line.state != "diverged"]
        return best_of(known)

    def seconds_left(self) -> float | None:
        """Forecast: the training still expected, at the pace so far; None before the first report."""
        pace = self._seconds_per_kimg()
        if pace is None:
            return None
        running = [line.kimg for line in self.lines.values() if self._is_to_run(line)]
        arrived = {rung: sum(line.kimg >= rung for line in self.lines.values()) for rung in self.schedule.rungs()}
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
        told = [line.seconds / line.kimg for line in self.lines.values() if line.kimg]
        return sum(told) / len(told) if told else None


def _proposed(line: Line, event: TrialProposed) -> None:
    line.what, line.origin = summary(event.config), event.origin


def _started(line: Line, event: AttemptStarted) -> None:
    line.state, line.started, line.ended, line.attempt = "running", time.monotonic(), None, event.attempt


def _reported(line: Line, event: Reported) -> None:
    metrics = event.metrics
    line.kimg, line.fid, line.fid_best = event.kimg, metrics["fid"], metrics["fid_best"]
    line.images = max(line.images, int(metrics.get(IMAGES, 0)))
    line.images_per_second = metrics["images_per_second"]
    line.seconds = metrics.get("train_seconds", 0.0) + metrics.get("eval_seconds", 0.0)


def _ended(line: Line, event: Ended) -> None:
    line.state, line.rung, line.cause, line.ended = event.state, event.rung, event.cause, time.monotonic()


_HANDLERS: dict[type, Any] = {
    TrialProposed: _proposed,
    AttemptStarted: _started,
    Reported: _reported,
    Ended: _ended,
}
