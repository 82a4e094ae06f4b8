"""What decides over trainings, without Ray: hands them out, takes their results, and writes both to the ledger first.

Every step is in the ledger, committed, before anyone acts on it. The `Conductor` is the director of a study's own
trials, the `Retrainer` that of retrainings.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from study.ledger.events import AttemptStarted, Ended, Event, Reported, TrialId
from study.ledger.ledger import Writer
from study.ledger.records import TrialState
from study.running.taking import Over, Reached, take
from trainables.evaluation.image_counts import FidEstimate, best_of


@dataclass
class Running:
    """A training in hand, under a `number` of its director's: its configuration and what it reported so far."""

    number: int
    id: TrialId
    config: dict[str, Any]
    attempt: int
    reports: dict[int, FidEstimate] = field(default_factory=dict)

    @property
    def kimg(self) -> int:
        """Training time of the last report, 0 before the first."""
        return max(self.reports, default=0)

    @property
    def fid(self) -> float | None:
        """The last FID."""
        return self.reports[self.kimg].fid if self.reports else None

    @property
    def fid_best(self) -> float | None:
        """The best FID."""
        return None if (best := self.best) is None else best.fid

    @property
    def best(self) -> FidEstimate | None:
        """The report of the best FID."""
        return best_of(self.reports.values())


class Director(ABC):
    """Runs trainings against the ledger. Not thread-safe: the driver's one thread owns it."""

    command: ClassVar[str]
    """What goes on with them."""

    def __init__(self, writer: Writer, metrics: Sequence[str]) -> None:
        """Have nothing in hand.

        Args:
            writer: the ledger, owned.
            metrics: the names of the numbers in a report.
        """
        self._writer, self._metrics = writer, metrics
        self._running: dict[int, Running] = {}
        self._unfinished: deque[Running] = deque()

    @property
    def coming(self) -> int:
        """How many trainings there are to hand out."""
        return len(self._unfinished)

    @property
    def exhausted(self) -> bool:
        """Whether all have been handed out."""
        return not self.coming

    @property
    def done(self) -> bool:
        """Whether all have come to their end."""
        return self.exhausted and not self._running

    def next(self) -> Running | None:
        """Hand one out, None when there are no more."""
        return self._start(self._unfinished.popleft()) if self._unfinished else None

    def prepare(self) -> None:  # noqa: B027  most have nothing to prepare
        """Do now, while all train, what the next `next` would have to."""

    def retry(self, number: int) -> Running | None:
        """Note that one in hand is started again after its worker was lost; None if it has ended already."""
        running = self._running.get(number)
        return self._start(running) if running else None

    def report(self, number: int, result: dict[str, Any]) -> bool:
        """Take a result of one in hand; return whether it goes on.

        The report and what follows from it are one transaction. A report that is known already (made again after a
        worker was lost) changes nothing; one of an earlier attempt (a worker that was thought dead) is refused. One
        without sense (a metric missing or no number, a time that runs backward) fails its training, and only that.

        Raises:
            GanStudyError: if the worker's disk is full; the training goes on when the command is given again.
        """
        running = self._running.get(number)
        if running is None or result.get("attempt", running.attempt) != running.attempt:
            return False
        trial, seed, _ = running.id
        what = f"trial {trial} with seed {seed}" if seed else f"trial {trial}"
        taken = take(self.command, what, result, self._metrics, running.reports, self._end_of(running))
        if isinstance(taken, Over):
            self._end(running, taken.state, cause=taken.cause)
            return False
        if taken.kimg in running.reports:
            return self._goes_on(running, taken, result)
        running.reports[taken.kimg] = FidEstimate.of(taken.kimg, taken.metrics)
        reported = Reported(trial, taken.kimg, running.attempt, taken.metrics, *running.id[1:])
        return self._goes_on(running, taken, result, reported)

    def fail(self, number: int, cause: str) -> None:
        """Note that one in hand is lost for good; one that has ended already stays as it is."""
        if running := self._running.get(number):
            self._end(running, TrialState.FAILED, cause=cause)

    @abstractmethod
    def _end_of(self, running: Running) -> int:
        """The last kimg that one may report."""

    @abstractmethod
    def _goes_on(self, running: Running, reached: Reached, result: Mapping[str, Any], *new: Reported) -> bool:
        """Decide on a report, `new` unless it was known, and write it with what follows; return whether it goes on."""

    def _ended(self, running: Running, event: Ended) -> None:  # noqa: B027  most have nobody to tell
        """Note an end that is in the ledger."""

    def _start(self, running: Running, *before: Event) -> Running:
        running.attempt += 1
        self._running[running.number] = running
        self._write(*before, AttemptStarted(running.id.trial, running.attempt, *running.id[1:]))
        return running

    def _end(
        self,
        running: Running,
        state: TrialState,
        *before: Event,
        rung: int | None = None,
        cause: str | None = None,
        chosen: int | None = None,
        test: dict[str, float] | None = None,
    ) -> None:
        trial, seed, budget = running.id
        how = state.value, rung, cause
        event = Ended(trial, running.attempt, running.kimg, *how, seed, budget, chosen, test)
        self._write(*before, event)
        self._ended(running, event)
        del self._running[running.number]

    def _write(self, *events: Event) -> None:
        if events:
            self._writer.append(*events)
