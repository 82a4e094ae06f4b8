"""Was the early stopping right? What each rung of a study saw, and how well it predicted the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from study.analysis.ranking import UNRANKED, rank
from study.ledger.records import TrialRecord, TrialState
from study.study_file.schedule import Schedule


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation over `count` trials; `rho` is None where it is not defined."""

    rho: float | None
    count: int


@dataclass(frozen=True)
class RungFacts:
    """One rung (kimg).

    `reached` counts the trials that reported there, `went_on` those that reported beyond, `by_chance` how many of so
    many go on by ASHA's rule if all are equally good (in one bracket); `fell` are the numbers of those that ASHA
    stopped there, `lost` of those that diverged or failed after it and before the next rung.
    The correlations are of the FID there with the FID at the next rung and at the end; `best_rank` is that of the
    study's best trial among those that reached the rung, from 1.
    """

    kimg: int
    reached: int
    went_on: int
    by_chance: float
    fell: tuple[int, ...]
    lost: tuple[int, ...]
    to_next: Correlation
    to_end: Correlation
    best_rank: int | None


def schedule_of(config: Mapping[str, Any]) -> Schedule:
    """Return the schedule of a resolved study."""
    return Schedule.model_validate(config["schedule"])


def rung_facts(trials: Sequence[TrialRecord], schedule: Schedule) -> list[RungFacts]:
    """Return the facts of each rung, rising."""
    completed = [trial for trial in trials if trial.state == TrialState.COMPLETED]
    best = next((r.trial for r in rank(trials, top=1)), None)
    found = []
    for rung, after in pairwise([*schedule.rungs(), schedule.max_kimg]):
        there = sorted(trial.curve[rung] for trial in trials if rung in trial.curve)
        found.append(
            RungFacts(
                kimg=rung,
                reached=len(there),
                went_on=sum(rung in trial.curve and trial.kimg > rung for trial in trials),
                by_chance=schedule.passing(len(there)),
                fell=tuple(t.number for t in trials if t.state == TrialState.STOPPED and t.rung == rung),
                lost=tuple(t.number for t in trials if t.state in UNRANKED and rung <= t.kimg < after),
                to_next=correlation(trials, rung, after),
                to_end=correlation(completed, rung, schedule.max_kimg),
                best_rank=1 + there.index(best.curve[rung]) if best and rung in best.curve else None,
            )
        )
    return found


def correlation(trials: Sequence[TrialRecord], early: int, late: int) -> Correlation:
    """Return the rank correlation of the FIDs at two budgets, over the trials that reported at both."""
    pairs = [(t.curve[early], t.curve[late]) for t in trials if {early, late} <= t.curve.keys()]
    return Correlation(spearman([a for a, _ in pairs], [b for _, b in pairs]), len(pairs))


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation.

    None of fewer than three pairs (of two it is always 1 or -1), or where all of one side are equal.
    """
    if len(a) < 3 or 1 in (len({*a}), len({*b})):
        return None
    from scipy.stats import spearmanr  # slow to import

    return float(spearmanr(a, b).statistic)
