"""Hands trainings to Ray Tune: thin adapters between Tune's hooks and whoever decides, a `Director`.

A study's director is the `Conductor`, a confirmation's the `Confirmer`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from ray import cloudpickle, tune
from ray.air._internal import usage
from ray.air.execution import PlacementGroupResourceManager
from ray.exceptions import RayActorError
from ray.tune import Callback, Stopper
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from study.folder import StudyFolder
from study.running.cluster import Slots
from study.running.conductor import Conductor, Running
from study.running.halt import Halt
from study.running.same_code import driver_code
from study.study_file.config import StudyConfig
from trainables.display import one_line
from trainables.evaluation.prepare import Prepared
from trainables.faults import WORKER_LOST, Watchdog
from trainables.source import digest
from trainables.tune import GanTrainable

_NUMBER = "number"


class Director(Protocol):
    """Decides which trainings there are and whether one goes on; knows each by a number of its own."""

    def next(self) -> Running | None:
        """Hand one out, None when there are no more."""

    def prepare(self) -> None:
        """Do now, while all train, what the next `next` would have to."""

    def report(self, number: int, result: dict[str, Any]) -> bool:
        """Take a result; return whether the training goes on."""

    def retry(self, number: int) -> Running | None:
        """Note that one is started again after its worker was lost; None if it has ended already."""

    def fail(self, number: int, cause: str) -> None:
        """Note that one is lost for good."""


@dataclass(frozen=True)
class Work:
    """What a director's trainings need, and where they lie.

    With `test` each is judged on test images when it reaches the end, `config.schedule.max_kimg`. At the budgets (kimg)
    of `full_count_at` the FID is of `evaluation.count` images.
    """

    config: StudyConfig
    prepared: Prepared
    folder: StudyFolder
    folder_of: Callable[[int], Path]
    count: int
    full_count_at: tuple[int, ...]
    time_budget_minutes: float | None = None
    test: Prepared | None = None


class _Unsaved:
    """For what Tune wants to pickle into snapshots of its own, which are never read: the ledger is the truth."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Leave nothing but a mark."""
        return (_Unsaved, ())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Stay the same object: it holds the ledger."""
        return self


class Ending(_Unsaved, Stopper):
    """Ends Tune's run when the halt says so."""

    def __init__(self, halt: Halt) -> None:
        self._halt = halt

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no single trial: that is the scheduler's part."""
        return False

    def stop_all(self) -> bool:
        """Tell Tune whether to end the run."""
        return self._halt.asked


class LedgerSearcher(_Unsaved, Searcher):
    """Gives Tune the director's trainings."""

    def __init__(self, director: Director, halt: Halt, config_of: Callable[[Running], dict[str, Any]]) -> None:
        super().__init__(metric="fid", mode="min")
        self._director = director
        self._halt = halt
        self._config_of = config_of

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial's config, or that there are no more."""
        running = self._halt.guard(self._director.next)
        finished: Any = Searcher.FINISHED
        return self._config_of(running) if running else finished

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the director learned it from the scheduler, before Tune acted."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the ledger is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing."""


class LedgerScheduler(_Unsaved, FIFOScheduler):
    """Asks the director, which commits to the ledger first, whether a trial goes on."""

    def __init__(self, director: Director, halt: Halt) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._director = director
        self._halt = halt

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Report, and go on or stop."""
        number = trial.config[_NUMBER]
        goes_on = self._halt.guard(lambda: self._director.report(number, result), otherwise=False)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)


class _Left(BaseException):
    """Ends Tune's run as it stands. No `Exception`: Tune would clean up, and talk to a Ray that may be dying."""


