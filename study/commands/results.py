"""Commands that only read results: they import neither torch nor ray, so they start at once."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from study.analysis import export as exporting
from study.analysis.compare import compare as side_by_side
from study.analysis.confirmation import confirmed
from study.analysis.noise import noise_of
from study.analysis.ranking import Ranked, chosen_trial, rank, tied_with_first
from study.analysis.results import check_format, trial_facts, write_results
from study.folder import StudyFolder
from study.ledger.catalogue import find_study, load_study
from study.ledger.records import StudyRecord, TrialRecord
from study.loaded import LoadedStudy, load
from study.terminal.hints import typed
from study.terminal.say import say, say_warnings, say_written
from study.views.comparison import print_comparison
from study.views.noise import ranking_lines
from study.views.seen_images import is_seen, seen_lines, split_words
from study.views.tables import counts_line, number, ranking_table, trials_table
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.files import write_named

if TYPE_CHECKING:
    import pandas as pd

TABLES: dict[str, Callable[[LoadedStudy], "pd.DataFrame"]] = {
    "trials": LoadedStudy.trials_frame,
    "reports": LoadedStudy.reports_frame,
}


def status(name: str, storage: Path | None, as_json: bool, console: Console) -> None:
    """Print every trial of a study."""
    folder = find_study(name, storage)
    study = load_study(folder)
    if as_json:
        console.print_json(data=[_plain(trial) for trial in study.trials])
        return
    console.print(trials_table(study.trials))
    console.print(counts_line(study))
    for line in ranking_lines(study, rank(study.trials), typed("noise", name, folder=folder)):
        say(console, line, "dim")
    say_warnings(console, seen_lines(study.config))


def best(name: str, storage: Path | None, top: int, as_json: bool, console: Console) -> bool:
    """Print the ranking; return whether any trial could be ranked."""
    folder = find_study(name, storage)
    study = load_study(folder)
    ranked = rank(study.trials, top=top)
    if as_json:
        ties = tied_with_first(ranked, noise_of(study))
        rows = [{"rank": r.rank, "tied_with_first": ties.get(r.trial.number), **_plain(r.trial)} for r in ranked]
        console.print_json(data=rows)
    elif ranked:
        print_ranking(study, ranked, folder, console)
    else:
        console.print(f"no trial of {name} has reported yet; {counts_line(study)}")
    return bool(ranked)


def print_ranking(study: StudyRecord, ranked: list[Ranked], folder: StudyFolder, console: Console) -> None:
    """Print ranked trials with what the ranking means, and how much of it is noise."""
    console.print(ranking_table(ranked, noise_of(study)))
    scale = (
        f"equal budgets first, then best FID; floor {study.fid_floor:.2f} (real images), "
        f"ceiling {study.fid_ceiling:.1f} (uniform noise); {counts_line(study)}"
    )
    best = confirmed(study)
    fresh = [f"confirmed best: trial {best.trial.number}, mean test FID {number(best.mean)}"] if best else []
    for line in (scale, *ranking_lines(study, ranked, typed("noise", folder.name, folder=folder)), *fresh):
        say(console, line, "dim")
    say_warnings(console, seen_lines(study.config))


def export_trial(name: str, storage: Path | None, file: Path, number: int | None, console: Console) -> None:
    """Write the best trial, or trial `number`, to `file`."""
    study = load_study(find_study(name, storage))
    best = confirmed(study)
    trial = best.trial if best and number is None else chosen_trial(study, number)
    exporting.export(study, trial, file)
    seen = f" against the {split_words('validation', study.config)}" if is_seen(study.config) else ""
    fid = "" if trial.fid_best is None else f", FID {trial.fid_best:.2f}{seen} at {trial.kimg_best} kimg"
    mean = f"; confirmed best, mean test FID {best.mean:.2f}" if best and best.mean is not None else ""
    say_written(console, file, f"trial {trial.number} of {name}{fid}{mean if best and trial is best.trial else ''}")


def results(name: str, storage: Path | None, table: str, out: Path | None, console: Console) -> None:
    """Write a study's trials or reports as a table."""
    if table not in TABLES:
        raise InvalidInput(f"--table {quoted(table)}: choose one of {', '.join(TABLES)}")
    check_format(out)
    frame = TABLES[table](load(name, storage))
    write_results(frame, out)
    if out is not None:
        say_written(console, out, f"{len(frame)} rows, {len(frame.columns)} columns of {name}")


def report(name: str, storage: Path | None, out: Path | None, console: Console) -> None:
    """Write a study's report."""
    from study.report.page import report as page  # loads Jinja, which nobody else waits for

    folder = find_study(name, storage)
    file = out or folder.report_file
    content = page(load_study(folder), folder).encode()
    write_named(file, content)
    say_written(console, file, f"{len(content) / 1e6:.1f} MB, one file that any browser opens, also offline")


def compare(a: str, b: str, storage: Path | None, as_json: bool, console: Console) -> None:
    """Print two studies side by side."""
    first, second = (load_study(find_study(name, storage)) for name in (a, b))
    comparison = side_by_side(first, second)
    if as_json:
        console.print_json(data=comparison.to_dict())
    else:
        print_comparison(comparison, console)
        for name, study in ((a, first), (b, second)):
            say_warnings(console, (f"{name}: {line}" for line in seen_lines(study.config)))


def export_optuna(name: str, storage: Path | None, target: str, console: Console) -> None:
    """Copy a study to an Optuna storage."""
    study = load_study(find_study(name, storage))
    from study.analysis.optuna_export import export_optuna as copy  # imports torch, for the space

    say(console, f"{target}: {copy(study, target)} trials of {name}; to view them: optuna-dashboard {target}")


def _plain(trial: TrialRecord) -> dict[str, Any]:
    facts = trial_facts(trial) | {"fids": trial.curve, "config": trial.config}
    del facts["attempts"]  # which scripts find in `ganstudy results`
    return facts
