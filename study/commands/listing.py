"""`ganstudy list`: every study in the storage folder, the newest first."""

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from study.analysis.ranking import rank
from study.folder import storage_root
from study.ledger.catalogue import find_study, load_study, study_names
from study.ledger.records import StudyRecord, TrialState
from study.terminal.fitted import Fitted
from study.terminal.say import say
from study.views.seen_images import is_seen
from study.views.tables import STATE_STYLES, number
from trainables.errors import GanStudyError


@dataclass(frozen=True)
class Listed:
    """One study, in a row; times are unix seconds.

    Attributes:
        name: the study's name.
        state: running, interrupted, finished or unreadable.
        trials: how many were started, of how many.
        states: trials by state.
        fid_best: that of the first in the ranking.
        kimg: the budget at which that one is ranked.
        written_at: the latest time in its ledger; None if it is unreadable.
        data: the data set's name.
        fid_on_train_images: whether its FIDs are measured against the images that the GAN trains on.
        problem: why it is unreadable.
    """

    name: str
    state: str
    trials: tuple[int, int] = (0, 0)
    states: dict[str, int] | None = None
    fid_best: float | None = None
    kimg: int | None = None
    written_at: float | None = None
    data: str | None = None
    fid_on_train_images: bool = False
    problem: str | None = None


def list_studies(storage: Path | None, as_json: bool, console: Console) -> None:
    """Print each study: state, trials, best FID, data, when last written."""
    root = storage_root(storage)
    found = sorted((_listed(name, storage) for name in study_names(root)), key=lambda one: -(one.written_at or 0.0))
    if as_json:
        console.print_json(data=[asdict(one) for one in found])
        return
    if not found:
        say(console, f"no studies in {root}; to start one: ganstudy init, then ganstudy launch FILE")
        return
    columns = [("study", "left"), ("state", "left"), ("trials", "right"), ("best FID", "right"), ("at kimg", "right"),
               ("written", "left"), ("data", "left"), ("trials by state", "left")]  # fmt: skip
    rows = [_row(one) for one in found if not one.problem]
    if rows:
        console.print(Fitted(columns, rows, optional=("at kimg", "trials by state", "data", "written")))
    for one in found:
        if one.problem:
            say(console, f"{one.name}: {one.problem}", "red")


def _listed(name: str, storage: Path | None) -> Listed:
    try:
        study = load_study(find_study(name, storage))
    except GanStudyError as error:
        return Listed(name, "unreadable", problem=str(error))
    ranked = rank(study.trials, top=1)
    running = any(trial.state == TrialState.RUNNING for trial in study.trials)
    return Listed(
        name=name,
        state="running" if running else "finished" if study.complete else "interrupted",
        trials=(len(study.trials), int(study.config["trials"])),
        states=dict(Counter(str(trial.state) for trial in study.trials)),
        fid_best=ranked[0].fid_best if ranked else None,
        kimg=ranked[0].budget if ranked else None,
        written_at=_written(study),
        data=str(study.config["data"]["name"]),
        fid_on_train_images=is_seen(study.config),
    )


def _written(study: StudyRecord) -> float:
    reports = [report.written_at for trial in study.trials for report in trial.reports]
    ends = [max(trial.started_at, trial.ended_at or 0.0) for trial in study.trials]
    return max([study.opened_at, *reports, *ends])


def _row(one: Listed) -> list[str | Text]:
    written = datetime.fromtimestamp(one.written_at or 0.0, UTC).astimezone()
    begun, wanted = one.trials
    return [
        one.name,
        Text(one.state, STATE_STYLES.get(one.state, "")),
        f"{begun}/{wanted}",
        number(one.fid_best),
        "" if one.kimg is None else str(one.kimg),
        f"{written:%Y-%m-%d %H:%M}",
        f"{one.data or ''}{', FID on train images' * one.fid_on_train_images}",
        ", ".join(f"{count} {state}" for state, count in (one.states or {}).items()),
    ]
