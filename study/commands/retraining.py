"""Commands that train a study's trials again from fresh seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from study.analysis.confirmation import confirmed
from study.exit_codes import INTERRUPTED, NO_COMPLETED_TRIAL
from study.folder import StudyFolder
from study.ledger.catalogue import find_study
from study.ledger.events import NOISE
from study.ledger.records import TrialState
from study.mlflow.settings import prepare_environment
from study.running.ray_environment import cluster_address, prepare_ray_environment
from study.terminal.hints import shown_path, typed
from study.terminal.say import goes_on, say, say_behind, show_warnings
from study.terminal.screen import Screen
from study.views.confirmation import plain_confirmation, print_confirmation
from study.views.noise import plain_noise, print_noise

if TYPE_CHECKING:
    from study.running.launch import Launched  # imports ray


@dataclass(frozen=True)
class Measure:
    """What `ganstudy noise` was asked for."""

    name: str
    storage: Path | None
    trial: int | None
    evaluations: int
    seeds: int
    device: str | None
    address: str | None
    as_json: bool

    def typed(self, folder: StudyFolder, trial: int | None) -> str:
        """The same command for this trial, to type."""
        of = () if trial is None else ("--trial", str(trial))
        sizes = "--evaluations", str(self.evaluations), "--seeds", str(self.seeds)
        return typed("noise", self.name, *of, *sizes, *_address(self.address), folder=folder)


def noise(options: Measure, console: Console) -> int:
    """Measure how far a trial's FID differs by chance, and print it; return the exit code."""
    folder, shown = find_study(options.name, options.storage), Screen(stderr=True) if options.as_json else console
    cluster = _prepare(options.address)
    from study.retraining.noise import NoiseRequest, measure  # imports ray

    wanted = NoiseRequest(options.trial, options.evaluations, options.seeds)
    show_warnings(shown)
    with goes_on(options.typed(folder, options.trial)):
        done, measured = measure(folder, wanted, options.device, cluster, shown)
    if options.as_json:
        console.print_json(data=plain_noise(done.study, measured))
    else:
        print_noise(done.study, measured, folder, console)
    again = options.typed(folder, measured.number)
    begun = [one for one in done.study.asked(NOISE).begun if one.number == measured.number]
    failed = [one for one in begun if one.state == TrialState.FAILED]
    for one in failed:
        what = f"trial {one.number} with seed {one.seed} failed at {one.kimg} kimg"
        say(shown, f"{what}: {one.cause}; try it again: {again}")
    code = _ended(done, again, folder, shown)
    return code or (NO_COMPLETED_TRIAL if failed and len(failed) == len(begun) else 0)


@dataclass(frozen=True)
class Confirm:
    """What `ganstudy confirm` was asked for."""

    name: str
    storage: Path | None
    top: int | None
    seeds: int | None
    address: str | None
    as_json: bool

    def typed(self, folder: StudyFolder, top: int | None, seeds: int | None) -> str:
        """The same command with these numbers, to type."""
        sizes = [
            word for option, n in (("--top", top), ("--seeds", seeds)) if n is not None for word in (option, str(n))
        ]
        return typed("confirm", self.name, *sizes, *_address(self.address), folder=folder)


def confirm(options: Confirm, console: Console) -> int:
    """Retrain a study's best with fresh seeds and print how they compare; return the exit code."""
    folder, shown = find_study(options.name, options.storage), Screen(stderr=True) if options.as_json else console
    cluster = _prepare(options.address)
    from study.retraining.confirm import ConfirmRequest
    from study.retraining.confirm import confirm as run  # imports ray

    show_warnings(shown)
    with goes_on(options.typed(folder, options.top, options.seeds)):
        done = run(folder, ConfirmRequest(options.top, options.seeds), cluster, shown)
    if options.as_json:
        console.print_json(data=plain_confirmation(done.study))
    else:
        console.print()
        print_confirmation(done.study, folder, console)
    plan = done.study.confirmation.plan
    assert plan is not None, "it was written first"
    code = _ended(done, options.typed(folder, len(plan.trials), plan.seeds), folder, shown)
    if done.interrupted:
        return code
    if not any(retraining.test for retraining in done.study.confirmation.begun):
        return NO_COMPLETED_TRIAL
    if not options.as_json and confirmed(done.study):
        file, kimg = shown_path(folder.best_file), 20 * done.study.config["schedule"]["max_kimg"]
        say(console, f"its configuration: {file}; train it: {typed('train', file, '--kimg', str(kimg))}")
    return 0


def _address(address: str | None) -> tuple[str, ...]:
    return ("--address", address) if address else ()


def _prepare(address: str | None) -> str | None:
    """Set up the environment before Ray is imported; return the address of the cluster, None for a local Ray."""
    cluster = cluster_address(address)
    prepare_environment()
    prepare_ray_environment(local=cluster is None)
    return cluster


def _ended(done: "Launched", again: str, folder: StudyFolder, console: Console) -> int:
    """Say how a command that trained ended before its time, if it did; return the exit code."""
    say_behind(console, done.mlflow_behind, typed("sync", folder.name, folder=folder))
    if done.interrupted:
        say(console, f"{done.interrupted}; go on with: {again}")
    return INTERRUPTED if done.interrupted and done.by_signal else 0
