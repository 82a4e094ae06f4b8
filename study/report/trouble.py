"""The report on diverged, collapsed and failed trials, and where in the space they lie."""

from collections.abc import Sequence

from study.analysis.groups import Bin, Where, in_trouble, where_trouble_lies
from study.ledger.records import TrialRecord, TrialState
from study.report import charts
from study.report.facts import Facts
from study.report.markup import Html, Part, el, join, table
from study.views.tables import number

_LISTED = 10  # trials in a table before the others are folded away
_TELLING = 6  # parameters shown with where trouble lies


def trouble(facts: Facts) -> Html | None:
    """Diverged and collapsed trials, failed ones, and where in the space they lie."""
    trials = facts.study.trials
    bad = [trial for trial in trials if in_trouble(trial)]
    failed = [trial for trial in trials if trial.state == TrialState.FAILED]
    diverged = [trial for trial in bad if trial.state == TrialState.DIVERGED]
    collapsed = len(bad) - len(diverged)
    unknown = not any(trial.collapsed is not None for trial in trials)
    told = f"{len(diverged)} diverged, {collapsed} more had collapsed by their last report, {len(failed)} failed."
    parts = [el("p", told + (" (Collapse was not reported.)" if unknown and trials else ""))]
    if where := where_trouble_lies(trials) if 0 < len(bad) < len(trials) else []:
        told = (
            "The parameters that tell most about which trials diverged or collapsed (mutual information, less what "
            "chance gives); numbers in quarters of equally many trials. One in twenty gets here by luck."
        )
        parts += [el("h3", "Where they lie"), el("p", told, class_="dim")]
        parts.append(el("div", *map(_where, where[:_TELLING]), class_="two"))
    elif 0 < len(bad) < len(trials):
        parts.append(el("p", "No parameter tells which trials they are, beyond chance."))
    if listed := [*bad, *failed]:
        parts += [el("h3", "Which they are"), _troubled(listed[:_LISTED])]
    if rest := listed[_LISTED:]:
        parts.append(el("details", el("summary", f"{len(rest)} more"), _troubled(rest)))
    return join(parts)


def _troubled(trials: Sequence[TrialRecord]) -> Html:
    head = [("trial", "right"), ("what", "left"), ("last kimg", "right"), ("FIDs", "left"), ("configuration", "left")]
    rows: list[list[Part]] = []
    for trial in trials:
        ended_badly = trial.state in (TrialState.DIVERGED, TrialState.FAILED)
        what = trial.cause or str(trial.state) if ended_badly else f"collapsed ({trial.state})"
        fids = " → ".join(number(report.fid) for report in trial.reports[-4:])
        rows.append([trial.number, what, trial.kimg, fids, charts.words(trial)])
    return table(head, rows)


def _where(where: Where) -> Html:
    head = [("value", "left"), ("trials", "right"), ("diverged", "right"), ("collapsed", "right"), ("part", "right")]
    rows: list[list[Part]] = [[b.label, b.trials, b.diverged, b.collapsed, f"{_part(b):.0%}"] for b in where.bins]
    return el("div", el("h3", f"{where.name} ({where.information:.2f} bits)"), table(head, rows))


def _part(b: Bin) -> float:
    return (b.diverged + b.collapsed) / b.trials
