"""A confirmation in words and tables: what `ganstudy confirm` prints, and what stands in the report."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from study.analysis.confirmation import FEWEST, LEVEL, Conclusion, Configuration, Interval, Paired, conclude
from study.analysis.images_judged import images_judged
from study.analysis.summary import summary
from study.folder import StudyFolder
from study.ledger.outcomes import TrialState
from study.ledger.records import StudyRecord
from study.terminal.fitted import Fitted
from study.terminal.hints import typed
from study.terminal.say import say
from study.views.seen_images import seen_lines
from study.views.tables import number

HEAD = (
    *(("trial", "right"), ("study FID", "right"), ("fresh seeds", "right"), ("bias", "right")),
    *(("test FID", "right"), ("sd", "right"), ("95 % interval", "left"), ("seeds", "left"), ("configuration", "left")),
)


def cells(configuration: Configuration) -> list[str]:
    """A configuration's row under `HEAD`, but for the words on it."""
    c = configuration
    return [
        str(c.trial.number),
        number(c.study_fid),
        number(c.validation_mean),
        "" if c.bias is None else f"{c.bias:+.2f}",
        number(c.mean),
        "" if c.deviation is None else f"{c.deviation:.3g}",
        "" if c.interval is None else shown(c.interval),
        _seeds(c),
    ]


def print_confirmation(study: StudyRecord, folder: StudyFolder, console: Console) -> None:
    """Print what the newest plan has come to, or while it is unfinished the one that still holds."""
    evaluated = conclude(study)
    if evaluated is None:
        return
    rows: list[list[str | Text]] = [
        [*cells(c), Text(summary(c.trial.config), overflow="ellipsis")] for c in evaluated.configurations
    ]
    console.print(Fitted(HEAD, rows))
    for line in legend(study):
        say(console, line, "dim")
    for line in verdict(study, evaluated, folder):
        say(console, line)


def legend(study: StudyRecord) -> list[str]:
    """What the columns mean."""
    plan = study.confirmation.plan
    assert plan is not None
    return [
        f"study FID: the trial's best on validation images ({plan.fingerprint}), one seed, chosen for being low; "
        "fresh seeds: the mean of the same over the retrainings; bias: study FID less that mean, below 0 where the "
        "study's own run was lucky",
        f"test FID: mean over the retrainings, each evaluated once on test images ({plan.test_fingerprint}) by its "
        "generator of the best validation FID; sd: sample standard deviation over seeds; interval: BCa bootstrap of "
        f"the mean, of {FEWEST} seeds or more, and too short for few: of 5 it holds the mean in about 83 of 100 cases",
        f"every FID is of {images_judged(study)}; validation and test FIDs are of different real images, so "
        "compare each with its like",
        *seen_lines(study.config),
    ]


def verdict(study: StudyRecord, evaluated: Conclusion, folder: StudyFolder) -> Iterator[str]:
    """What it comes to, and what to do next."""
    yield from _reservations(study, evaluated, folder)
    if evaluated.winner is not None:
        yield from _decided(evaluated.winner, evaluated, folder)
    if biases := [c.bias for c in evaluated.configurations if c.bias is not None]:
        mean, of = sum(biases) / len(biases), "this configuration" if len(biases) == 1 else f"these {len(biases)}"
        way = "below" if mean < 0 else "above"
        yield f"selection bias: the study's FIDs of {of} are {abs(mean):.2f} {way} those of fresh seeds, on average"


def _decided(first: Configuration, evaluated: Conclusion, folder: StudyFolder) -> Iterator[str]:
    plan, paired = evaluated.plan, evaluated.paired
    yield f"confirmed best: trial {first.trial.number}, mean test FID {number(first.mean)} over {_seeds(first)} seeds"
    if paired is None:
        only = "it was confirmed alone" if len(plan.trials) == 1 else "no other completed as many seeds"
        yield f"whether it is ahead of others is not known: {only}"
        return
    yield compared(paired)
    if not paired.ahead and evaluated.unfinished is None:
        more = _again(len(plan.trials), 2 * plan.seeds, folder)
        yield f"more seeds tell more: {more}"


def compared(paired: Paired) -> str:
    """Whether the first is ahead of the second, with the numbers behind it."""
    n, rival = len(paired.differences), f"trial {paired.second}"
    by = f"test FID lower by {paired.mean:.2f}"
    if paired.interval is None:
        return f"whether it is ahead of {rival} is not known: {by} in one pair of seeds, and that may be chance"
    what = f"{by}, {LEVEL:.0%} interval {shown(paired.interval)}, Student's t over {n} pairs of equal seeds"
    return f"it is {'ahead of' if paired.ahead else 'not shown to be ahead of'} {rival}: {what}"


