"""Tables and numbers as people read them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from rich.table import Table
from rich.text import Text

from study.analysis.noise import Noise
from study.analysis.ranking import Ranked, tied_with_first
from study.analysis.summary import summary
from study.ledger.records import StudyRecord, TrialRecord
from study.terminal.fitted import Column, Fitted
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


def folded_table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a borderless table that wraps its cells if there is not enough room: nothing is cut."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(title for title, _ in columns))
    for title, justify in columns:
        table.add_column(title, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(shown(cell)) if isinstance(cell, str) else cell for cell in row))
    return table


def ranking_table(ranked: Sequence[Ranked], noise: Noise) -> Fitted:
    """Return trials by rank; if the noise is known, with how far each is behind the first."""
    ties = tied_with_first(ranked, noise)
    ranks = {r.trial.number: r for r in ranked}

    def behind(trial: TrialRecord) -> str:
        tied = ties.get(trial.number)
        gap = "" if tied is None else f"+{number(ranks[trial.number].fid_best - ranked[0].fid_best)}"
        return f"{gap} tied" if tied else gap

    trials = [r.trial for r in ranked]
    rank: Column[TrialRecord] = ("rank", "right", lambda trial: str(ranks[trial.number].rank))
    return Fitted.of(trials, [rank, *_columns(trials, [("behind first", "left", behind)] if ties else [])], _OPTIONAL)


def trials_table(trials: Collection[TrialRecord]) -> Fitted:
    """Return trials in the order of their numbers."""
    return Fitted.of(trials, _columns(trials), _OPTIONAL)


def _columns(
    trials: Iterable[TrialRecord], after_best: Sequence[Column[TrialRecord]] = ()
) -> list[Column[TrialRecord]]:
    collapsed: Column[TrialRecord] = ("collapsed", "left", _collapse_mark)
    return [
        ("trial", "right", lambda trial: str(trial.number)),
        ("state", "left", _state),
        ("kimg", "right", lambda trial: str(trial.kimg)),
        ("best FID", "right", lambda trial: number(trial.fid_best)),
        *after_best,
        ("at kimg", "right", lambda trial: "" if trial.kimg_best is None else str(trial.kimg_best)),
        ("last FID", "right", lambda trial: number(trial.fid)),
        *([collapsed] if any(trial.collapsed or trial.collapsed_best for trial in trials) else []),
        ("configuration", "left", lambda trial: Text(trial.cause or summary(trial.config), overflow="ellipsis")),
    ]


def _state(trial: TrialRecord) -> Text:
    state = f"{trial.state} at {trial.rung}" if trial.rung else str(trial.state)
    return Text(state, STATE_STYLES.get(str(trial.state), ""))


def _collapse_mark(trial: TrialRecord) -> Text:
    """Whether the generator had collapsed at its best FID, whose checkpoint is kept, or only at its end."""
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
