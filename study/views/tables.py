"""Tables and numbers as people read them."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from study.analysis.ranking import Ranked
from study.analysis.standing import Standing
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


def ranking_table(ranked: Sequence[Ranked], standings: Mapping[int, Standing]) -> Fitted:
    """Return trials by rank; with how far each is behind the best, as far as that is known."""
    ranks = {r.trial.number: r.rank for r in ranked}
    known = [standings[number] for number in ranks if number in standings]
    title = f"behind {best_words(known[0].best, ranked)}" if known else ""
    behind: Column[TrialRecord] = (title, "left", lambda trial: standing_words(standings.get(trial.number)))
    rank: Column[TrialRecord] = ("rank", "right", lambda trial: str(ranks[trial.number]))
    trials = [r.trial for r in ranked]
    return Fitted.of(trials, [rank, *_columns(trials, [behind] if known else [])], _OPTIONAL)


def best_words(best: int, ranked: Sequence[Ranked]) -> str:
    """Return what the best trial is called: a confirmation may find another one best than the ranking."""
    return "first" if best == ranked[0].trial.number else f"trial {best}"


def standing_words(standing: Standing | None) -> str:
    """Return how far a trial is behind the best, e.g. `+0.87 tied, confirmed`."""
    if standing is None:
        return ""
    words = ["tied"] * standing.tied + ["confirmed"] * (standing.evidence == "confirmation")
    return f"{standing.gap:+.2f} {', '.join(words)}".rstrip()


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
