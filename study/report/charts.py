"""The report's plots. Each takes what it shows and returns SVG."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from study.analysis.common_rung import Axis, CommonRung
from study.analysis.cost import BestSoFar
from study.analysis.groups import TrialGroup
from study.analysis.ranking import UNRANKED
from study.analysis.rung_facts import schedule_of
from study.analysis.scales import Scale
from study.ledger.records import StudyRecord, TrialRecord, TrialState
from study.report.svg import Label, Part, Path, Plot, StripRow, shortened, strips, svg
from study.report.words import state, words
from study.views.tables import number

SHADES = 5  # of rungs and of quantiles in the style sheet
_MOST_AXES = 9
_GOLDEN = 0.618034  # spreads successive numbers evenly over [0, 1)
_MANY = 200  # lines from which each is drawn fainter


def title(trial: TrialRecord) -> str:
    """Return what a trial is called where the pointer rests on it."""
    fid = "" if trial.fid_best is None else f", best FID {number(trial.fid_best)} at {trial.kimg_best} kimg"
    kimg = " kimg" if trial.rung else ""
    return f"trial {trial.number}, {state(trial)}{kimg}{fid}: {words(trial)}"


def fate(trial: TrialRecord, rungs: Sequence[int]) -> str:
    """Return the class of a trial's line: its state, and for a stopped one the shade of its rung."""
    if trial.state == TrialState.STOPPED and trial.rung in rungs:
        return f"fell{min(rungs.index(trial.rung), SHADES - 1)}"
    return str(trial.state)


def curves(study: StudyRecord, best: TrialRecord | None) -> Markup:
    """FID against kimg, a line per trial, the rungs upright; the best trial last, over the others."""
    schedule = schedule_of(study.config)
    rungs, reports = schedule.rungs(), [report for trial in study.trials for report in trial.reports]
    first = min((report.kimg for report in reports), default=1)
    end = max([schedule.max_kimg, *(report.kimg for report in reports)])
    x = Scale.of([max(first, 1), end], log=end >= 8 * first, pad=0.04)
    marks = [kimg for kimg in dict.fromkeys([first, *rungs, end]) if kimg >= first]
    plot = Plot(
        x,
        Scale.of([report.fid for report in reports], log=True),
        x_label="kimg (thousands of real images shown to D)",
        y_label="FID",
        x_ticks=[(float(kimg), str(kimg)) for kimg in marks],
        width=760,
        height=420,
    )
    for rung in rungs:
        if x.low <= rung <= x.high:
            plot.upright(rung, "rung")
    many = _fainter(len(study.trials))
    order = sorted(study.trials, key=lambda t: (t.state == TrialState.COMPLETED, t.kimg, -(t.fid_best or 0)))
    ends: dict[str, list[tuple[float, float]]] = {}
    for trial in order:
        winner = best is not None and trial.number == best.number
        class_ = fate(trial, rungs) + (" winner" if winner else many)
        plot.line([(report.kimg, report.fid) for report in trial.reports], class_, title(trial))
        if trial.reports and (len(trial.reports) == 1 or trial.state in UNRANKED):
            ends.setdefault(fate(trial, rungs), []).append((trial.kimg, trial.reports[-1].fid))
    for class_, points in ends.items():
        plot.dots(points, class_)
    return plot.render("FID against training time for every trial", "curves")


def descent(points: Sequence[BestSoFar], along: str, unit: float, label: str) -> Markup:
    """Lowest FID so far against `along`, an attribute of the points, in units of `unit`."""
    pairs = [(getattr(point, along) / unit, point.fid) for point in points]
    plot = Plot(
        Scale.of([0.0, *(x for x, _ in pairs)], log=False, pad=0.0),
        Scale.of([fid for _, fid in pairs], log=True),
        x_label=label,
        y_label="lowest FID so far",
    )
    plot.line(pairs, "completed winner", steps=True)
    plot.dots(pairs[:-1], "completed")
    return plot.render(f"lowest FID so far against {label}")


def one_slice(axis: Axis, trials: Sequence[TrialRecord], common: CommonRung, best: TrialRecord | None) -> Markup:
    """FID at the common rung against one parameter, over the trials that have it; diverged ones at the upper edge."""
    y = Scale.of(common.fids.values(), log=True, pad=0.08)
    plot = Plot(axis.scale, y, "", x_ticks=_short(axis), width=320, height=230)
    points: dict[str, list[tuple[float, float]]] = {}
    crosses = []
    for trial in trials:
        if axis.name not in trial.params:
            continue
        x = _spread(axis, trial)
        if trial.number in common.fids:
            went_on = trial.kimg > common.kimg or trial.state == TrialState.COMPLETED
            kind = "best" if best and trial.number == best.number else "completed" if went_on else "stopped"
            points.setdefault(kind, []).append((x, common.fids[trial.number]))
        elif trial.state == TrialState.DIVERGED:
            crosses.append(x)
    many = _fainter(len(trials))
    for kind in ("stopped", "completed"):
        plot.dots(points.get(kind, ()), kind + many)
    plot.dots(points.get("best", ()), "best")
    plot.crosses(crosses, "diverged")
    return plot.render(f"FID at {common.kimg} kimg against {axis.name}")


