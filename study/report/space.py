"""The report on the search space: what mattered at one budget, and how each loss and model did."""

from markupsafe import Markup

from study.analysis.groups import TrialGroup, group
from study.analysis.importances import FEWEST, top_quantile
from study.report import charts
from study.report.facts import Facts
from study.report.html import render
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


def space(facts: Facts) -> Markup:
    """Importances, parallel coordinates and slices at the common rung."""
    common, trials = facts.common, facts.study.trials
    if common is None or not facts.axes:
        return render("space.html", slices_of=[])
    order = sorted(facts.axes, key=lambda axis: -facts.importances.get(axis.name, 0.0))
    bars = {name: value for name, value in list(facts.importances.items())[:_BARS] if value >= _LEAST_BAR}
    return render(
        "space.html",
        kimg=common.kimg,
        count=len(common.fids),
        fewest=FEWEST,
        top=f"{top_quantile(len(common.fids)):.0%}",
        bars=charts.bars(bars, "importances") if facts.importances else None,
        parallel=charts.parallel(order, trials, common, facts.best),
        slices_of=[(axis.name, charts.one_slice(axis, trials, common, facts.best)) for axis in order],
        most=_SLICES,
    )


def groups(facts: Facts) -> Markup | None:
    """Each loss, model, ... : best and spread."""
    common, told = facts.common, []
    for dotted, what in _GROUPS.items():
        found = group(facts.study, dotted, common)
        if not found or (len(found) < 2 and dotted not in ("loss", "model.name")):
            continue
        with_fids = [g for g in found if g.fids]
        plot = charts.spreads(with_fids, common.kimg, what) if common and with_fids else None
        told.append({"what": what, "plot": plot, "rows": [_row(g) for g in found]})
    return render("groups.html", groups=told, at=f"at {common.kimg} kimg" if common else "") if told else None


def _row(g: TrialGroup) -> list[str | int]:
    low, middle, high = map(number, g.quartiles) if g.quartiles else ("", "", "")
    best = "" if g.best is None else f"{number(g.best.fid_best)} (trial {g.best.trial.number}, {g.best.budget} kimg)"
    counts = (g.states[state] for state in ("completed", "stopped", "diverged"))
    quartiles = f"{low} to {high}" if g.quartiles else ""
    return [g.value, g.trials, *counts, middle, quartiles, number(g.fids[0]) if g.fids else "", best]
