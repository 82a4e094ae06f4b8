"""The report on the confirmation: the best configurations trained again from fresh seeds, and judged on test images."""

from collections.abc import Callable, Sequence

from study.analysis.confirmation import LEVEL, Configuration, judge
from study.report import charts
from study.report.facts import Facts, key
from study.report.markup import Html, Part, el, join, table
from study.report.svg import Scale
from study.views.confirmation import HEAD, cells, legend, verdict


def confirmation(facts: Facts) -> Html | None:
    """What the retrainings came to, as a table and as dots; None of a study that was not confirmed."""
    study, judged = facts.study, judge(facts.study)
    if judged is None:
        return None
    lines = list(verdict(study, judged, facts.folder))
    rows: list[list[Part]] = [[*cells(c), charts.words(c.trial)] for c in judged.configurations]
    meaning = [el("p", text, class_="dim") for text in legend(study)]
    parts = [*(el("p", line) for line in lines), table(HEAD, rows), *meaning]
    known = [c for c in judged.configurations if c.tests]
    if known:
        parts += [el("div", *_figures(known), class_="two")]
    return join(parts)


def _figures(configurations: Sequence[Configuration]) -> list[Html]:
    seeds = key("completed", "a fresh seed"), key("median", "the seeds' mean (upright line)")
    left = el(
        "div",
        el("h3", "On validation images"),
        _strip(configurations, "lowest FID on validation images", _validation),
        el("div", key("best", "the study's own (large dot)"), *seeds, class_="legend"),
    )
    interval = key("quartiles", f"bootstrap interval of the mean, {LEVEL:.0%}")
    right = el(
        "div",
        el("h3", "On test images"),
        _strip(configurations, "FID on test images", _test),
        el("div", *seeds, interval, class_="legend"),
    )
    return [left, right]


Marks = tuple[Sequence[float], float | None, Sequence[float], tuple[float, float] | None]
"""FIDs of seeds, their mean, the study's, and an interval."""


def _validation(c: Configuration) -> Marks:
    return tuple(c.validations.values()), c.validation_mean, [c.study_fid], None


def _test(c: Configuration) -> Marks:
    return tuple(c.tests.values()), c.mean, [], c.interval


def _strip(configurations: Sequence[Configuration], label: str, marks: Callable[[Configuration], Marks]) -> Html:
    """A row per configuration."""
    last, found = len(configurations) - 1, [marks(c) for c in configurations]
    plot = charts.Strips(
        Scale.of([fid for seeds, _, own, _ in found for fid in (*seeds, *own)]),
        Scale(-0.5, last + 0.5, False),
        x_label=label,
        y_label="",
        height=70 + 40 * len(configurations),
    )
    plot.names = [f"trial {c.trial.number}" for c in configurations]
    for i, (seeds, mean, own, interval) in enumerate(found):
        row = last - i
        if interval is not None:
            plot.line([(interval[0], row), (interval[1], row)], "quartiles")
        if mean is not None:
            plot.line([(mean, row - 0.3), (mean, row + 0.3)], "median")
        plot.dots([(fid, row) for fid in seeds], "completed")
        plot.dots([(fid, row) for fid in own], "best")
    return plot.render(f"{label}, a row per configuration")
