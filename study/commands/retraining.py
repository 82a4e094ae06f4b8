"""Commands that train a study's trials again from fresh seeds."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from study.confirmation.stats import confirmed
from study.confirmation.view import plain_confirmation, print_confirmation
from study.exit_codes import INTERRUPTED, NO_COMPLETED_TRIAL
from study.ledger.catalogue import find_study
from study.mlflow.settings import prepare_environment
from study.noise.view import plain_noise, print_noise
from study.running.ray_environment import cluster_address, prepare_ray_environment
from study.terminal.hints import shown_path, typed
from study.terminal.say import goes_on, progress_line, say, say_behind, show_warnings
from study.terminal.screen import Screen


@dataclass(frozen=True)
class Measure:
    """What `ganstudy noise` was asked for."""

    name: str
    storage: Path | None
    trial: int | None
    evaluations: int
    seeds: int
    device: str | None
    as_json: bool


def noise(options: Measure, console: Console) -> None:
    """Measure how far a trial's FID differs by chance, and print it."""
    from study.noise.measure import Wanted, measure

    wanted = Wanted(options.trial, options.evaluations, options.seeds)
    folder = find_study(options.name, options.storage)
    of = () if options.trial is None else ("--trial", str(options.trial))
    sizes = "--evaluations", str(options.evaluations), "--seeds", str(options.seeds)
    command = typed("noise", options.name, *of, *sizes, folder=folder)
    with goes_on(command), progress_line(Screen(stderr=True) if options.as_json else console) as show:
        study, measured = measure(folder, wanted, options.device, show)
    if options.as_json:
        console.print_json(data=plain_noise(study, measured))
    else:
        print_noise(study, measured, folder, console)


@dataclass(frozen=True)
class Confirm:
    """What `ganstudy confirm` was asked for."""

    name: str
    storage: Path | None
    top: int | None
    seeds: int | None
    address: str | None
    as_json: bool


def confirm(options: Confirm, console: Console) -> int:
    """Retrain a study's best with fresh seeds and print how they compare; return the exit code."""
    name, address = options.name, options.address
    folder = find_study(name, options.storage)
    shown = Screen(stderr=True) if options.as_json else console
    cluster = cluster_address(address)
    prepare_environment()
    prepare_ray_environment(local=cluster is None)
    from study.confirmation.confirm import Wanted
    from study.confirmation.confirm import confirm as run  # imports ray

    show_warnings(shown)
    given = ("--top", options.top), ("--seeds", options.seeds)
    sizes = [word for option, n in given if n is not None for word in (option, str(n))]
    where = ("--address", address) if address else ()
    with goes_on(typed("confirm", name, *sizes, *where, folder=folder)):
        done = run(folder, Wanted(options.top, options.seeds), cluster, shown)
    if options.as_json:
        console.print_json(data=plain_confirmation(done.study))
    else:
        console.print()
        print_confirmation(done.study, folder, console)
    say_behind(shown, done.mlflow_behind, typed("sync", name, folder=folder))
    plan = done.study.confirmation.plan
    if done.interrupted and plan:
        size = ("--top", str(len(plan.trials)), "--seeds", str(plan.seeds))
        say(shown, f"{done.interrupted}; go on with: {typed('confirm', name, *size, *where, folder=folder)}")
        return INTERRUPTED if done.by_signal else 0
    if not any(retraining.test for retraining in done.study.confirmation.begun):
        return NO_COMPLETED_TRIAL
    if not options.as_json and confirmed(done.study):
        file, kimg = shown_path(folder.best_file), 20 * done.study.config["schedule"]["max_kimg"]
        say(console, f"its configuration: {file}; train it: {typed('train', file, '--kimg', str(kimg))}")
    return 0
