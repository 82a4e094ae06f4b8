"""The report on the search space: what mattered at one budget, and how each loss and model did."""

from collections.abc import Sequence

from study.analysis.common_rung import Axis, CommonRung
from study.analysis.groups import Group, group
from study.analysis.importances import FEWEST, top_quantile
from study.report import charts
from study.report.facts import Facts, key
from study.report.markup import Html, Part, el, join, table
from study.views.tables import number

_GROUPS = {
    "loss": "Loss",
    "model.name": "Model",
    "penalty.name": "Penalty",
    "normalisation": "Normalisation of D",
    "conditioning.name": "Conditioning",
}
_BARS, _LEAST_BAR = 12, 0.005
_SLICES = 12  # the others are folded away


def space(facts: Facts) -> Html | None:
    """Importances, parallel coordinates and slices at the common rung."""
    common = facts.common
    if common is None or not facts.axes:
        return el("p", "There is no budget at which the trials compare, or nothing varied.", class_="dim")
    trials, count = facts.study.trials, len(common.fids)
    order = sorted(facts.axes, key=lambda axis: -facts.importances.get(axis.name, 0.0))
    label = (
        f"All of this compares {count} trials at {common.kimg} kimg, the largest budget that every ended trial "
        "reached which did not diverge or fail: the best FID up to there. What happened later does not count here. "
        "Axes show the values tried."
    )
    parts = [el("p", label)]
    if facts.importances:
        top = top_quantile(count)
        told = (
            f"Importance for being among the best {top:.0%} of {count} trials at {common.kimg} kimg (Optuna's "
            f"conditional PED-ANOVA). {'A rough guess from so few trials. ' if count < 50 else ''}"
            "It says that a parameter matters, not which value is good."
        )
        shown = {name: value for name, value in list(facts.importances.items())[:_BARS] if value >= _LEAST_BAR}
        plot = el("div", charts.bars(shown, "importances"), class_="one")
        parts += [el("h3", f"Importances at {common.kimg} kimg"), plot, el("p", told, class_="dim")]
    else:
        few = f"Importances need at least {FEWEST} trials that differ; there are {count}."
        parts.append(el("p", few, class_="dim"))
    quantiles = ("best fifth", "second", "third", "fourth", "worst fifth")
    parts += [
        el("h3", f"Parallel coordinates at {common.kimg} kimg"),
        el("div", charts.parallel(order, trials, common, facts.best), class_="chart"),
        el("div", *(key(f"q{i}", text) for i, text in enumerate(quantiles)), class_="legend"),
        el("p", "Below an axis: trials that do not have the parameter. Thick and blue: the best trial.", class_="dim"),
        el("h3", f"Slices at {common.kimg} kimg"),
        el(
            "div",
            *(key("completed", "went on"), key("stopped", "ended here")),
            *(key("best", "best trial"), key("diverged", "diverged (cross at the upper edge)")),
            class_="legend",
        ),
        _slices(order[:_SLICES], facts, common),
    ]
    if rest := order[_SLICES:]:
        parts.append(el("details", el("summary", f"{len(rest)} more parameters"), _slices(rest, facts, common)))
    return join(parts)


def _slices(some: Sequence[Axis], facts: Facts, common: CommonRung) -> Html:
    drawn = (charts.one_slice(axis, facts.study.trials, common, facts.best) for axis in some)
    return el("div", *drawn, class_="small3")


def groups(facts: Facts) -> Html | None:
    """Each loss, model, ... : best and spread."""
    common = facts.common
    parts: list[Html] = []
    for dotted, what in _GROUPS.items():
        found = group(facts.study, dotted, common)
        if not found or (len(found) < 2 and dotted not in ("loss", "model.name")):
            continue
        parts.append(el("h3", what))
        if common and any(g.fids for g in found):
            parts.append(el("div", charts.strips([g for g in found if g.fids], common.kimg, what), class_="one"))
        parts.append(_group_table(found, what, common))
    if not parts:
        return None
    note = (
        "Spread: the best FID up to the common rung, where all trials compare; bar from the first to the third "
        "quartile, mark at the median. Best: at its own budget. The sampler tries what looked good more often, so a "
        "value with few trials was not given an equal chance."
    )
    return join([*parts, el("p", note, class_="dim")])


def _group_table(found: Sequence[Group], what: str, common: CommonRung | None) -> Html:
    at = f"at {common.kimg} kimg" if common else ""
    head = [(what, "left"), ("trials", "right"), ("completed", "right"), ("stopped", "right")]
    head += [("diverged", "right"), (f"median {at}", "right"), ("quartiles", "right"), (f"best {at}", "right")]
    head += [("best trial", "left")]
    rows: list[list[Part]] = []
    for g in found:
        quartiles = g.quartiles
        best = (
            "" if g.best is None else f"{number(g.best.fid_best)} (trial {g.best.trial.number}, {g.best.budget} kimg)"
        )
        rows.append(
            [
                g.value,
                g.trials,
                *(g.states[state] for state in ("completed", "stopped", "diverged")),
                number(quartiles[1]) if quartiles else "",
                f"{number(quartiles[0])} to {number(quartiles[2])}" if quartiles else "",
                number(g.fids[0]) if g.fids else "",
                best,
            ]
        )
    return table(head, rows)