def spreads(groups: Sequence[TrialGroup], kimg: int, what: str) -> Markup:
    """The FIDs at the common rung of each group, one above another, with the median and the quartiles."""
    dots = "completed" + _fainter(sum(group.trials for group in groups))
    rows = []
    for group in groups:
        low, middle, high = group.quartiles or (None, None, None)
        bar = None if low is None or high is None else (low, high)
        rows.append(StripRow(group.value, {dots: group.fids}, bar, middle))
    return strips(rows, f"FID at {kimg} kimg", f"FID at {kimg} kimg by {what}", row_height=34, log=True)


def bars(values: Mapping[str, float], label: str) -> Markup:
    """Horizontal bars of parts of one, the names above them."""
    width, row, most = 520, 34, max(values.values(), default=1.0) or 1.0
    parts: list[Part] = []
    for i, (name, value) in enumerate(values.items()):
        top = i * row
        parts.append(Label(name, 2, top + 14, ""))
        parts.append(Label(f"{value:.0%}", width - 2, top + 14, "end"))
        parts.append(Path(f"M0 {top + 20}h{(width - 2) * value / most:.1f}v8H0z", "bar"))
    return svg(width, max(row, row * len(values)), parts, label)


def parallel(
    chosen: Sequence[Axis], trials: Sequence[TrialRecord], common: CommonRung, best: TrialRecord | None
) -> Markup:
    """A line per trial over the axes of some parameters and of its FID at the common rung, coloured by that FID.

    Below an axis lie the trials that do not have the parameter.
    """
    chosen = chosen[:_MOST_AXES]
    end = Scale.of(common.fids.values(), log=True)
    top, base, missing, gap = 20, 300, 322, 108
    width = 60 + gap * len(chosen) + 70
    there = sorted((t for t in trials if t.number in common.fids), key=lambda t: -common.fids[t.number])
    parts: list[Part] = []
    for i, trial in enumerate(there):
        points = []
        for j, axis in enumerate(chosen):
            has = axis.name in trial.params
            up = axis.scale.at(_spread(axis, trial)) if has else None
            points.append((60 + gap * j, missing if up is None else base - up * (base - top)))
        points.append((60 + gap * len(chosen), base - end.at(common.fids[trial.number]) * (base - top)))
        class_ = f"line q{(len(there) - 1 - i) * SHADES // len(there)}{_fainter(len(there))}"
        class_ += " winner" if best and trial.number == best.number else ""
        parts.append(Path("M" + "L".join(f"{x:.0f} {y:.1f}" for x, y in points), class_, title(trial)))
    for j, axis in enumerate(chosen):
        parts += _upright(60 + gap * j, top, base, axis.scale, _short(axis), axis.name, j)
    parts += _upright(60 + gap * len(chosen), top, base, end, None, f"FID at {common.kimg}", len(chosen))
    return svg(width, 392, parts, f"parameters and FID at {common.kimg} kimg, one line per trial", "wide")


def _upright(
    x: int, top: int, base: int, scale: Scale, ticks: Sequence[tuple[float, str]] | None, name: str, index: int
) -> list[Part]:
    parts: list[Part] = [Path(f"M{x} {top}V{base}", "axis")]
    for value, text in ticks if ticks is not None else scale.labelled_ticks():
        y = base - scale.at(value) * (base - top)
        parts.append(Path(f"M{x - 4} {y:.1f}h4", "axis"))
        parts.append(Label(text, x - 6, y + 4, "end small halo"))
    y = base + (48 if index % 2 == 0 else 68)
    return [*parts, Label(shortened(name, 30, at_end=False), x, y, "middle small name")]


def _short(axis: Axis) -> list[tuple[float, str]] | None:
    ticks = axis.ticks
    if ticks is None:
        return None
    return [(x, shortened(text, max(4, 36 // len(ticks)))) for x, text in ticks]


def _fainter(count: int) -> str:
    """Return the class of one of many lines or dots."""
    return " many" if count > _MANY else ""


def _spread(axis: Axis, trial: TrialRecord) -> float:
    """Where a trial lies on an axis; on one of choices a little aside, so that trials do not hide one another."""
    x = axis.at(trial.params[axis.name])
    return x if axis.choices is None else x + 0.5 * ((trial.number * _GOLDEN) % 1 - 0.5)
