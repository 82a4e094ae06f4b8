"""The report on diverged, collapsed and failed trials, and where in the space they lie."""

import re
from collections.abc import Sequence

from markupsafe import Markup

from study.analysis.groups import Bin, in_trouble, where_trouble_lies
from study.analysis.ranking import UNRANKED
from study.ledger.records import TrialRecord, TrialState
from study.report.facts import Facts
from study.report.html import render
from study.report.words import numbers, words
from study.views.tables import number
from trainables.display import redacted

_NUMBER = re.compile(r"\d+(\.\d+)?")
_LISTED = 10  # trials in a table before the others are folded away
_TELLING = 6  # parameters shown with where trouble lies


def trouble(facts: Facts) -> Markup:
    """Diverged and collapsed trials, failed ones, and where in the space they lie."""
    trials = facts.study.trials
    bad = [trial for trial in trials if in_trouble(trial)]
    failed = [trial for trial in trials if trial.state == TrialState.FAILED]
    diverged = sum(trial.state == TrialState.DIVERGED for trial in bad)
    some_but_not_all = 0 < len(bad) < len(trials)
    where = where_trouble_lies(trials)[:_TELLING] if some_but_not_all else []
    return render(
        "trouble.html",
        diverged=diverged,
        collapsed=len(bad) - diverged,
        failed=len(failed),
        unknown=bool(trials) and all(trial.collapsed is None for trial in trials),
        where=[{"name": w.name, "information": w.information, "rows": map(_bin, w.bins)} for w in where],
        nowhere=some_but_not_all and not where,
        causes=_causes([*bad, *failed]),
        rows=[_row(trial) for trial in (*bad, *failed)],
        listed=_LISTED,
    )


def _causes(trials: Sequence[TrialRecord]) -> list[list[str | int]]:
    """How many trials ended by each cause, without the numbers in it, the most frequent first; and which."""
    by_cause: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        by_cause.setdefault(_NUMBER.sub("…", _what(trial)), []).append(trial)
    rows: list[list[str | int]] = [
        [len(some), _what(some[0]), sum(trial.kimg for trial in some), numbers([trial.number for trial in some])]
        for some in by_cause.values()
    ]
    return sorted(rows, key=lambda row: -int(row[0]))


def _what(trial: TrialRecord) -> str:
    if trial.state in UNRANKED:
        return redacted(trial.cause or "") or str(trial.state)
    return f"collapsed ({trial.state})"


def _row(trial: TrialRecord) -> list[str | int]:
    fids = " → ".join(number(report.fid) for report in trial.reports[-4:])
    return [trial.number, _what(trial), trial.kimg, fids, words(trial)]


def _bin(b: Bin) -> list[str | int]:
    return [b.label, b.trials, b.diverged, b.collapsed, f"{(b.diverged + b.collapsed) / b.trials:.0%}"]
