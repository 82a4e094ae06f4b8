"""The report on training time: curves, rungs, the best FID against time, cost."""

from collections import Counter

from markupsafe import Markup

from study.analysis.cost import cost, progress, saved
from study.analysis.images_judged import images_judged
from study.analysis.rung_facts import Correlation, rung_facts, schedule_of
from study.ledger.records import TrialState
from study.ledger.trial_resources import held_device, trial_resources
from study.report import charts
from study.report.facts import Facts
from study.report.html import render
from study.report.words import numbers
from study.views.tables import duration


def curves(facts: Facts) -> Markup | None:
    """FID against kimg."""
    study = facts.study
    if not any(trial.reports for trial in study.trials):
        return None
    rungs = schedule_of(study.config).rungs()
    fates = Counter(charts.fate(trial, rungs) for trial in study.trials if trial.reports)
    names = {state: state for state in ("completed", "running", "interrupted")}
    names |= {f"fell{i}": f"stopped at {rung} kimg" for i, rung in enumerate(rungs[: charts.SHADES])}
    if len(rungs) > charts.SHADES:
        names[f"fell{charts.SHADES - 1}"] += " or later"
    names |= {state: state for state in ("diverged", "failed", "stopped")}
    by_fewer = study.config.get("evaluation", {}).get("rung_count") is not None
    return render(
        "curves.html",
        plot=charts.curves(study, facts.best),
        keys=[(class_, f"{text} ({fates[class_]})") for class_, text in names.items() if fates[class_]],
        silent=sum(not trial.reports for trial in study.trials),
        evaluated=images_judged(study) if by_fewer else None,
    )


def rungs(facts: Facts) -> Markup | None:
    """What happened at each rung, and whether it predicted the end."""
    rows = []
    for r in rung_facts(facts.study.trials, schedule_of(facts.study.config)):
        best = "" if r.best_rank is None else f"{r.best_rank} of {r.reached}"
        counts = r.kimg, r.reached, r.went_on, f"{r.by_chance:.1f}", len(r.fell), len(r.lost)
        rows.append([*counts, _rho(r.to_next), _rho(r.to_end), best, numbers(r.fell)])
    return render("rungs.html", rows=rows, factor=schedule_of(facts.study.config).reduction_factor)


def spending(facts: Facts) -> Markup | None:
    """Best FID against wall time and against what was reserved for that: GPU-seconds, or CPU-seconds without a GPU."""
    points = progress(facts.study)
    if not points:
        return None
    device, amount = held_device(trial_resources(facts.study.config, facts.study.versions))
    wall, compute = _unit(points[-1].wall), _unit(points[-1].compute * amount)
    plots = [
        charts.descent(points, "wall", wall[0], f"wall time ({wall[1]})"),
        charts.descent(points, "compute", compute[0] / amount, f"{device} time ({compute[1]}, summed over trials)"),
    ]
    return render("spending.html", plots=plots, device=device, amount=f"{amount:g}")


def costs(facts: Facts) -> Markup:
    """Images and seconds by state, and what ASHA saved."""
    trials = facts.study.trials
    whole = cost(trials)
    rows = []
    for what, some in [*((str(s), [t for t in trials if t.state == s]) for s in TrialState), ("all", trials)]:
        if some:
            c = cost(some)
            part = f"{c.seconds / whole.seconds:.0%}" if whole.seconds else ""
            rows.append([what, c.trials, f"{c.kimg:,}", duration(c.train_seconds), duration(c.eval_seconds), part])
    return render("costs.html", rows=rows, spent=whole, won=saved(facts.study))


def _rho(correlation: Correlation) -> str:
    return f"{'–' if correlation.rho is None else f'{correlation.rho:+.2f}'} (n {correlation.count})"


def _unit(seconds: float) -> tuple[float, str]:
    return (1.0, "seconds") if seconds < 180 else (60.0, "minutes") if seconds < 7200 else (3600.0, "hours")
