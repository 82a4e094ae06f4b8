"""Tables and numbers as people read them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from study.board import summary
from study.ranking import Ranked
from study.records import StudyRecord, TrialRecord

STATE_STYLES = {
    "running": "cyan",
    "completed": "green",
    "stopped": "yellow",
    "diverged": "magenta",
    "failed": "red",
    "interrupted": "red",
    "waiting": "dim",
}


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


def plain_table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a borderless table; columns are (title, "left" or "right"), the last one may be cut."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    cells = [list(row) for row in rows]
    for index, (title, justify) in enumerate(columns):
        longest = max(len(text) for text in [title, *(row[index] for row in cells)])
        last = index == len(columns) - 1
        table.add_column(title, justify=justify, no_wrap=True, min_width=None if last else longest)  # type: ignore[arg-type]
    for row in cells:
        table.add_row(*row)
    return table


def ranking_table(ranked: Iterable[Ranked]) -> Table:
    """Return trials in the order of their rank."""
    columns = [
        *(("rank", "right"), ("trial", "right"), ("state", "left"), ("kimg", "right")),
        *(("best FID", "right"), ("at kimg", "right"), ("last FID", "right"), ("configuration", "left")),
    ]
    return plain_table(columns, ([str(r.rank), *_cells(r.trial)] for r in ranked))


def trials_table(trials: Iterable[TrialRecord]) -> Table:
    """Return trials in the order of their numbers."""
    columns = [
        *(("trial", "right"), ("state", "left"), ("kimg", "right"), ("best FID", "right")),
        *(("at kimg", "right"), ("last FID", "right"), ("configuration", "left")),
    ]
    return plain_table(columns, (_cells(trial) for trial in trials))


def _cells(trial: TrialRecord) -> list[str | Text]:
    state = f"{trial.state} at {trial.rung}" if trial.rung else str(trial.state)
    return [
        str(trial.number),
        Text(state, STATE_STYLES.get(str(trial.state), "")),
        str(trial.kimg),
        number(trial.fid_best),
        "" if trial.kimg_best is None else str(trial.kimg_best),
        number(trial.fid),
        Text(trial.cause or summary(trial.config), overflow="ellipsis"),
    ]


def counts_line(study: StudyRecord) -> str:
    """Return how many trials are in which state."""
    counts = Counter(str(trial.state) for trial in study.trials)
    parts = [f"{count} {state}" for state, count in counts.items()]
    return f"{len(study.trials)} of {study.config['trials']} trials: " + (", ".join(parts) or "none yet")