def shown(interval: Interval) -> str:
    """An interval of FIDs."""
    return f"{number(interval[0])} to {number(interval[1])}"


def plain_confirmation(study: StudyRecord) -> dict[str, Any]:
    """The same for scripts."""
    evaluated = conclude(study)
    assert evaluated is not None
    plan, newer, paired = evaluated.plan, evaluated.unfinished, evaluated.paired
    return {
        "trials": plan.trials,
        "seeds": plan.seeds,
        "kimg": plan.budget,
        "fid_fingerprint": plan.fingerprint,
        "test_fingerprint": plan.test_fingerprint,
        "complete": evaluated.complete,
        "current": evaluated.current,
        "newer_unfinished": newer
        and {
            "trials": newer.trials,
            "seeds": newer.seeds,
            "retrainings": len(study.confirmation.planned),
            "ended": study.confirmation.ended,
        },
        "winner": evaluated.winner.trial.number if evaluated.winner else None,
        "paired": paired
        and {
            "first": paired.first,
            "second": paired.second,
            "differences": list(paired.differences),
            "mean": paired.mean,
            "interval": paired.interval,
            "ahead": paired.ahead,
        },
        "configurations": [_plain(c) for c in evaluated.configurations],
    }


def _plain(c: Configuration) -> dict[str, Any]:
    return {
        "trial": c.trial.number,
        "study_fid": c.study_fid,
        "study_kimg": c.trial.kimg,
        "validation_mean": c.validation_mean,
        "selection_bias": c.bias,
        "test_mean": c.mean,
        "test_deviation": c.deviation,
        "test_interval": c.interval,
        "lost": c.lost,
        "retrainings": [
            {
                "index": r.seed,
                "state": str(r.state),
                "cause": r.cause,
                "kimg": r.kimg,
                "chosen_kimg": r.chosen,
                "validation_fid": r.best_up_to(r.budget),
                "test": r.test,
            }
            for r in c.retrainings
        ],
    }


def _reservations(study: StudyRecord, evaluated: Conclusion, folder: StudyFolder) -> Iterator[str]:
    plan, newer, confirmation = evaluated.plan, evaluated.unfinished, study.confirmation
    done = f"{confirmation.ended} of {len(confirmation.planned)} retrainings are done"
    again = _again(len(plan.trials), plan.seeds, folder)
    if newer is not None:
        go_on = _again(len(newer.trials), newer.seeds, folder)
        yield (
            f"a newer plan, the best {len(newer.trials)} with {newer.seeds} seeds each, is unfinished: {done}; until "
            f"then that of the best {len(plan.trials)} with {plan.seeds} seeds each holds; go on with: {go_on}"
        )
    if not evaluated.complete:
        yield f"{done}; go on with: {again}"
    if not evaluated.current:
        yield f"the study has gone on since: its best trials or its budget are others now; confirm these: {again}"
    for c in evaluated.configurations:
        for r in c.retrainings:
            if r.state in (TrialState.DIVERGED, TrialState.FAILED):
                yield f"trial {c.trial.number} with seed {r.seed} {r.state} at {r.kimg} kimg: {r.cause}"
    if evaluated.complete and newer is None and any(c.count(TrialState.FAILED) for c in evaluated.configurations):
        yield f"what failed may have failed for want of a machine; try it again: {again}"
    first = evaluated.configurations[0]
    if first.lost and first.tests and evaluated.complete:
        yield (
            f"trial {first.trial.number} lost {first.lost} of {first.planned} retrainings: its mean is of those that "
            "completed, and one in so many may be lost again"
        )
    for c in evaluated.configurations[evaluated.able :] if evaluated.complete else ():
        if c.mean is not None and first.mean is not None and c.mean < first.mean:
            yield (
                f"trial {c.trial.number} has a lower mean test FID, {number(c.mean)}, but over {_seeds(c)} seeds only: "
                "it cannot win"
            )


def _again(top: int, seeds: int, folder: StudyFolder) -> str:
    return typed("confirm", folder.name, "--top", str(top), "--seeds", str(seeds), folder=folder)


def _seeds(c: Configuration) -> str:
    """How many seeds its numbers are over; `4 of 5, 1 diverged` where some have none."""
    if len(c.tests) == c.planned:
        return str(c.planned)
    counts = ((c.count(state), state) for state in (TrialState.DIVERGED, TrialState.FAILED))
    lost = [f"{count} {state}" for count, state in counts if count]
    return ", ".join([f"{len(c.tests)} of {c.planned}", *lost])
