"""Commands that train, show data and spaces, or talk to MLflow: they may import torch, ray and mlflow."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from search_spaces.registry import SPACES
from study.analysis.export import read_export
from study.analysis.ranking import rank
from study.catalogue import find_study, load_study, open_ledger
from study.confirmation.stats import confirmed
from study.confirmation.view import plain_confirmation, print_confirmation
from study.console.hints import again, counted, shown_path, typed
from study.console.reading import print_ranking
from study.console.say import goes_on, progress_line, say, say_behind, show_warnings, suggest
from study.console.screen import Screen
from study.console.space_view import print_space, print_spaces
from study.console.tables import counts_line, folded_table
from study.exit_codes import INTERRUPTED, NO_COMPLETED_TRIAL
from study.ledger.records import StudyRecord, fold
from study.mlflow import ui as mlflow_ui
from study.mlflow.projection import MlflowProjection
from study.mlflow.settings import prepare_environment
from study.mlflow.thread import sync as bring_up_to_date
from study.noise.view import plain_noise, print_noise
from study.older.check import OPTION, check_not_older
from study.older.go_on import go_on_from_older
from study.places import Places
from study.production.run_trial import run_trial as repeat
from study.running.ending import ending
from study.running.finished import ended_study, finish_again
from study.running.fit import check_fit
from study.running.ray_environment import cluster_address, prepare_ray_environment
from study.running.warm_start import planned
from study.study_file.config import StudyConfig, read_study
from study.verify import verify as verifying
from trainables.data import SOURCES
from trainables.data.source import DataSource
from trainables.display import quoted
from trainables.errors import GanStudyError, InvalidInput
from trainables.evaluation.config import Evaluation
from trainables.evaluation.prepare import check as check_evaluation
from trainables.evaluation.prepare import describe as describe_data
from trainables.evaluation.prepare import prepare
from trainables.paths import expanded
from trainables.validation import validated

_SHOWN_AT_END = 10


def launch(
    file: Path,
    overrides: Sequence[str],
    storage: Path | None,
    address: str | None,
    dry_run: bool,
    from_older: bool,
    as_json: bool,
    console: Console,
) -> int:
    """Run or resume a study; return the exit code."""
    if as_json and not dry_run:
        raise InvalidInput("--json goes with --dry-run; of a study that ran, `ganstudy best NAME --json` tells")
    if dry_run and from_older:
        raise InvalidInput(f"{OPTION} sets files aside, and --dry-run does nothing: leave one of them out")
    config = read_study(file, overrides, storage)
    address = cluster_address(address)
    if dry_run:
        return _dry_run(config, as_json, console)
    prepare_environment()
    show_warnings(console)
    if from_older:
        with open_ledger(find_study(config.name, config.folder.root)) as ledger:
            go_on_from_older(config.folder, ledger, lambda text: say(console, text))
    if (ended := ended_study(config)) is not None:
        return _finished(config, ended, again(file, overrides, storage, address), console)
    prepare_ray_environment(local=address is None)
    from study.running.launch import launch as run  # imports ray

    with goes_on(again(file, overrides, storage, address)):
        launched = run(config, address, console)
    ranked = rank(launched.study.trials, top=_SHOWN_AT_END)
    if ranked:
        console.print()
        print_ranking(launched.study, ranked, config.folder, console)
    say_behind(console, launched.mlflow_behind, typed("sync", config.name, folder=config.folder))
    if launched.interrupted:
        say(console, f"{launched.interrupted}; go on with: {again(file, overrides, storage, address)}")
        return INTERRUPTED if launched.by_signal else 0
    if not ranked:
        say(console, f"no trial completed; see: {typed('status', config.name, folder=config.folder)}")
        return NO_COMPLETED_TRIAL
    _say_next(config, ranked[0].trial.kimg, console)
    return 0


def _finished(config: StudyConfig, study: StudyRecord, command: str, console: Console) -> int:
    """Tell of a study that is launched again after its end; return the exit code."""
    ranked = rank(study.trials, top=_SHOWN_AT_END)
    say(console, f"{config.name} has come to its end: {counts_line(study)}")
    if ranked:
        console.print()
        print_ranking(study, ranked, config.folder, console)
    with console.status("bringing MLflow up to date"):
        behind = finish_again(study, config.folder)
    say_behind(console, behind, typed("sync", config.name, folder=config.folder))
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
        (typed("confirm", name, folder=folder), "train the best again from fresh seeds, judge them on test images"),
        (typed("run-trial", best, "--kimg", str(kimg)), "repeat the best trial; its FIDs come out the same"),
        (typed("train", best, "--kimg", str(20 * kimg)), "train it further, to a generator as a file"),
    )
    suggest(console, steps)


def run_trial(
    file: Path,
    kimg: int,
    report_kimg: int | None,
    out: Path | None,
    device: str,
    data: Path | None,
    weights: Path | None,
    console: Console,
) -> bool:
    """Run one trial from a file; return whether it repeated the study's FIDs."""
    return repeat(read_export(file), kimg, report_kimg, out, device, console, Places(data, weights))


def noise(
    name: str,
    storage: Path | None,
    trial: int | None,
    evaluations: int,
    seeds: int,
    device: str | None,
    as_json: bool,
    console: Console,
) -> None:
    """Measure how far a trial's FID differs by chance, and print it."""
    from study.noise.measure import Wanted, measure

    wanted, folder = Wanted(trial, evaluations, seeds), find_study(name, storage)
    words = ["noise", name, *(("--trial", str(trial)) if trial is not None else ())]
    command = typed(*words, "--evaluations", str(evaluations), "--seeds", str(seeds), folder=folder)
    with goes_on(command), progress_line(Screen(stderr=True) if as_json else console) as show:
        study, measured = measure(folder, wanted, device, show)
    if as_json:
        console.print_json(data=plain_noise(study, measured))
    else:
        print_noise(study, measured, folder, console)


