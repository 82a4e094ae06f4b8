"""`ganstudy train`: production training from an exported configuration, to a generator that stands on its own.

It is the trial's own training (`trainables.trial`) in its own folder: with the exported seed its FIDs are the study's
as far as the study went. It ends with what `study.production.product` writes.
"""

from rich.console import Console

from study.data_paths import BY_OPTION, saying
from study.production.plan import Order, make_plan
from study.production.recorder import register
from study.production.run import measured_so_far, run
from study.running.ray_environment import prepare_ray_environment
from study.terminal.hints import shown_path, typed
from study.terminal.say import progress_line, say
from trainables.errors import GanStudyError
from trainables.evaluation.prepare import prepare
from trainables.faults import is_disk_shut
from trainables.files import on_read_only
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
    folder = plan.folder.path
    trial, origin = plan.config.to_dict(), plan.origin.model_dump(exclude_unset=True)
    with plan.folder.claim(trial, origin), progress_line(console) as show, fixed_threads(plan.origin.threads):

        def tell(text: str, done: bool) -> None:
            if done or console.is_terminal:  # what is being done is of no use in a log
                show(text, done)

        try:
            with saying(BY_OPTION):
                prepared = prepare(*order.paths.applied(plan.config), cached=True)
            measured_so_far(plan, prepared)
            if order.devices == 1:
                run(plan, prepared, tell)
            else:
                prepare_ray_environment(local=True)
                from study.production.parallel import run_parallel  # Ray reads its environment when it is imported

                run_parallel(plan, prepared, tell)
        except KeyboardInterrupt:
            tell("interrupted; the same command goes on from its last report", True)
            raise
        except Exception as error:
            if isinstance(error, GanStudyError) or not is_disk_shut(error, folder):
                raise
            what = "is read-only; make it writable" if on_read_only(folder) else "is full; make room"
            raise GanStudyError(f"{folder}: the disk {what}, the same command goes on") from error
    shown = shown_path(folder)
    for words in (["sample", shown, "-n", "64", "--out", "grid.png"], ["evaluate", shown, "--split", "test"]):
        say(console, f"  {typed(*words)}")
    if plan.model:
        register(plan, prepared.dataset.facts, console)
