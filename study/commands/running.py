"""Commands that run a study, check its results, or bring MLflow up to date."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from study.analysis.ranking import Ranked, rank
from study.commands.results import print_ranking
from study.exit_codes import INTERRUPTED, NO_COMPLETED_TRIAL
from study.folder import StudyFolder
from study.ledger.catalogue import find_study, load_study, open_ledger
from study.ledger.records import Fold, StudyRecord
from study.mlflow import ui as mlflow_ui
from study.mlflow.projection import MlflowProjection
from study.mlflow.settings import prepare_environment
from study.mlflow.thread import sync as bring_up_to_date
from study.older.check import OPTION, check_not_older
from study.older.go_on import go_on_from_older
from study.running.completed import completed_study, resync
from study.running.final_state import final_state
from study.running.fit import check_fit
from study.running.ray_environment import cluster_address, prepare_ray_environment
from study.running.warm_start import planned
from study.study_file.config import StudyConfig, read_study
from study.terminal.hints import again, counted, shown_path, typed
from study.terminal.say import goes_on, say, say_behind, say_warnings, show_warnings, suggest
from study.terminal.screen import Screen
from study.verify import verify as verifying
from study.views.tables import counts_line
from trainables.errors import GanStudyError, InvalidInput
from trainables.evaluation.cautions import cautions
from trainables.evaluation.prepare import check as check_evaluation

_SHOWN_AT_END = 10


@dataclass(frozen=True)
class Launch:
    """What `ganstudy launch` was asked for."""

    file: Path
    overrides: Sequence[str]
    storage: Path | None
    address: str | None
    dry_run: bool
    from_older: bool
    as_json: bool


def launch(options: Launch, console: Console) -> int:
    """Run or resume a study; return the exit code."""
    if options.as_json and not options.dry_run:
        raise InvalidInput("--json needs --dry-run; for a study that has run use `ganstudy best NAME --json`")
    if options.dry_run and options.from_older:
        raise InvalidInput(f"{OPTION} moves files, and --dry-run changes nothing: leave one of them out")
    config = read_study(options.file, options.overrides, options.storage)
    address = cluster_address(options.address)
    if options.dry_run:
        return _dry_run(config, options.as_json, console)
    the_same = again(options.file, options.overrides, options.storage, address)
    prepare_environment()
    show_warnings(console)
    if options.from_older:
        with open_ledger(find_study(config.name, config.folder.root)) as ledger:
            go_on_from_older(config.folder, ledger, lambda text: say(console, text))
    known = Fold()
    if (ended := completed_study(config, known)) is not None:
        return _finished(config, ended, the_same, console)
    prepare_ray_environment(local=address is None)
    from study.running.launch import launch as run  # imports ray

    with goes_on(the_same):
        launched = run(config, address, console, known)
    ranked = _say_ranking(launched.study, launched.mlflow_behind, config.folder, console)
    if launched.interrupted:
        say(console, f"{launched.interrupted}; go on with: {the_same}")
        return INTERRUPTED if launched.by_signal else 0
    if not ranked:
        say(console, f"no trial completed; see: {typed('status', config.name, folder=config.folder)}")
        return NO_COMPLETED_TRIAL
    _say_next(config, ranked[0].trial.kimg, console)
    return 0


def _say_ranking(study: StudyRecord, behind: str | None, folder: StudyFolder, console: Console) -> list[Ranked]:
    """Print the first trials, if any can be ranked, and what MLflow lacks."""
    ranked = rank(study.trials, top=_SHOWN_AT_END)
    if ranked:
        console.print()
        print_ranking(study, ranked, folder, console)
    say_behind(console, behind, typed("sync", folder.name, folder=folder))
    return ranked


def _finished(config: StudyConfig, study: StudyRecord, command: str, console: Console) -> int:
    """Show a study that is launched again after its end; return the exit code."""
    say(console, f"{config.name} has come to its end: {counts_line(study)}")
    with console.status("bringing MLflow up to date"):
        behind = resync(study, config.folder)
    ranked = _say_ranking(study, behind, config.folder, console)
    more, longer = 2 * config.trials, config.schedule.max_kimg * config.schedule.reduction_factor
    say(console, "\nextend it:")
    options = (f"trials={more}", "more trials"), (f"schedule.max_kimg={longer}", "a larger budget")
    suggest(console, [(f"{command} --set {override}", what) for override, what in options])
    if not ranked:
        return NO_COMPLETED_TRIAL
    _say_next(config, ranked[0].trial.kimg, console)
    return 0


def _dry_run(config: StudyConfig, as_json: bool, console: Console) -> int:
    from study.running.plan import make_plan, show_plan

    earlier = planned(config)
    dataset = config.data.load()
    check_evaluation(dataset, config.evaluation)
    check_fit(config, dataset)
    say_warnings(Screen(stderr=True) if as_json else console, cautions(dataset, config.evaluation))
    cpus = 1.0 if config.resources.cpus == "auto" else config.resources.cpus
    possible = max(1, int((os.cpu_count() or 1) / cpus))
    slots = possible if config.concurrency == "auto" else min(config.concurrency, possible)
    plan = make_plan(config, dataset, slots, earlier)
    if as_json:
        console.print_json(data=plan.to_dict())
    else:
        show_plan(plan, console)
    return 0


def _say_next(config: StudyConfig, kimg: int, console: Console) -> None:
    name, folder, best = config.name, config.folder, shown_path(config.folder.best_file)
    say(console, f"\nbest configuration: {best}\nnext:")
    steps = (
        (typed("ui", name, folder=folder), "compare the trials in MLflow"),
        (typed("report", name, folder=folder), "one page on all of it"),
        (typed("noise", name, folder=folder), "how much of the ranking is chance"),
        (typed("confirm", name, folder=folder), "retrain the best from fresh seeds, evaluate them on test images"),
        (typed("run-trial", best, "--kimg", str(kimg)), "repeat the best trial; its FIDs come out the same"),
        (typed("train", best, "--kimg", str(20 * kimg)), "train it further and keep its generator as a file"),
    )
    suggest(console, steps)


def ui(name: str, storage: Path | None, port: int, console: Console) -> None:
    """Serve a study in MLflow until Ctrl-C."""
    folder = find_study(name, storage)
    study = load_study(folder)
    uri = study.config["mlflow"]["uri"]
    mlflow_ui.serve(folder, uri, port, uid=study.uid, echo=lambda text: say(console, text))


def sync(name: str, storage: Path | None, from_older: bool, as_json: bool, console: Console) -> None:
    """Bring MLflow up to date."""
    folder = find_study(name, storage)
    prepare_environment()
    with goes_on(typed("sync", name, folder=folder)), open_ledger(folder) as ledger:
        study = Fold().follow(ledger.read).record(live=False)
        projection = MlflowProjection(study.config["mlflow"]["uri"], folder, name)
        if owner := ledger.live_owner():
            raise GanStudyError(f"{name} is being run by {owner}, which keeps MLflow up to date; wait until it ends")
        if from_older:
            go_on_from_older(folder, ledger, lambda text: say(Screen(stderr=True) if as_json else console, text))
        else:
            check_not_older(folder, ledger, study)
        with TemporaryDirectory(prefix="ganstudy-") as temporary:  # the study's own folder is its driver's
            end = final_state(study, folder, Path(temporary))
            counts = bring_up_to_date(ledger.read, projection, end)
    if as_json:
        console.print_json(data=asdict(counts))
    else:
        say(console, f"MLflow is up to date; sent: {counted(asdict(counts))}")


def verify(name: str, storage: Path | None, as_json: bool, console: Console) -> bool:
    """Check a study against its ledger; return whether all is well."""
    folder = find_study(name, storage)
    prepare_environment()
    return verifying.report(name, verifying.verify(folder), as_json, console)
