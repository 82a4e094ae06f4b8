"""A study's trials, from the ledger's last row until all are done or the run is to end."""

from rich.console import Console

from study.running.board import StudyBoard
from study.running.conductor import Conductor
from study.running.driver import Driver, interruptible
from study.running.progress import progress
from study.running.tune_run import Work, run_trainings
from study.study_file.config import StudyConfig
from study.terminal.say import say
from trainables.evaluation.prepare import Prepared


def run(config: StudyConfig, prepared: Prepared, driver: Driver, console: Console) -> None:
    """Run trials until all are done or the halt says why not."""
    slots, halt = driver.slots, driver.halt
    board = StudyBoard(config.schedule, config.trials, slots.concurrency, driver.fold)
    say(
        console,
        f"running {board.total} trials, {slots.concurrency} at a time with {slots.cpus:g} CPU and "
        f"{slots.gpus:g} GPU each; FID floor {prepared.fid_floor:.2f}, ceiling {prepared.fid_ceiling:.1f}",
    )
    with progress(console, board, lambda: halt.reason) as shown, interruptible(halt):
        driver.shown = shown
        conductor = Conductor(config, prepared.fid_ceiling, driver.writer, driver.fold)
        if not conductor.exhausted:
            work = Work(config, prepared, conductor.full_count_at, config.time_budget_minutes)
            run_trainings(conductor, work, slots, halt)
        if not conductor.done:
            budget = config.time_budget_minutes
            halt.ask(f"the time budget of {budget:g} minutes is spent" if budget else "Ray Tune ended early")
