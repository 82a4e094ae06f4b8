"""The report on the search space: what mattered at one budget, and how each loss and model did."""

from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from study.analysis.common_rung import CommonRung
from study.analysis.compared import Compared
from study.analysis.groups import TrialGroup, group
from study.analysis.importances import FEWEST, importances, top_quantile
from study.analysis.rung_facts import schedule_of
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
    """What mattered at each budget, one of which the reader chooses."""
    budgets = [
        {"kimg": b.common.kimg, "chosen": i == facts.chosen, "content": _at(facts, b)}
        for i, b in enumerate(facts.budgets)
    ]
    return render("space.html", budgets=budgets)


def _at(facts: Facts, budget: Compared) -> Markup:
    """Importances, parallel coordinates, slices and groups at one budget."""
    common, trials = budget.common, facts.study.trials
    weights = importances(trials, common)
    order = sorted(facts.axes, key=lambda axis: -weights.get(axis.name, 0.0))
    largest = sorted(weights.items(), key=lambda pair: -pair[1])[:_BARS]
    return render(
        "budget.html",
        kimg=common.kimg,
        end=schedule_of(facts.study.config).max_kimg,
        count=len(common.fids),
        to_end=budget.to_end,
        fewest=FEWEST,
        top=f"{top_quantile(len(common.fids)):.0%}",
        bars=charts.bars({n: v for n, v in largest if v >= _LEAST_BAR}, "importances") if weights else None,
        parallel=charts.parallel(order, trials, common, facts.best) if order else None,
        slices_of=[(axis.name, charts.one_slice(axis, trials, common, facts.best)) for axis in order],
        most=_SLICES,
        groups=list(_groups(facts, common)),
    )


def _groups(facts: Facts, common: CommonRung) -> Iterator[dict[str, Any]]:
    """Each loss, model, ... : best and spread."""
    for dotted, what in _GROUPS.items():
        found = group(facts.study, dotted, common)
        if not found or (len(found) < 2 and dotted not in ("loss", "model.name")):
            continue
        with_fids = [g for g in found if g.fids]
        plot = charts.spreads(with_fids, common.kimg, what) if with_fids else None
        yield {"what": what, "plot": plot, "rows": [_row(g) for g in found]}


def _row(g: TrialGroup) -> list[str | int]:
    low, middle, high = map(number, g.quartiles) if g.quartiles else ("", "", "")
    best = "" if g.best is None else f"{number(g.best.fid_best)} (trial {g.best.trial.number}, {g.best.budget} kimg)"
    counts = (g.states[state] for state in ("completed", "stopped", "diverged"))
    quartiles = f"{low} to {high}" if g.quartiles else ""
    return [g.value, g.trials, *counts, middle, quartiles, number(g.fids[0]) if g.fids else "", best]
