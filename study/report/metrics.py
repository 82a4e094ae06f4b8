"""The report on all metrics over training: small curves of the trials that one looks at."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup

from study.analysis.groups import in_trouble
from study.analysis.rung_facts import schedule_of
from study.analysis.scales import Scale
from study.ledger.records import TrialRecord
from study.report import charts
from study.report.facts import Facts
from study.report.html import render
from study.report.svg import Plot

_SHOWN = 30  # of the ranking, and as many again of those in trouble: a page of a thousand trials stays light

_NOT_CURVES = frozenset({"kimg", "fid", "fid_best", "collapsed", "images_judged"})
"""Told elsewhere, or not a measurement."""


class Metric(NamedTuple):
    """What a metric says, and in which part of the section it stands."""

    part: str
    meaning: str


_IMAGES, _TRAINING, _SPEED = "Of the generated images", "Of the training", "Of the time"

_KNOWN = {
    "kid": Metric(_IMAGES, "kernel inception distance, lower is better"),
    "kid_std": Metric(_IMAGES, "its deviation over subsets"),
    "precision": Metric(_IMAGES, "how many generated images lie among the real ones"),
    "recall": Metric(_IMAGES, "how many real images lie among the generated ones"),
    "density": Metric(_IMAGES, "how densely real images surround the generated ones"),
    "coverage": Metric(_IMAGES, "how many real images have a generated one near"),
    "modes_covered": Metric(_IMAGES, "classes that it makes"),
    "class_kl": Metric(_IMAGES, "divergence of its classes from the real ones, in nats"),
    "inception_score": Metric(_IMAGES, "clear and varied classes, higher is better"),
    "loss_g": Metric(_TRAINING, "G's loss"),
    "loss_d": Metric(_TRAINING, "D's loss, the sum of both halves"),
    "d_real": Metric(_TRAINING, "sigmoid of D's logits on real images"),
    "d_fake": Metric(_TRAINING, "the same on generated ones: near d_real D cannot tell"),
    "grad_norm_g": Metric(_TRAINING, "norm of G's gradient"),
    "grad_norm_d": Metric(_TRAINING, "norm of D's gradient"),
    "images_per_second": Metric(_SPEED, "real images shown to D per second of training"),
    "train_seconds": Metric(_SPEED, "seconds of training so far"),
    "eval_seconds": Metric(_SPEED, "seconds of evaluation so far"),
}


def metrics(facts: Facts) -> Markup | None:
    """A small plot of each metric against kimg, a line per trial."""
    trials = _chosen(facts)
    names = dict.fromkeys(name for trial in trials for report in trial.reports for name in report.metrics)
    wanted = [*(n for n in _KNOWN if n in names), *(n for n in names if n not in _KNOWN and n not in _NOT_CURVES)]
    parts: dict[str, list[tuple[str, str, Markup]]] = {}
    for name in wanted:
        known = _KNOWN.get(name, Metric(_IMAGES, ""))
        parts.setdefault(known.part, []).append((name, known.meaning, _plot(name, trials, facts)))
    return render("metrics.html", parts=parts, count=len(trials), all=len(facts.study.trials)) if parts else None


def _chosen(facts: Facts) -> Sequence[TrialRecord]:
    """The first of the ranking and some of those in trouble, the best one last: it is drawn over the others."""
    ranked = [r.trial for r in facts.ranked[:_SHOWN]]
    bad = [trial for trial in facts.study.trials if in_trouble(trial) and trial.reports and trial not in ranked]
    return [*bad[:_SHOWN], *reversed(ranked)]


def _plot(name: str, trials: Sequence[TrialRecord], facts: Facts) -> Markup:
    schedule = schedule_of(facts.study.config)
    rungs, curves = schedule.rungs(), [list(_points(name, trial)) for trial in trials]
    points = [point for curve in curves for point in curve]
    x = Scale.of([kimg for kimg, _ in points], log=False)
    plot = Plot(x, Scale.of([value for _, value in points], pad=0.08), "", width=320, height=200)
    for trial, curve in zip(trials, curves, strict=True):
        best = facts.best is not None and trial.number == facts.best.number
        plot.line(curve, charts.fate(trial, rungs) + (" winner" if best else ""), charts.title(trial))
        if len(curve) == 1:
            plot.dots(curve, charts.fate(trial, rungs))
    return plot.render(f"{name} against kimg")


def _points(name: str, trial: TrialRecord) -> Iterator[tuple[float, float]]:
    return ((report.kimg, report.metrics[name]) for report in trial.reports if name in report.metrics)
