"""The heart of a study, without Ray: what to try next, and whether a trial goes on.

Every step is in the ledger, committed, before anyone acts on it. The sampler's history and ASHA's rungs are held in
memory as projections of the ledger; `Conductor` rebuilds both from it when a study is launched again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.ledger.events import AttemptStarted, Ended, Event, Reported, TrialProposed
from study.ledger.ledger import Row, Writer
from study.ledger.records import StudyRecord, TrialRecord, TrialState, fold
from study.running.asha import Asha
from study.running.sampling import Sampling
from study.running.taking import Over, take
from study.running.warm_start import lessons
from study.study_file.config import StudyConfig
from trainables.evaluation.image_counts import FidEstimate, ImageCounts, best_of
from trainables.streams import derive_seed
from trainables.trial import report_keys

_FINISHED = (TrialState.COMPLETED, TrialState.STOPPED, TrialState.DIVERGED, TrialState.FAILED)


@dataclass
class Running:
    """A trial in hand: its configuration and what it reported so far."""

    number: int
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


class Conductor:
    """Runs one study against its ledger. Not thread-safe: the driver's one thread owns it."""

    def __init__(
        self,
        config: StudyConfig,
        ceiling: float,
        writer: Writer,
        rows: Sequence[Row],
        observe: Callable[[Event], None] = lambda event: None,
    ) -> None:
        """Rebuild the state from the ledger's `rows`.

        Args:
            config: the resolved study.
            ceiling: the FID of uniform noise, told to the sampler for a diverged trial.
            writer: the ledger, owned.
            rows: everything in the ledger so far.
            observe: told of each event once it is committed.
        """
        self.config = config
        self._space = config.space.resolve()
        self._metrics = report_keys(config.evaluation)
        self._writer = writer
        self._sampling = Sampling(self._space, config.sampler.name, config.seed, config.sampler.startup_trials, ceiling)
        self._ceiling = ceiling
        self.full_count_at: tuple[int, ...] = (config.schedule.max_kimg,)
        """Budgets (kimg) at which trials are judged by `evaluation.count` images."""
        self._asha = Asha(config.schedule, config.seed)
        self._running: dict[int, Running] = {}
        self._unfinished: deque[Running] = deque()
        self._ahead: Running | None = None
        self._observe = observe
        self._proposed = 0
        if rows:
            self._restore(fold(rows, live=False), rows)

    def _restore(self, record: StudyRecord, rows: Sequence[Row]) -> None:
        self.full_count_at = tuple({*record.full_count_at, *self.full_count_at})
        counts = ImageCounts.of(self.config.evaluation, self.full_count_at)
        self._sampling.learn(lessons(record.earlier, self._space, self.config.schedule, self._ceiling, counts))
        goes_on = self._replay_rungs(rows)
        for trial in record.trials:
            finished = self._is_finished(trial)
            self._sampling.restore(trial, finished)
            if not finished:
                reports = {report.kimg: report.estimate for report in trial.reports}
                running = Running(trial.number, trial.config, trial.attempts, reports)
                self._running[trial.number] = running
                self._settle_or_queue(running, goes_on, reopened=trial.state == TrialState.COMPLETED)
        self._proposed = len(record.trials)
        if record.ahead:
            self._sampling.restore(record.ahead, finished=False)
            self._proposed += 1
            if record.ahead.number < self.config.trials:
                self._ahead = Running(record.ahead.number, record.ahead.config, attempt=0)

    def _replay_rungs(self, rows: Sequence[Row]) -> dict[int, bool]:
        """Feed every report to ASHA in the ledger's order; return each trial's newest decision."""
        reports = [row.event for row in rows if isinstance(row.event, Reported)]
        return {r.trial: self._asha.goes_on(r.trial, r.kimg, r.metrics["fid"]) for r in reports}

    def _is_finished(self, trial: TrialRecord) -> bool:
        """Completed at a budget that has been raised since is not finished."""
        if trial.state == TrialState.COMPLETED:
            return trial.kimg >= self.config.schedule.max_kimg
        return trial.state in _FINISHED

    def _settle_or_queue(self, running: Running, goes_on: dict[int, bool], reopened: bool) -> None:
        """Hand a trial back, or end it if its last report decides that (under a raised budget, say)."""
        if not goes_on.get(running.number, True):
            before = []
            if reopened:
                running.attempt += 1
                before.append(AttemptStarted(running.number, running.attempt))
            self._end(running, self._ended(running, TrialState.STOPPED, rung=running.kimg), *before)
        else:
            self._unfinished.append(running)

    @property
    def coming(self) -> int:
        """How many trials there are to hand out: all that had begun, however many are wanted, and new ones."""
        return len(self._unfinished) + bool(self._ahead) + max(0, self.config.trials - self._proposed)

    @property
    def exhausted(self) -> bool:
        """Whether every trial asked for has been handed out."""
        return not self.coming

    @property
    def done(self) -> bool:
        """Whether every trial asked for has come to its end."""
        return self.exhausted and not self._running

    def next(self) -> Running | None:
        """Hand out an unfinished trial of an earlier launch, or a new one; None when there are no more."""
        if self._unfinished:
            return self._start(self._unfinished.popleft())
        if self.exhausted:
            return None
        running, proposed = (self._ahead, ()) if self._ahead else self._propose()
        self._ahead = None
        self._running[running.number] = running
        return self._start(running, *proposed)

    def prepare(self) -> None:
        """Propose the next trial before a slot is free, if there is to be one and `sampler.ask_ahead` is on.

        To be called when a trial has started and before it can have ended: the samplers learn from ends only, so a
        study of one slot comes out the same however often its driver dies. (Given more trials after its end it may
        not: there its next proposal knows how all the others ended.)
        """
        if self.config.sampler.ask_ahead and not (self._unfinished or self._ahead or self.exhausted):
            self._ahead, proposed = self._propose()
            self._write(*proposed)

    def _propose(self) -> tuple[Running, tuple[TrialProposed]]:
        number = self._proposed
        proposal = self._sampling.propose(number)
        config = self._space.build(
            proposal.params,
            data=self.config.data.model_dump(mode="json"),
            evaluation=self.config.evaluation.model_dump(mode="json"),
            seed=derive_seed(self.config.seed, "trial", number) % 2**32,
        ).to_dict()
        self._proposed += 1
        event = TrialProposed(number, config, proposal.params, proposal.origin, proposal.sampler_attrs)
        return Running(number, config, attempt=0), (event,)

    def retry(self, number: int) -> Running | None:
        """Note that a trial in hand is started again after its worker was lost; None if it has ended already."""
        running = self._running.get(number)
        return self._start(running) if running else None

    def _start(self, running: Running, *before: TrialProposed) -> Running:
        running.attempt += 1
        self._write(*before, AttemptStarted(running.number, running.attempt))
        return running

    def report(self, number: int, result: dict[str, Any]) -> bool:
        """Take a result of a trial in hand; return whether it goes on.

        The report and what follows from it are one transaction. A report that is known already (made again after a
        worker was lost) changes nothing; one of an earlier attempt (a worker that was thought dead) is refused. One
        without sense (a metric missing or no number, a time that runs backward) fails the trial, and only that.

        Raises:
            GanStudyError: if the worker's disk is full; the trial goes on when the study is launched again.
        """
        running = self._running.get(number)
        if running is None or result.get("attempt", running.attempt) != running.attempt:
            return False
        taken = take("launch", f"trial {number}", result, self._metrics, running.reports, self.config.schedule.max_kimg)
        if isinstance(taken, Over):
            self._end(running, self._ended(running, taken.state, cause=taken.cause))
            return False
        kimg, metrics = taken.kimg, taken.metrics
        if kimg in running.reports:
            return True
        running.reports[kimg] = FidEstimate.of(kimg, metrics)
        self._sampling.report(number, kimg, metrics["fid"])
        ended = self._decide(running, self._asha.goes_on(number, kimg, metrics["fid"]))
        reported = Reported(number, kimg, running.attempt, metrics)
        if ended:
            self._end(running, ended, reported)
            return False
        self._write(reported)
        return True

    def fail(self, number: int, cause: str) -> None:
        """Note that a trial in hand is lost for good; one that has ended already stays as it is."""
        running = self._running.get(number)
        if running is None:
            return
        self._end(running, self._ended(running, TrialState.FAILED, cause=cause))

    def _decide(self, running: Running, goes_on: bool) -> Ended | None:
        if running.kimg >= self.config.schedule.max_kimg:
            return self._ended(running, TrialState.COMPLETED)
        return None if goes_on else self._ended(running, TrialState.STOPPED, rung=running.kimg)

    def _ended(self, running: Running, state: TrialState, rung: int | None = None, cause: str | None = None) -> Ended:
        return Ended(running.number, running.attempt, running.kimg, state.value, rung, cause)

    def _end(self, running: Running, ended: Ended, *before: Event) -> None:
        self._write(*before, ended)
        self._sampling.end(running.number, TrialState(ended.state), running.fid_best, running.fid, ended.cause)
        del self._running[running.number]

    def _write(self, *events: Event) -> None:
        self._writer.append(*events)
        for event in events:
            self._observe(event)
