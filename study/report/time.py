"""The report on training time: curves, rungs, the best FID against time, cost."""

from collections import Counter
from collections.abc import Iterable, Sequence

from study.analysis.cost import cost, progress, saved
from study.analysis.images_judged import images_judged
from study.analysis.rung_facts import Correlation, schedule_of
from study.ledger.records import StudyRecord, TrialState
from study.ledger.trial_resources import held_device, trial_resources
from study.report import charts
from study.report.facts import Facts, key, numbers, so_many
from study.report.markup import Html, Part, el, join, table
from study.views.tables import duration


def curves(facts: Facts) -> Html | None:
    """FID against kimg."""
    study = facts.study
    if not any(trial.reports for trial in study.trials):
        return None
    rungs = schedule_of(study.config).rungs()
    fates = Counter(charts.fate(trial, rungs) for trial in study.trials if trial.reports)
    names = {"completed": "completed", "running": "running", "interrupted": "interrupted"}
    names |= dict(_fell_names(rungs))
    names |= {"diverged": "diverged", "failed": "failed", "stopped": "stopped"}
    legend = [key(class_, f"{text} ({fates[class_]})") for class_, text in names.items() if fates[class_]]
    silent = sum(not trial.reports for trial in study.trials)
    note = f" {so_many(silent)} ended before the first report." if silent else ""
    told = (
        "The thick blue line is the best trial. Diverged and failed trials end in a dot, as do those with one report."
    )
    return join(
        [
            el("div", charts.curves(study, facts.best), class_="chart"),
            el("div", *legend, class_="legend"),
            el("p", told + note + _images(study), class_="dim"),
        ]
    )


def _images(study: StudyRecord) -> str:
    """A note where reports are not all by equally many images."""
    if study.config.get("evaluation", {}).get("rung_count") is None:
        return ""
    return (
        f" FIDs are of {images_judged(study)}: compare trials at one budget, not an FID with the one before the step "
        "between these."
    )


def _fell_names(rungs: Sequence[int]) -> Iterable[tuple[str, str]]:
    for i, rung in enumerate(rungs[: charts.SHADES]):
        later = " or later" if i == charts.SHADES - 1 and len(rungs) > charts.SHADES else ""
        yield f"fell{i}", f"stopped at {rung} kimg{later}"


def rungs(facts: Facts) -> Html | None:
    """What happened at each rung, and whether it foretold the end."""
    if not facts.rungs:
        return el("p", "The schedule has no rung below its end: no trial could be stopped early.", class_="dim")
    head = [("rung (kimg)", "right"), ("reached", "right"), ("went on", "right"), ("stopped", "right")]
    head += [("then diverged or failed", "right"), ("correlation with next", "right"), ("with the end", "right")]
    head += [("place of the best", "right"), ("stopped trials", "left")]
    rows = []
    for r in facts.rungs:
        place = "" if r.place is None else f"{r.place} of {r.reached}"
        counts: list[Part] = [r.kimg, r.reached, r.went_on, len(r.fell), len(r.lost)]
        rows.append([*counts, _rho(r.to_next), _rho(r.to_end), place, numbers(r.fell)])
    notes = (
        "Correlation: Spearman's, of the FID at the rung with the FID at the next rung and at the full budget, among "
        "the trials that reported at both (n). Those are the ones that were let go on, a good and narrow part of all, "
        "so over all trials it would usually be higher. Near 1 the rung foretold the order; near 0 it stopped trials "
        "by luck. Place of the best: where the finally best trial stood at that rung.",
    )
    return join([table(head, rows), *(el("p", note, class_="dim") for note in notes)])


def spending(facts: Facts) -> Html | None:
    """Best FID against wall time and against what was reserved for that: GPU-seconds, or CPU-seconds without a GPU."""
    points = progress(facts.study)
    if not points:
        return None
    device, amount = held_device(trial_resources(facts.study.config, facts.study.versions))
    wall, compute = _unit(points[-1].wall), _unit(points[-1].compute * amount)
    note = (
        "The lowest FID of any trial so far, whatever its budget (of those of the most images). Wall time runs from "
        f"the study's opening and holds pauses; {device} time is training and evaluation over all trials, each "
        f"reserving {amount:g} {device}."
    )
    plots = [
        charts.descent(points, "wall", wall[0], f"wall time ({wall[1]})"),
        charts.descent(points, "compute", compute[0] / amount, f"{device} time ({compute[1]}, summed over trials)"),
    ]
    return join([el("div", *plots, class_="two"), el("p", note, class_="dim")])


def costs(facts: Facts) -> Html:
    """Images and seconds by state, and what ASHA saved."""
    trials = facts.study.trials
    head = [("trials that", "left"), ("number", "right"), ("kimg", "right"), ("training", "right")]
    head += [("evaluation", "right"), ("part of time", "right")]
    whole = cost(trials)
    rows: list[list[Part]] = []
    for what, some in [
        *((str(state), [t for t in trials if t.state == state]) for state in TrialState),
        ("all", list(trials)),
    ]:
        if some:
            c = cost(some)
            part = f"{c.seconds / whole.seconds:.0%}" if whole.seconds else ""
            rows.append([what, c.trials, f"{c.kimg:,}", duration(c.train_seconds), duration(c.eval_seconds), part])
    won = saved(facts.study)
    told = "ASHA stopped no trial."
    if won.trials:
        times = (whole.seconds + won.seconds) / whole.seconds if whole.seconds else 0
        factor = f" That is {times:.2g} times the time." if times else ""
        told = (
            f"Running the stopped ones ({so_many(won.trials)}) to the end would have cost {won.kimg:,} kimg and "
            f"{duration(won.seconds)} more, each at its own speed: {whole.kimg + won.kimg:,} kimg and "
            f"{duration(whole.seconds + won.seconds)} in all.{factor} Some of them might have diverged before."
        )
    note = "Counted are reports in the ledger; what was trained after a last report or twice after a crash is not."
    return join([table(head, rows), el("p", told), el("p", note, class_="dim")])


def _rho(correlation: Correlation) -> str:
    return f"{'–' if correlation.rho is None else f'{correlation.rho:+.2f}'} (n {correlation.count})"


def _unit(seconds: float) -> tuple[float, str]:
    return (1.0, "seconds") if seconds < 180 else (60.0, "minutes") if seconds < 7200 else (3600.0, "hours")
