"""Plays a study's ledger again and compares: every decision, every configuration, the sampler's whole history.

Written beside the `Conductor`, not with it: it shares ASHA, the space and the sampler's history, which are
functions of the ledger, but finds out for itself which row has to follow which.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState as OptunaState

from search_spaces.space import Space
from study.folder import StudyFolder
from study.ledger.events import (
    SEED,
    AttemptStarted,
    Ended,
    Event,
    NoiseMeasured,
    Reported,
    RetrainingPlanned,
    StudyChanged,
    StudyOpened,
    TrialProposed,
    WarmStarted,
)
from study.ledger.records import StudyRecord, TrialRecord, TrialState
from study.ledger.rows import Row
from study.running.asha import Asha
from study.running.sampling import Sampling
from study.running.warm_start import lessons
from study.study_file.config import StudyConfig, refuse_changes
from study.study_file.seeds import trial_seed
from study.verify.check import Discrepancy
from study.verify.warm_start import check_earlier, check_named
from trainables.errors import GanStudyError
from trainables.evaluation.image_counts import IMAGES, FidEstimate, ImageCounts, best_of
from trainables.faults import OUT_OF_MEMORY
from trainables.gan.config import TrialConfig
from trainables.validation import validated


@dataclass
class _Trial:
    reports: dict[int, FidEstimate] = field(default_factory=dict)
    ended: Ended | None = None
    goes_on: bool = True  # what ASHA said of its newest report

    @property
    def kimg(self) -> int:
        return max(self.reports, default=0)


class Replay:
    """Takes the rows of a ledger that `fold` accepts, one by one, and says which one cannot be where it is."""

    def __init__(self, folder: StudyFolder, counts: Counter[str]) -> None:
        self._folder = folder
        self._counts = counts
        self._config: StudyConfig
        self._space: Space
        self._asha: Asha
        self._reports: list[Reported] = []
        self._warmed: list[str] = []
        self._trials: dict[int, _Trial] = {}
        self._full_count_at: set[int] = set()
        self._due: Ended | None = None  # what the next row has to be: written in one transaction with this one
        self._epoch = 0
        self._handlers: Mapping[type[Event], Callable[[Any], None]] = {
            StudyOpened: self._configured,
            StudyChanged: self._changed,
            WarmStarted: self._warm,
            NoiseMeasured: self._noise,
            TrialProposed: self._proposed,
            AttemptStarted: self._started,
            Reported: self._reported,
            Ended: self._ended,
            RetrainingPlanned: lambda event: None,
        }

    def take(self, rows: Iterable[Row]) -> None:
        """Replay all rows.

        Raises:
            Discrepancy: at the first row that the driver cannot have written after those before it.
        """
        last = "the ledger's end"
        for row in rows:
            last = f"row {row.seq} ({row.event.key!r})"
            try:
                self._take(row)
            except GanStudyError as error:
                raise Discrepancy(f"ledger {last}: {error}") from error
        if self._due is not None:
            raise Discrepancy(f"ledger {last}: is the last, and the replay goes on with {_shown(self._due)}")

    def _take(self, row: Row) -> None:
        if row.epoch < self._epoch:
            raise Discrepancy(f"was written in epoch {row.epoch}, after one of epoch {self._epoch}")
        self._epoch = row.epoch
        due, self._due = self._due, None
        if due is None:
            if not getattr(row.event, "seed", 0):  # retrainings decide nothing here; see verify/retrainings.py
                self._handlers[type(row.event)](row.event)
        elif row.event != due:
            raise Discrepancy(f"the replay has {_shown(due)} here, the ledger {_shown(row.event)}")
        else:
            self._close(due)

    def _configured(self, event: StudyOpened | StudyChanged) -> None:
        self._config = validated(StudyConfig, event.config, "its configuration")
        self._space = self._config.space.resolve()
        self._full_count_at.add(self._config.schedule.max_kimg)
        self._asha = Asha(self._config.schedule, self._config.seed)
        for report in self._reports:  # the rungs as a driver that was just launched rebuilds them
            self._trials[report.trial].goes_on = self._decision(report)

    def _changed(self, event: StudyChanged) -> None:
        refuse_changes(self._config.to_dict(), event.config, self._folder.path)
        self._configured(event)

    def _warm(self, event: WarmStarted) -> None:
        self._warmed.append(event.source)
        for trial in event.trials.values():
            self._space.check(trial["params"])

    def _proposed(self, event: TrialProposed) -> None:
        expected = len(self._trials)
        if not expected:
            check_named(self._config.warm_start, self._warmed)
        if event.trial != expected or expected >= self._config.trials:
            raise Discrepancy(f"trial {event.trial} of {self._config.trials} follows {expected} trials")
        self._check_origin(event)
        config = self._space.build(
            event.params,
            data=self._config.data.model_dump(mode="json"),
            evaluation=self._config.evaluation.model_dump(mode="json"),
            seed=trial_seed(self._config.seed, event.trial),
        ).to_dict()
        known = TrialConfig.from_dict(event.config, "its configuration").to_dict()  # completed, if it is an older one
        if config != known:
            wrong = next(key for key in config if config[key] != known[key])
            raise Discrepancy(f"its params build {wrong} = {config[wrong]!r}, the ledger has {known[wrong]!r}")
        self._trials[event.trial] = _Trial()
        self._counts["configurations"] += 1

    def _check_origin(self, event: TrialProposed) -> None:
        baselines = self._space.baselines
        baseline = baselines[event.trial] if event.trial < len(baselines) else None
        origin = f"baseline:{baseline.name}" if baseline else "sampler"
        if event.origin != origin or (baseline and dict(baseline.params) != event.params):
            raise Discrepancy(
                f"the space has {origin} as trial {event.trial}, the ledger {event.origin} or other params"
            )

    def _started(self, event: AttemptStarted) -> None:
        trial = self._trials[event.trial]
        if (ended := trial.ended) is not None:
            if ended.state != TrialState.COMPLETED or trial.kimg >= self._config.schedule.max_kimg:
                raise Discrepancy(f"starts a trial again that was {ended.state} at {ended.kimg} kimg")
            trial.ended = None
        if not trial.goes_on:  # its old end is a rung now
            self._due = self._stopped(event.trial, event.attempt)

    def _reported(self, event: Reported) -> None:
        trial = self._trials[event.trial]
        expected = trial.kimg + self._config.schedule.report_every
        if event.kimg != expected or event.metrics.get("kimg", event.kimg) != event.kimg:
            raise Discrepancy(f"trial {event.trial} reported at {trial.kimg} kimg and next at {event.kimg}")
        self._check_images(event)
        trial.reports[event.kimg] = FidEstimate.of(event.kimg, event.metrics)
        trial.goes_on = self._decision(event)
        self._reports.append(event)
        self._counts["reports"] += 1
        if trial.kimg >= self._config.schedule.max_kimg:
            self._due = Ended(event.trial, event.attempt, trial.kimg, TrialState.COMPLETED.value, None, None)
        elif not trial.goes_on:
            self._due = self._stopped(event.trial, event.attempt)

    def _check_images(self, event: Reported) -> None:
        images = ImageCounts.of(self._config.evaluation, self._full_count_at)
        expected, found = images.told_at(event.kimg) or None, event.metrics.get(IMAGES)
        if found != expected:
            raise Discrepancy(
                f"trial {event.trial} was evaluated by {found} images at {event.kimg} kimg, not {expected}"
            )

    def _ended(self, event: Ended) -> None:
        trial = self._trials[event.trial]
        early = event.state in (TrialState.DIVERGED, TrialState.FAILED) and event.cause
        settled = not trial.goes_on and event == self._stopped(event.trial, event.attempt)
        if not (early or settled) or event.kimg != trial.kimg:
            verdict = "goes on" if trial.goes_on else "is stopped"
            raise Discrepancy(
                f"the ledger has {_shown(event)}; in the replay the trial {verdict} after {trial.kimg} kimg"
            )
        self._close(event)

    def _noise(self, event: NoiseMeasured) -> None:
        trial = self._trials[event.trial]
        best = best_of(trial.reports.values())
        expected = trial.kimg if event.source == SEED or best is None else best.kimg
        if event.kimg != expected:
            raise Discrepancy(f"is of {event.kimg} kimg; the trial's {event.source} was to be measured at {expected}")

    def _decision(self, report: Reported) -> bool:
        return self._asha.goes_on(report.trial, report.kimg, report.metrics["fid"])

    def _stopped(self, trial: int, attempt: int) -> Ended:
        kimg = self._trials[trial].kimg
        return Ended(trial, attempt, kimg, TrialState.STOPPED.value, kimg, None)

    def _close(self, event: Ended) -> None:
        self._trials[event.trial].ended = event
        self._counts["outcomes"] += 1


def _shown(event: Event) -> str:
    if not isinstance(event, Ended):
        return repr(event.key)
    rung = f" by the rung {event.rung}" if event.rung is not None else ""
    cause = f" ({event.cause})" if event.cause else ""
    return f"trial {event.trial} {event.state} at {event.kimg} kimg{rung}{cause}"


def check_sampler(study: StudyRecord, counts: Counter[str]) -> None:
    """Rebuild Optuna's history as a launch would, and compare it with the records, trial by trial.

    Raises:
        Discrepancy: at the first trial that Optuna would know otherwise.
    """
    config = validated(StudyConfig, study.config, "the study's configuration")
    space = config.space.resolve()
    chosen = config.sampler
    sampling = Sampling(space, chosen.name, config.seed, chosen.startup_trials, study.fid_ceiling)
    try:
        images = ImageCounts.of(config.evaluation, study.full_count_at)
        sampling.learn(lessons(study.earlier, space, config.schedule, study.fid_ceiling, images))
    except (GanStudyError, ValueError) as error:
        raise Discrepancy(f"Optuna does not take the results of earlier studies: {error}") from error
    check_earlier(study, config, sampling.history.trials, counts)
    trials = [*study.trials, *filter(None, [study.ahead])]
    for trial in trials:
        finished = not trial.unfinished
        if trial.state == TrialState.COMPLETED:
            finished = trial.kimg >= config.schedule.max_kimg
        try:
            sampling.restore(trial, finished)
        except (GanStudyError, ValueError) as error:
            raise Discrepancy(f"trial {trial.number}: Optuna does not take it: {error}") from error
    first = len(sampling.history.trials) - len(sampling.trials)
    for trial, rebuilt in zip(trials, sampling.trials, strict=True):
        state, value = _expected(trial, config.schedule.max_kimg, study.fid_ceiling)
        known = {
            "number": (trial.number, rebuilt.number - first),
            "params": (trial.params, rebuilt.params),
            "distributions": (space.distributions(trial.params), rebuilt.distributions),
            "FIDs": (trial.curve, rebuilt.intermediate_values),
            "state": (state, rebuilt.state),
            "value": (value, rebuilt.value),
            "infeasible": (state == OptunaState.COMPLETE and trial.state != "completed", bool(rebuilt.constraints)),
        }
        for what, (recorded, found) in known.items():
            if recorded != found:
                raise Discrepancy(f"trial {trial.number}: its {what} {recorded!r} came to Optuna as {found!r}")
        counts["trials"] += 1


def _expected(trial: TrialRecord, max_kimg: int, ceiling: float) -> tuple[OptunaState, float | None]:
    if trial.state == TrialState.FAILED and (trial.cause or "").startswith(f"{OUT_OF_MEMORY}:"):
        return OptunaState.COMPLETE, ceiling
    if trial.unfinished or (trial.state == TrialState.COMPLETED and trial.kimg < max_kimg):
        return OptunaState.RUNNING, None
    return {
        TrialState.COMPLETED: (OptunaState.COMPLETE, trial.fid_best),
        TrialState.STOPPED: (OptunaState.PRUNED, trial.fid),
        TrialState.DIVERGED: (OptunaState.COMPLETE, ceiling),
        TrialState.FAILED: (OptunaState.FAIL, None),
    }[trial.state]
