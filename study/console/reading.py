"""Commands that only read results: they import neither torch nor ray, so they start at once."""

from pathlib import Path
from typing import Any

from rich.console import Console

from study.analysis import export as exporting
from study.analysis.confirmation import confirmed
from study.analysis.noise import noise_of
from study.analysis.ranking import Ranked, rank, tied_with_first
from study.folder import StudyFolder
from study.ledger.catalogue import find_study, load_study
from study.ledger.records import StudyRecord, TrialRecord
from study.terminal.hints import typed
from study.terminal.say import say
from study.views.noise import ranking_lines
from study.views.tables import counts_line, number, ranking_table, trials_table
from trainables.errors import GanStudyError, InvalidInput


def status(name: str, storage: Path | None, as_json: bool, console: Console) -> None:
    """Print every trial of a study."""
    folder = find_study(name, storage)
    study = load_study(folder)
    if as_json:
        console.print_json(data=[_plain(trial) for trial in study.trials])
        return
    console.print(trials_table(study.trials))
    console.print(counts_line(study), highlight=False)
    for line in ranking_lines(study, rank(study.trials), typed("noise", name, folder=folder)):
        say(console, line, "dim")


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
        console.print(f"no trial of {name} has reported yet; {counts_line(study)}", highlight=False)
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


def export_trial(name: str, storage: Path | None, file: Path, number: int | None, console: Console) -> None:
    """Write the best trial, or trial `number`, to `file`."""
    study = load_study(find_study(name, storage))
    best = confirmed(study)
    trial = best.trial if best and number is None else chosen_trial(study, number)
    exporting.export(study, trial, file)
    fid = "" if trial.fid_best is None else f", FID {trial.fid_best:.2f} at {trial.kimg_best} kimg"
    mean = f"; confirmed best, mean test FID {best.mean:.2f}" if best and best.mean is not None else ""
    say(console, f"{file}: trial {trial.number} of {name}{fid}{mean if best and trial is best.trial else ''}")


def chosen_trial(study: StudyRecord, number: int | None) -> TrialRecord:
    """Return trial `number`, or the best one.

    Raises:
        InvalidInput: if there is no such trial.
        GanStudyError: if none can be ranked.
    """
    if number is None:
        ranked = rank(study.trials, top=1)
        if not ranked:
            raise GanStudyError(f"no trial of {study.config['name']} can be ranked yet; see `ganstudy status`")
        return ranked[0].trial
    if not 0 <= number < len(study.trials):
        raise InvalidInput(f"--trial {number}: the study has trials 0 to {len(study.trials) - 1}")
    return study.trials[number]


def _plain(trial: TrialRecord) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": str(trial.state),
        "kimg": trial.kimg,
        "rung": trial.rung,
        "cause": trial.cause,
        "fid": trial.fid,
        "fid_best": trial.fid_best,
        "kimg_best": trial.kimg_best,
        "collapsed": trial.collapsed,
        "collapsed_best": trial.collapsed_best,
        "fids": trial.curve,
        "origin": trial.origin,
        "config": trial.config,
    }
