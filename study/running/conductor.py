"""The heart of a study, without Ray: what to try next, and whether a trial goes on.

The sampler's history and ASHA's rungs are held in memory as projections of the ledger, and rebuilt from it when a study
is launched again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from study.ledger.events import AttemptStarted, Ended, Reported, TrialId, TrialProposed
from study.ledger.ledger import Writer
from study.ledger.records import Fold, StudyRecord, TrialRecord, TrialState
from study.running.asha import Asha
from study.running.director import Director, Running
from study.running.sampling import Sampling
from study.running.taking import Reached
from study.running.warm_start import lessons
from study.study_file.config import StudyConfig
from study.study_file.seeds import trial_seed
from trainables.evaluation.image_counts import ImageCounts
from trainables.trial import report_keys

_FINISHED = (TrialState.COMPLETED, TrialState.STOPPED, TrialState.DIVERGED, TrialState.FAILED)


class Conductor(Director):
    """The director of a study's own trials."""

    command = "launch"

    def __init__(
        self,
        config: StudyConfig,
        ceiling: float,
        writer: Writer,
        fold: Fold,
    ) -> None:
        """Rebuild the state from what the ledger holds.

        Args:
            config: the resolved study.
            ceiling: the FID of uniform noise, told to the sampler for a diverged trial.
            writer: the ledger, owned.
            fold: of everything in the ledger so far.
        """
        super().__init__(writer, report_keys(config.evaluation))
        self.config = config
        self._space = config.space.resolve()
        self._sampling = Sampling(self._space, config.sampler.name, config.seed, config.sampler.startup_trials, ceiling)
        self._ceiling = ceiling
        self.full_count_at: tuple[int, ...] = (config.schedule.max_kimg,)
        """Budgets (kimg) at which trials are evaluated by `evaluation.count` images."""
        self._asha = Asha(config.schedule, config.seed)
        self._ahead: Running | None = None
        self._proposed = 0
        self._restore(fold.record(live=False), fold.reported)

    def _restore(self, record: StudyRecord, reported: Sequence[Reported]) -> None:
        self.full_count_at = tuple({*record.full_count_at, *self.full_count_at})
        counts = ImageCounts.of(self.config.evaluation, self.full_count_at)
        self._sampling.learn(lessons(record.earlier, self._space, self.config.schedule, self._ceiling, counts))
        # Every report in the ledger's order; each trial's newest decision is kept.
        goes_on = {r.trial: self._asha.goes_on(r.trial, r.kimg, r.metrics["fid"]) for r in reported}
        for trial in record.trials:
            finished = self._is_finished(trial)
            self._sampling.restore(trial, finished)
            if not finished:
                reports = {report.kimg: report.estimate for report in trial.reports}
                running = Running(trial.number, trial.id, trial.config, trial.attempts, reports)
                self._running[trial.number] = running
                self._settle_or_queue(running, goes_on, reopened=trial.state == TrialState.COMPLETED)
        self._proposed = len(record.trials)
        if record.ahead:
            self._sampling.restore(record.ahead, finished=False)
            self._proposed += 1
            if record.ahead.number < self.config.trials:
                self._ahead = Running(record.ahead.number, record.ahead.id, record.ahead.config, attempt=0)

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
            self._end(running, TrialState.STOPPED, *before, rung=running.kimg)
        else:
            self._unfinished.append(running)

    @property
    def coming(self) -> int:
        """How many trials there are to hand out: all that had begun, however many are wanted, and new ones."""
        return len(self._unfinished) + bool(self._ahead) + max(0, self.config.trials - self._proposed)

    def next(self) -> Running | None:
        """Hand out an unfinished trial of an earlier launch, or a new one; None when there are no more."""
        if self._unfinished or self.exhausted:
            return super().next()
        running, proposed = (self._ahead, ()) if self._ahead else self._propose()
        self._ahead = None
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
            seed=trial_seed(self.config.seed, number),
        ).to_dict()
        self._proposed += 1
        event = TrialProposed(number, config, proposal.params, proposal.origin, proposal.sampler_attrs)
        return Running(number, TrialId(number), config, attempt=0), (event,)

    def _end_of(self, running: Running) -> int:
        return self.config.schedule.max_kimg

    def _goes_on(self, running: Running, reached: Reached, result: Mapping[str, Any], *new: Reported) -> bool:
        if not new:
            return True
        kimg, fid = reached.kimg, reached.metrics["fid"]
        self._sampling.report(running.number, kimg, fid)
        survives = self._asha.goes_on(running.number, kimg, fid)
        if kimg >= self.config.schedule.max_kimg:
            self._end(running, TrialState.COMPLETED, *new)
        elif not survives:
            self._end(running, TrialState.STOPPED, *new, rung=kimg)
        else:
            self._write(*new)
            return True
        return False

    def _ended(self, running: Running, event: Ended) -> None:
        self._sampling.end(running.number, TrialState(event.state), running.fid_best, running.fid, event.cause)