class Leaving(_Unsaved, Callback):
    """Leaves Tune at its next step when the halt asks for an end at once."""

    def __init__(self, halt: Halt) -> None:
        self._halt = halt

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Leave, if so."""
        if self._halt.at_once:
            raise _Left

    on_step_end = on_step_begin


class LostWorkers(_Unsaved, Callback):
    """Notes in the ledger that a trial's worker was lost: it is started again, or given up.

    One that cannot even import its code is not lost: that is no trial's fault and ends the run.
    """

    def __init__(self, director: Director, halt: Halt) -> None:
        self._director = director
        self._halt = halt

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count another attempt."""
        if self._cannot_begin(trial):
            return
        running = self._halt.guard(lambda: self._director.retry(trial.config[_NUMBER]))
        if running:
            trial.config.update(_of_attempt(running))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Give the trial up. (Tune tells the scheduler of an error even when it will try again.)"""
        if self._cannot_begin(trial):
            return
        lost = f"{WORKER_LOST}: {trial.num_failures} times, last: {_last_words(trial)}"
        overdue = Watchdog(Path(trial.config["folder"]), None).overdue()
        self._halt.guard(lambda: self._director.fail(trial.config[_NUMBER], overdue or lost))

    def _cannot_begin(self, trial: Trial) -> bool:
        """Whether the worker could not import its code; the run is to end then."""
        file = trial.pickled_error_file
        error = cloudpickle.loads(Path(file).read_bytes()) if file else None
        cannot = isinstance(error, ImportError) or (isinstance(error, RayActorError) and error.actor_init_failed)
        if cannot:
            node = f" on {trial.node_ip}" if trial.node_ip else ""
            self._halt.lose(
                f"{_name(trial)} cannot begin, for its worker{node} cannot import its code ({_last_words(trial)}); "
                "install there what the driver has, then the same command goes on"
            )
        return cannot


class Preparing(_Unsaved, Callback):
    """Lets the director prepare the next training when one has begun: its worker is busy, and no slot waits."""

    def __init__(self, director: Director, halt: Halt) -> None:
        self._director = director
        self._halt = halt
        self._begun = False

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Wait for the end of this step: only then has Tune sent it to its worker."""
        self._begun = True

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Prepare."""
        if self._begun:
            self._begun = False
            self._halt.guard(self._director.prepare)


def run_trials(conductor: Conductor, prepared: Prepared, folder: StudyFolder, slots: Slots, halt: Halt) -> None:
    """Run a study's trials until the conductor has no more or `halt` ends it.

    Raises:
        Exception: what went wrong in the conductor (a ledger that cannot be written, above all).
    """
    config = conductor.config
    work = Work(
        config, prepared, folder, folder.trial, conductor.coming, conductor.full_count_at, config.time_budget_minutes
    )
    run_trainings(conductor, work, slots, halt)


def run_trainings(director: Director, work: Work, slots: Slots, halt: Halt) -> None:
    """Run trainings until the director has no more or `halt` ends it.

    Raises:
        Exception: what went wrong in the director (a ledger that cannot be written, above all).
    """
    config, folder = work.config, work.folder
    code = digest(driver_code(), "trainables")

    def config_of(running: Running) -> dict[str, Any]:
        return {
            _NUMBER: running.number,
            "trial": running.config,
            "folder": str(work.folder_of(running.number)),
            "report_kimg": config.schedule.report_every,
            "test_at": config.schedule.max_kimg,
            "full_count_at": list(work.full_count_at),
            "threads": slots.threads,
            "device": slots.device,
            "cuda_graphs": config.resources.cuda_graphs,
            "code": code,
            "deadline_seconds": config.report_deadline_minutes and config.report_deadline_minutes * 60,
            **_of_attempt(running),
        }

    _adapt_tune()
    budget = work.time_budget_minutes
    shared = tune.with_parameters(GanTrainable, prepared=work.prepared, test=work.test)
    tuner = tune.Tuner(
        tune.with_resources(shared, {"cpu": slots.cpus, "gpu": slots.gpus}),
        tune_config=tune.TuneConfig(
            search_alg=LedgerSearcher(director, halt, config_of),
            scheduler=LedgerScheduler(director, halt),
            num_samples=work.count,
            max_concurrent_trials=slots.concurrency,
            time_budget_s=budget * 60 if budget else None,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=folder.ray.name,
            storage_path=str(folder.path),
            stop=Ending(halt),
            callbacks=[Leaving(halt), LostWorkers(director, halt), Preparing(director, halt)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # trials keep their own
            failure_config=tune.FailureConfig(max_failures=config.max_failures),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except _Left:
        pass
    except Exception:
        if not halt.asked:  # else it came of what halts the run
            raise
    finally:
        shutil.rmtree(folder.ray, ignore_errors=True)
    halt.check()


def _adapt_tune() -> None:
    """Keep Tune from two things that a first trial would wait for, and from one that may hang.

    It gives workers variables of their own, so Ray lets those lie that it has started and starts others (2 s). None is
    needed: a worker here has the driver's environment, and on other nodes no trial asks for any; least of all for the
    driver's cloud keys, which Ray would log for all to read: the driver alone talks to MLflow's store.

    And it imports MLflow and other loggers (2 s), to count for its makers how many of its callbacks are of these.

    Its placement groups end with the driver. When what holds them is collected as garbage, in whatever thread, it asks
    Ray to remove them, and a dead Ray never answers.
    """
    PlacementGroupResourceManager.__del__ = lambda manager: None  # type: ignore[method-assign]
    class_cache.DEFAULT_ENV_VARS.clear()
    class_cache.ENV_VARS_TO_PROPAGATE.clear()
    usage.tag_callbacks = lambda callbacks: False


def _of_attempt(running: Running) -> dict[str, Any]:
    """Return what a worker must know of this start: its number, and how far the ledger has the trial."""
    return {"attempt": running.attempt, "reported": running.kimg}


def _name(trial: Trial) -> str:
    return f"trial-{trial.config[_NUMBER]:05d}"


def _last_words(trial: Trial) -> str:
    """Return what Ray said last of the loss. (`Trial.get_error` looks where Tune has not copied it to yet.)"""
    text = Path(trial.error_file).read_text() if trial.error_file else ""
    lines = text.strip().splitlines()
    return one_line(lines[-1].partition(" Some common causes")[0], 300) if lines else "no error known"