def confirm(
    name: str,
    storage: Path | None,
    top: int | None,
    seeds: int | None,
    address: str | None,
    as_json: bool,
    console: Console,
) -> int:
    """Retrain a study's best with fresh seeds and print how they compare; return the exit code."""
    folder, shown = find_study(name, storage), Screen(stderr=True) if as_json else console
    cluster = cluster_address(address)
    prepare_environment()
    prepare_ray_environment(local=cluster is None)
    from study.confirmation.confirm import Wanted
    from study.confirmation.confirm import confirm as run  # imports ray

    wanted = Wanted(top, seeds)
    show_warnings(shown)
    sizes = [word for option, n in (("--top", top), ("--seeds", seeds)) if n is not None for word in (option, str(n))]
    options = ("--address", address) if address else ()
    with goes_on(typed("confirm", name, *sizes, *options, folder=folder)):
        done = run(folder, wanted, cluster, shown)
    if as_json:
        console.print_json(data=plain_confirmation(done.study))
    else:
        console.print()
        print_confirmation(done.study, folder, console)
    say_behind(shown, done.mlflow_behind, typed("sync", name, folder=folder))
    plan = done.study.confirmation.plan
    if done.interrupted and plan:
        size = ("--top", str(len(plan.trials)), "--seeds", str(plan.seeds))
        say(shown, f"{done.interrupted}; go on with: {typed('confirm', name, *size, *options, folder=folder)}")
        return INTERRUPTED if done.by_signal else 0
    if not any(retraining.test for retraining in done.study.confirmation.begun):
        return NO_COMPLETED_TRIAL
    if not as_json and confirmed(done.study):
        file, kimg = shown_path(folder.best_file), 20 * done.study.config["schedule"]["max_kimg"]
        say(console, f"its configuration: {file}; train it: {typed('train', file, '--kimg', str(kimg))}")
    return 0


def ui(name: str, storage: Path | None, port: int, console: Console) -> None:
    """Serve a study in MLflow until Ctrl-C."""
    folder = find_study(name, storage)
    study = load_study(folder)
    uri = study.config["mlflow"]["uri"]
    mlflow_ui.serve(folder, uri, port, uid=study.uid, echo=lambda text: say(console, text))


def sync(name: str, storage: Path | None, from_older: bool, as_json: bool, console: Console) -> None:
    """Bring MLflow up to date."""
    folder = find_study(name, storage)
    projection = MlflowProjection(load_study(folder).config["mlflow"]["uri"], folder, name)
    prepare_environment()
    with goes_on(typed("sync", name, folder=folder)), open_ledger(folder) as ledger:
        if owner := ledger.live_owner():
            raise GanStudyError(f"{name} is being run by {owner}, which keeps MLflow up to date; wait for its end")
        if from_older:
            go_on_from_older(folder, ledger, lambda text: say(Screen(stderr=True) if as_json else console, text))
        else:
            check_not_older(folder, ledger, fold(ledger.read(), live=False))
        with TemporaryDirectory(prefix="ganstudy-") as place:  # the study's own folder is its driver's
            end = ending(fold(ledger.read(), live=False), folder, Path(place))
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


def describe(
    source: str, path: Path | None, options: Mapping[str, int | str | None], as_json: bool, console: Console
) -> None:
    """Print what is known of a data set; `options` are those of its source, None where not given."""
    data, evaluation = _source(source, path, options)
    facts = describe_data(prepare(data, evaluation, cached=True))
    if as_json:
        console.print_json(data=facts)
        return
    rows = [[key, str(value)] for key, value in _flat(facts)]
    console.print(folded_table([("", "left"), ("", "left")], rows))


def _source(source: str, path: Path | None, options: Mapping[str, int | str | None]) -> tuple[DataSource, Evaluation]:
    """Return the data source of that name, or that of a study file."""
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if source in SOURCES:
        variant = SOURCES[source]
        place = variant.path_key()
        if path is not None and place is None:
            raise InvalidInput(f"--path {path}: {source} comes with a library; leave it out")
        if path is not None and place is not None:
            given[place] = path
        return validated(variant, given, f"data {source}"), Evaluation()
    if Path(source).suffix in (".yaml", ".yml"):
        if given or path is not None:
            raise InvalidInput(f"data describe {source}: the study file says all; leave the options out")
        config = read_study(expanded(Path(source)))
        return config.data, config.evaluation
    raise InvalidInput(f"data {quoted(source)}: choose one of {', '.join(SOURCES)}, or a study file (.yaml)")


def _flat(facts: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in facts.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


def list_spaces(as_json: bool, console: Console) -> None:
    """Print the spaces' names and what they are for."""
    if as_json:
        facts = [
            {"name": s.name, "parameters": len(s.parameters), "description": s.description} for s in SPACES.values()
        ]
        console.print_json(data=facts)
    else:
        print_spaces(SPACES.values(), console)


def show_space(name: str, as_json: bool, console: Console) -> None:
    """Print one space: its parameters, and its baselines with their sources."""
    if name not in SPACES:
        raise InvalidInput(f"space {quoted(name)}: choose one of {', '.join(SPACES)}")
    if as_json:
        console.print_json(data=SPACES[name].to_dict())
    else:
        print_space(SPACES[name], console)
