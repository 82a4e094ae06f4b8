"""`ganstudy train`: production training from an exported configuration, to a generator that stands on its own.

It is the trial's own training (`trainables.trial`) in its own folder: with the exported seed its FIDs are the study's
as far as the study went. It ends with what `study.production.product` writes.
"""

from rich.console import Console

from study.production.plan import Order, make_plan
from study.production.recorder import register
from study.production.run import measured_so_far, run
from study.running.ray_environment import prepare_ray_environment
from study.terminal.hints import shown_path, typed
from study.terminal.say import progress_line, say
from trainables.errors import GanStudyError
from trainables.evaluation.prepare import prepare
from trainables.faults import is_disk_full
from trainables.threads import fixed_threads

__all__ = ["Order", "train"]


def train(order: Order, console: Console) -> None:
    """Train, or go on with a training; write the generator and its papers.

    Raises:
        InvalidInput: before any work, if something in the order is not valid.
        Diverged: if training became non-finite; what was best until then is written all the same.
        GanStudyError: if another process trains there, the disk is full, or the generator cannot be registered.
    """
    plan = make_plan(order)
    trial, origin = plan.config.to_dict(), plan.origin.model_dump(exclude_unset=True)
    with plan.folder.claim(trial, origin), progress_line(console) as show, fixed_threads(plan.origin.threads):

        def tell(text: str, done: bool) -> None:
            if done or console.is_terminal:  # what is being done is of no use in a log
                show(text, done)

        try:
            prepared = prepare(plan.config.data, plan.config.evaluation, cached=True)
            measured_so_far(plan, prepared)
            if plan.devices == 1:
                run(plan, prepared, tell)
            else:
                prepare_ray_environment(local=True)
                from study.production.parallel import run_parallel  # Ray reads its environment when it is imported

                run_parallel(plan, prepared, tell)
        except KeyboardInterrupt:
            tell("interrupted; the same command goes on from its last report", True)
            raise
        except Exception as error:
            if isinstance(error, GanStudyError) or not is_disk_full(error, plan.folder.path):
                raise
            raise GanStudyError(f"{plan.folder.path}: the disk is full; make room, the same command goes on") from error
    shown = shown_path(plan.folder.path)
    for words in (["sample", shown, "-n", "64", "--out", "grid.png"], ["evaluate", shown, "--split", "test"]):
        say(console, f"  {typed(*words)}")
    if plan.mlflow and plan.model:
        register(plan.mlflow, plan.model, plan.folder, prepared.dataset, plan.origin, console)
