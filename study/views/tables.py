"""Tables and numbers as people read them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from rich.table import Table
from rich.text import Text

from study.analysis.noise import Noise
from study.analysis.ranking import Ranked, tied_with_first
from study.analysis.summary import summary
from study.ledger.records import StudyRecord, TrialRecord
from study.terminal.fitted import Fitted
from trainables.display import shown

STATE_STYLES = {
    "running": "cyan",
    "completed": "green",
    "stopped": "yellow",
    "diverged": "magenta",
    "failed": "red",
    "interrupted": "red",
    "waiting": "dim",
}

_OPTIONAL = ("at kimg", "last FID", "rank", "collapsed")


def number(value: float | None) -> str:
    """Return an FID or similar with four significant digits."""
    return "" if value is None else f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return seconds as `42 s`, `3:05 min` or `2:10 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def plain_table(
    columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str | Text]], optional: Sequence[str] = ()
) -> Fitted:
    """Return a borderless table; see `Fitted`."""
    return Fitted(columns, rows, optional)


def folded_table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a borderless table whose cells are broken over lines where there is not enough room: nothing is cut."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(title for title, _ in columns))
    for title, justify in columns:
        table.add_column(title, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(shown(cell)) if isinstance(cell, str) else cell for cell in row))
    return table


def ranking_table(ranked: Sequence[Ranked], noise: Noise) -> Fitted:
    """Return trials in the order of their rank; where the noise is known with how far each is behind the first."""
    ties = tied_with_first(ranked, noise)
    trials = [r.trial for r in ranked]
    behind = [("behind first", "left")] if ties else []
    marks = _collapse_column(trials)
    columns = [
        *(("rank", "right"), ("trial", "right"), ("state", "left"), ("kimg", "right"), ("best FID", "right"), *behind),
        *(("at kimg", "right"), ("last FID", "right"), *marks, ("configuration", "left")),
    ]
    rows = []
    for r in ranked:
        cells = [str(r.rank), *_cells(r.trial, collapse=bool(marks))]
        if ties:
            tie = ties.get(r.trial.number)
            gap = "" if tie is None else f"+{number(r.fid_best - ranked[0].fid_best)}"
            cells.insert(5, f"{gap} tied" if tie else gap)
        rows.append(cells)
    return plain_table(columns, rows, _OPTIONAL)


def trials_table(trials: Collection[TrialRecord]) -> Fitted:
    """Return trials in the order of their numbers."""
    marks = _collapse_column(trials)
    columns = [
        *(("trial", "right"), ("state", "left"), ("kimg", "right"), ("best FID", "right")),
        *(("at kimg", "right"), ("last FID", "right"), *marks, ("configuration", "left")),
    ]
    return plain_table(columns, (_cells(trial, collapse=bool(marks)) for trial in trials), _OPTIONAL)


def _collapse_column(trials: Iterable[TrialRecord]) -> list[tuple[str, str]]:
    """The column's head, if there is anything to say in it."""
    return [("collapsed", "left")] if any(trial.collapsed or trial.collapsed_best for trial in trials) else []


def _cells(trial: TrialRecord, collapse: bool) -> list[str | Text]:
    state = f"{trial.state} at {trial.rung}" if trial.rung else str(trial.state)
    return [
        str(trial.number),
        Text(state, STATE_STYLES.get(str(trial.state), "")),
        str(trial.kimg),
        number(trial.fid_best),
        "" if trial.kimg_best is None else str(trial.kimg_best),
        number(trial.fid),
        *([_collapse_mark(trial)] if collapse else []),
        Text(trial.cause or summary(trial.config), overflow="ellipsis"),
    ]


def _collapse_mark(trial: TrialRecord) -> Text:
    """Whether the checkpoint of the best FID, which one keeps, is of a collapsed generator, or only the last one."""
    if trial.collapsed_best:
        return Text("at its best", "red")
    return Text("at its end" if trial.collapsed else "", "yellow")


def counts_line(study: StudyRecord) -> str:
    """Return how many trials are in which state."""
    counts = Counter(str(trial.state) for trial in study.trials)
    parts = [f"{count} {state}" for state, count in counts.items()]
    line = f"{len(study.trials)} of {study.config['trials']} trials: " + (", ".join(parts) or "none yet")
    collapsed = sum(bool(trial.collapsed) for trial in study.trials)
    return f"{line}; {collapsed} collapsed at the end" if collapsed else line
