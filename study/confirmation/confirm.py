"""`ganstudy confirm`: trains a study's best configurations again from fresh seeds, and judges them on test images."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from study.confirmation.confirmer import Confirmer
from study.confirmation.progress import ConfirmProgress
from study.confirmation.record import retraining_folder
from study.confirmation.stats import candidates
from study.exit_codes import NO_COMPLETED_TRIAL
from study.folder import StudyFolder
from study.ledger.catalogue import open_ledger
from study.ledger.events import ConfirmationPlanned
from study.ledger.ledger import Ledger, Writer
from study.ledger.records import Fold, StudyRecord, TrialState
from study.mlflow.projection import MlflowProjection
from study.older.check import check_not_older
from study.places import BY_LAUNCH, saying
from study.running.driver import Driver, driving, interruptible
from study.running.ending import status_of
from study.running.launch import finish
from study.running.ray_start import RayStart
from study.running.tune_run import Work, run_trainings
from study.study_file.config import StudyConfig
from study.terminal.say import Say, progress_line, say
from trainables.data import Split
from trainables.errors import GanStudyError, InvalidInput
from trainables.evaluation.prepare import Prepared, prepare
from trainables.faults import Watchdog
from trainables.files import check_writable
from trainables.validation import validated

TOP, SEEDS = 3, 5
"""What a study's first confirmation retrains if nothing else is asked for."""


class NothingToConfirm(GanStudyError):
    """No trial of the study has completed."""

    exit_code = NO_COMPLETED_TRIAL


@dataclass(frozen=True)
class Wanted:
    """How many of the best configurations, with how many fresh seeds each; None: as many as in the newest plan."""

    top: int | None = None
    seeds: int | None = None

    def __post_init__(self) -> None:
        """Refuse what asks for nothing.

        Raises:
            InvalidInput: naming the option.
        """
        for option, count in (("--top", self.top), ("--seeds", self.seeds)):
            if count is not None and count < 1:
                raise InvalidInput(f"{option} {count}: give at least 1")

    def plan(self, study: StudyRecord, test_fingerprint: str) -> ConfirmationPlanned:
        """What that means for the study as it stands."""
        before = study.confirmation.plan
        top = self.top or (len(before.trials) if before else TOP)
        seeds = self.seeds or (before.seeds if before else SEEDS)
        trials = [ranked.trial.number for ranked in candidates(study, top)]
        number, budget = len(study.confirmation.plans) + 1, study.config["schedule"]["max_kimg"]
        return ConfirmationPlanned(number, trials, seeds, budget, study.fingerprint, test_fingerprint)


@dataclass(frozen=True)
class Confirmed:
    """How the command ended: as `study.running.launch.Launched`."""

    study: StudyRecord
    interrupted: str | None = None
    by_signal: bool = False
    mlflow_behind: str | None = None


def confirm(folder: StudyFolder, wanted: Wanted, address: str | None, console: Console) -> Confirmed:
    """Retrain what is missing; return the study with it.

    Args:
        folder: the study's.
        wanted: how much.
        address: of a Ray cluster, None for a local Ray.
        console: where progress is shown.

    Raises:
        InvalidInput: before any training, if the study's data has changed.
        NothingToConfirm: if no trial has completed.
        GanStudyError: if a driver runs this study, or the ledger or Ray fails.
    """
    with open_ledger(folder) as ledger:
        fold = Fold().follow(ledger.read)
        study = fold.record(live=False)
        _check(folder, study, ledger)
    check_writable(folder.path, "study", "confirm it where it can be written to")
    plan = wanted.plan(study, _test_fingerprint(study))
    due = not study.confirmation.complete or any(retraining.due for retraining in study.confirmation.begun)
    if not due and not _new(study, plan):
        return Confirmed(study)
    config = _config(folder, study)
    say(console, f"preparing {config.data.name}: data, extractor, statistics of validation and test images")
    with saying(BY_LAUNCH):
        prepared = prepare(config.data, config.evaluation, cached=True)
    test = prepared.on(Split.TEST)
    _check_fingerprints(study, prepared, test)

    def begin(writer: Writer) -> None:
        now = fold.record(live=False)
        plan = wanted.plan(now, test.fingerprint)
        if _new(now, plan):
            writer.append(plan)

    trainings = config.model_copy(update={"trials": len(plan.trials) * plan.seeds})  # more than that need no slots
    projection = MlflowProjection(config.mlflow.uri, folder, folder.name)
    start = RayStart(address)
    with driving(trainings, "confirm", start, projection, fold, begin, after_error=status_of(study)) as driver:
        with progress_line(console) as line:
            _run(config, prepared, test, driver, line)
        driver.disconnect()
        study = fold.record(live=False)
        done = finish(study, config, driver.thread, console)
        return Confirmed(study, driver.halt.reason, driver.halt.by_signal, driver.behind(done))


def _run(config: StudyConfig, prepared: Prepared, test: Prepared, driver: Driver, line: Say) -> None:
    """Retrain until all is done or the halt says why not."""
    study, folder, halt = driver.fold.record(live=True), config.folder, driver.halt
    driver.shown = progress = ConfirmProgress(study, driver.slots.concurrency, line)

    for retraining in study.confirmation.begun:
        if retraining.state == TrialState.FAILED:  # it is tried again, and its next attempt is not to fail for the last
            Watchdog(retraining_folder(folder, retraining.place), None).forgive()
    with interruptible(halt):
        confirmer = Confirmer(config, study, driver.writer)

        def folder_of(number: int) -> Path:
            return retraining_folder(folder, confirmer.places[number])

        if not confirmer.done:
            progress.begin(driver.slots)
            # The time budget is of a launch: who asks for a confirmation wants all of it.
            work = Work(config, prepared, folder, folder_of, confirmer.count, study.full_count_at, test=test)
            run_trainings(confirmer, work, driver.slots, halt)
        if not confirmer.done:
            halt.ask("Ray Tune ended early")


def _check(folder: StudyFolder, study: StudyRecord, ledger: Ledger) -> None:
    if not any(trial.state == TrialState.COMPLETED for trial in study.trials):
        raise NothingToConfirm(f"no trial of {folder.name} has completed, so there is nothing to confirm; launch it")
    if owner := ledger.live_owner():
        raise GanStudyError(f"study {folder.name!r} is being run by {owner}: wait for its end, then confirm it")
    check_not_older(folder, ledger, study)


def _new(study: StudyRecord, plan: ConfirmationPlanned) -> bool:
    """Tell whether a plan differs from the one that holds."""
    before = study.confirmation.plan
    return before is None or (before.trials, before.seeds, before.budget) != (plan.trials, plan.seeds, plan.budget)


def _test_fingerprint(study: StudyRecord) -> str:
    return study.confirmation.plan.test_fingerprint if study.confirmation.plan else ""


def _config(folder: StudyFolder, study: StudyRecord) -> StudyConfig:
    """The study's configuration where it lies now: its folder may have been moved."""
    config = validated(StudyConfig, study.config, f"the configuration of {folder.name}")
    return config.model_copy(update={"storage": config.storage.model_copy(update={"path": folder.root})})


def _check_fingerprints(study: StudyRecord, prepared: Prepared, test: Prepared) -> None:
    before = _test_fingerprint(study) or test.fingerprint
    for what, began, now in (
        ("FID fingerprint", study.fingerprint, prepared.fingerprint),
        ("test fingerprint", before, test.fingerprint),
    ):
        if began != now:
            raise InvalidInput(
                f"{what} {now}: the study began with {began}, so new FIDs could not be compared with the old; "
                "bring back the data it began with"
            )
