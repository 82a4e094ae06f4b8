"""The heart of a confirmation, without Ray: which retraining comes next, what its results mean, when it has ended.

As in the `Conductor` every step is in the ledger, committed, before anyone acts on it, and a confirmation is rebuilt
from the ledger when its command is given again. What failed is tried again then: a lost machine says nothing of a
configuration. What diverged is not: it would again.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from study.confirmation.record import Place
from study.confirmation.seed import confirmation_seed
from study.ledger.events import Event, RetrainingEnded, RetrainingReported, RetrainingStarted
from study.ledger.ledger import Writer
from study.ledger.records import StudyRecord, TrialState
from study.running.conductor import Running
from study.running.taking import BadReport, Over, Reached, read_metrics, take
from study.study_file.config import StudyConfig
from trainables.evaluation.image_counts import FidEstimate
from trainables.faults import ERROR
from trainables.held_out import TEST
from trainables.trial import report_keys


class Confirmer:
    """Runs the newest plan of a confirmation against the ledger. Not thread-safe: the driver's one thread owns it."""

    def __init__(
        self,
        config: StudyConfig,
        study: StudyRecord,
        writer: Writer,
        observe: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """Find what is still to be done.

        Args:
            config: the resolved study.
            study: what the ledger holds, the plan too.
            writer: the ledger, owned.
            observe: told of each event once it is committed.
        """
        self._reported, self._judged = report_keys(config.evaluation), config.evaluation.keys
        self._writer, self._observe = writer, observe
        self.places: Mapping[int, Place] = dict(enumerate(study.confirmation.planned))
        """The plan's retrainings by the number under which they are handed out."""
        self._waiting: deque[Running] = deque()
        self._running: dict[int, Running] = {}
        for number, (budget, trial, index) in self.places.items():
            found = study.confirmation.find(trial, index, budget)
            if found is None or found.due:
                changed = study.trials[trial].config | {"seed": confirmation_seed(config.seed, index)}
                reports = {report.kimg: report.estimate for report in found.reports} if found else {}
                self._waiting.append(Running(number, changed, found.attempts if found else 0, reports))
        self.count = len(self._waiting)
        """How many there are to hand out."""

    @property
    def done(self) -> bool:
        """Whether every planned retraining has come to its end."""
        return not self._waiting and not self._running

    def next(self) -> Running | None:
        """Hand out a retraining, None when there are no more."""
        if not self._waiting:
            return None
        running = self._waiting.popleft()
        self._running[running.number] = running
        return self._start(running)

    def prepare(self) -> None:
        """Do nothing: the plan has all configurations."""

    def retry(self, number: int) -> Running | None:
        """Note that one in hand is started again after its worker was lost; None if it has ended already."""
        running = self._running.get(number)
        return self._start(running) if running else None

    def report(self, number: int, result: dict[str, Any]) -> bool:
        """Take a result of one in hand; return whether it goes on.

        The last report and the end with its test metrics are one transaction. What is known already, of an earlier
        attempt or without sense is treated as by `Conductor.report`.

        Raises:
            GanStudyError: if the worker's disk is full.
        """
        running = self._running.get(number)
        if running is None or result.get("attempt", running.attempt) != running.attempt:
            return False
        budget, trial, index = self.places[number]
        what = f"trial {trial} with seed {index}"
        taken = take("confirm", what, result, self._reported, running.reports, budget)
        if isinstance(taken, Over):
            self._end(running, taken.state, taken.cause)
            return False
        if taken.kimg < budget:
            if taken.kimg not in running.reports:
                self._write(self._report_of(running, taken))
                running.reports[taken.kimg] = FidEstimate.of(taken.kimg, taken.metrics)
            return True
        last = self._report_of(running, taken)
        running.reports.setdefault(budget, FidEstimate.of(budget, taken.metrics))  # a failed one has it
        self._finish(running, result, last)
        return False

    def fail(self, number: int, cause: str) -> None:
        """Note that one in hand is lost for good; one that has ended already stays as it is."""
        if running := self._running.get(number):
            self._end(running, TrialState.FAILED, cause)

    def _finish(self, running: Running, result: Mapping[str, Any], last: RetrainingReported) -> None:
        chosen = running.best.kimg if running.best else None
        try:
            if result.get("chosen") != chosen:
                raise BadReport(f"judged on test images was the generator of {result.get('chosen')} kimg, not {chosen}")
            judged = read_metrics(result, [TEST + name for name in self._judged])
            if bad := [name for name, value in judged.items() if not math.isfinite(value)]:
                raise BadReport(f"metric {bad[0]} is {judged[bad[0]]}")
            test = {name.removeprefix(TEST): value for name, value in judged.items()}
        except BadReport as error:
            self._end(running, TrialState.FAILED, f"{ERROR}: {error}", last)
            return
        self._end(running, TrialState.COMPLETED, None, last, chosen=chosen, test=test)

    def _start(self, running: Running) -> Running:
        running.attempt += 1
        budget, trial, index = self.places[running.number]
        self._write(RetrainingStarted(trial, index, budget, running.attempt))
        return running

    def _report_of(self, running: Running, taken: Reached) -> RetrainingReported:
        budget, trial, index = self.places[running.number]
        return RetrainingReported(trial, index, budget, running.attempt, taken.kimg, taken.metrics)

    def _end(
        self,
        running: Running,
        state: TrialState,
        cause: str | None,
        *before: Event,
        chosen: int | None = None,
        test: dict[str, float] | None = None,
    ) -> None:
        budget, trial, index = self.places[running.number]
        ended = RetrainingEnded(trial, index, budget, running.attempt, running.kimg, str(state), cause, chosen, test)
        self._write(*before, ended)
        del self._running[running.number]

    def _write(self, *events: Event) -> None:
        self._writer.append(*events)
        for event in events:
            self._observe(event)
