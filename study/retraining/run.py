"""Trains what a plan asks for under Ray, as `launch` does a study's own trials."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console

from study.folder import StudyFolder
from study.ledger.events import RetrainingPlanned
from study.ledger.ledger import Writer
from study.ledger.records import Fold, StudyRecord, TrialState
from study.mlflow.projection import MlflowProjection
from study.retraining.board import RetrainingBoard
from study.retraining.retrainer import Retrainer
from study.running.driver import Driver, driving, interruptible
from study.running.final_state import status_of
from study.running.launch import Launched, finish
from study.running.progress import progress
from study.running.ray_start import RayStart
from study.running.tune_run import Work, run_trainings
from study.study_file.config import StudyConfig
from study.study_file.data_keys import to_bring_back
from study.terminal.say import say
from study.views.tables import duration
from trainables.errors import InvalidInput
from trainables.evaluation.prepare import Prepared
from trainables.faults import Watchdog
from trainables.validation import validated

Plan = Callable[[StudyRecord], RetrainingPlanned]
"""What is to be retrained of a study as it stands."""


def retrain(
    config: StudyConfig,
    fold: Fold,
    plan: Plan,
    prepared: Prepared,
    address: str | None,
    console: Console,
    test: Prepared | None = None,
) -> Launched:
    """Retrain what is missing; return how it ended, with the study.

    Args:
        config: of the study, where it lies now.
        fold: of its ledger, as far as it was read.
        plan: what is wanted; written if it is another one than that of its group that holds.
        prepared: the study's data.
        address: of a Ray cluster, None for a local Ray.
        console: where progress is shown.
        test: the same for test images, to evaluate each on them.

    Raises:
        GanStudyError: if a driver runs this study, or the ledger or Ray fails.
    """
    study = fold.record(live=False)
    wanted = plan(study)

    def begin(writer: Writer) -> None:
        now = fold.record(live=False)
        if is_new(now, due := plan(now)):
            writer.append(due)

    trainings = config.model_copy(update={"trials": len(wanted.ids)})  # more than that need no slots
    projection = MlflowProjection(config.mlflow.uri, config.folder, config.name)
    start, after_error = RayStart(address), status_of(study)
    with driving(trainings, wanted.group, start, projection, fold, begin, after_error) as driver:
        _run(config, wanted.group, prepared, test, driver, console)
        driver.disconnect()
        study = fold.record(live=False)
        done = finish(study, config, driver.thread, console)
        return Launched(study, driver.halt.reason, driver.halt.by_signal, driver.behind(done))


def is_new(study: StudyRecord, plan: RetrainingPlanned) -> bool:
    """Tell whether a plan differs from the one that holds in its group."""
    before = study.asked(plan.group).plan
    return before is None or replace(before, number=plan.number) != plan


def _run(
    config: StudyConfig, group: str, prepared: Prepared, test: Prepared | None, driver: Driver, console: Console
) -> None:
    """Retrain until all is done or the halt says why not."""
    study, halt = driver.fold.record(live=True), driver.halt
    asked = study.asked(group)
    for retraining in asked.begun:
        if retraining.state == TrialState.FAILED:  # it is tried again, and its next attempt is not to fail for the last
            Watchdog(config.folder.training(*retraining.id), None).forgive()
    retrainer = Retrainer(config, study, driver.writer, group)
    board = RetrainingBoard(driver.fold, group, driver.slots.concurrency)
    if asked.plan and not retrainer.done:
        say(console, _words(asked.plan, board))
    with progress(console, board, lambda: halt.reason) as shown, interruptible(halt):
        driver.shown = shown
        if not retrainer.done:
            # The time budget is of a launch: who asks for retrainings wants all of them.
            work = Work(config, prepared, study.full_count_at, test=test)
            run_trainings(retrainer, work, driver.slots, halt)
        if not retrainer.done:
            halt.ask("Ray Tune ended early")


def _words(plan: RetrainingPlanned, board: RetrainingBoard) -> str:
    """What is going to be done, and how long it takes at the speed that the study's trials had."""
    trials = f"trial{'s' * (len(plan.trials) > 1)} {', '.join(map(str, plan.trials))}"
    before = f", {board.finished} of them done" if board.finished else ""
    left = f", about {duration(seconds)}" if (seconds := board.seconds_left()) else ""
    return (
        f"training {len(plan.trials)} configuration{'s' * (len(plan.trials) > 1)} ({trials}) from {plan.seeds} fresh "
        f"seeds each to {plan.budget} kimg: {board.total} trainings{before}, {board.concurrency} at a time{left}"
    )


def config_of(folder: StudyFolder, study: StudyRecord) -> StudyConfig:
    """The study's configuration where it lies now: its folder may have been moved."""
    config = validated(StudyConfig, study.config, f"the configuration of {folder.name}")
    return config.model_copy(update={"storage": config.storage.model_copy(update={"path": folder.root})})


def check_fingerprint(what: str, began: str, now: str, settings: Mapping[str, Any]) -> None:
    """Refuse FIDs that do not compare with those there are.

    Raises:
        InvalidInput: naming both fingerprints.
    """
    if began != now:
        raise InvalidInput(
            f"{what} {now}: the study began with {began}, so new FIDs could not be compared with the old; "
            f"{to_bring_back(settings)}"
        )
