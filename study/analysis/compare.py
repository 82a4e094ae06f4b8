"""Two studies side by side: at equal budgets, at equal cost, and what set them apart."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, variance
from typing import Any

from study.analysis.confirmation import LEVEL, Interval, decision
from study.analysis.cost import best_after, cost, progress, wall_seconds
from study.analysis.images_judged import images_of
from study.analysis.noise import noise_of
from study.analysis.quantile import student_t
from study.analysis.ranking import UNRANKED, rank
from study.analysis.rung_facts import schedule_of
from study.analysis.summary import summary
from study.ledger.events import RetrainingPlanned
from study.ledger.records import StudyRecord, TrialRecord
from trainables.errors import InvalidInput
from trainables.evaluation.image_counts import best_of

_NO_MATTER = frozenset({"name", "storage", "mlflow"})

Look = tuple[int, int]
"""A report's kimg and the number of generated images that its FID is of."""


@dataclass(frozen=True)
class Side:
    """One of the two studies in numbers; FIDs are None where no trial has one."""

    name: str
    trials: int
    states: dict[str, int]
    kimg: int
    seconds: float
    wall_seconds: float
    best: dict[str, Any] | None
    best_at: dict[int, float | None]
    """For each budget of both studies the lowest FID up to there, of the trials that reported there, among the looks
    (kimg, generated images) that both studies took: who looks more often is not ahead by that."""
    best_at_equal_cost: float | None


@dataclass(frozen=True)
class Confirmed:
    """Two studies' confirmed winners, by their mean FIDs on test images.

    `difference` is the second's mean less the first's, `interval` Welch's t interval of it (Welch 1947; its degrees of
    freedom rounded down), None if either has fewer than two seeds.
    """

    means: tuple[float, float]
    seeds: tuple[int, int]
    difference: float
    interval: Interval | None


@dataclass(frozen=True)
class Comparison:
    """Both sides; `cost` is the kimg (over all trials) that both have spent, `apart` what their files differ in.

    `least_difference` is by how much two trials of `noise_kimg` must differ to be told apart, where that was measured
    in either study (the larger of both). `confirmed` sets the winners of both studies' confirmations side by side.
    """

    sides: tuple[Side, Side]
    cost: int
    apart: dict[str, tuple[Any, Any]]
    noise_kimg: int | None
    least_difference: float | None
    confirmed: "Confirmed | None"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "studies": [vars(side) for side in self.sides],
            "equal_cost_kimg": self.cost,
            "settings": {key: list(values) for key, values in self.apart.items()},
            "noise_kimg": self.noise_kimg,
            "least_difference": self.least_difference,
            "confirmed": self.confirmed and asdict(self.confirmed),
        }


def compare(a: StudyRecord, b: StudyRecord) -> Comparison:
    """Compare two studies.

    Raises:
        InvalidInput: if their FIDs do not compare.
    """
    if a.fingerprint != b.fingerprint:
        raise InvalidInput(
            f"{a.config['name']} and {b.config['name']}: FIDs of {a.fingerprint} and of {b.fingerprint} do not compare "
            "(other data, extractor or number of images); compare studies of one `data` and `evaluation`"
        )
    looks = _looks(a, a.trials) & _looks(b, b.trials)
    shared = {kimg for kimg, _ in looks}
    schedules = [schedule_of(study.config) for study in (a, b)]
    rungs = {kimg for schedule in schedules for kimg in [*schedule.rungs(), schedule.max_kimg]}
    budgets = sorted(shared & rungs) or sorted(shared)[-1:]
    spent = min(cost(a.trials).kimg, cost(b.trials).kimg)
    most = [max((images for _, images in _looks(study, _ranked(study))), default=0) for study in (a, b)]
    alike = spent if most[0] == most[1] else None
    kimg = budgets[-1] if budgets else None
    least = [noise_of(study).least_difference(kimg) for study in (a, b)] if kimg else []
    return Comparison(
        (_side(a, budgets, looks, alike), _side(b, budgets, looks, alike)),
        spent,
        dict(_apart(a.config, b.config)),
        kimg,
        max((value for value in least if value is not None), default=None),
        _confirmed(a, b),
    )


def _confirmed(a: StudyRecord, b: StudyRecord) -> Confirmed | None:
    """The winners of confirmations that decide and compare: on the same test images, of the same budget."""
    first, second = decision(a), decision(b)
    if first is None or second is None or _alike(first.plan) != _alike(second.plan):
        return None
    fids = [list(one.configurations[0].tests.values()) for one in (first, second)]
    (m, n), (x, y) = map(len, fids), map(fmean, fids)
    return Confirmed((x, y), (m, n), y - x, _welch(*fids))


def _alike(plan: RetrainingPlanned) -> tuple[str, int]:
    return plan.test_fingerprint, plan.budget


def _welch(a: Sequence[float], b: Sequence[float]) -> Interval | None:
    if min(len(a), len(b)) < 2:
        return None
    u, v = (variance(some) / len(some) for some in (a, b))
    difference = fmean(b) - fmean(a)
    if not u + v:
        return difference, difference
    degrees = math.floor((u + v) ** 2 / (u**2 / (len(a) - 1) + v**2 / (len(b) - 1)))
    half = student_t(LEVEL, max(1, degrees)) * math.sqrt(u + v)
    return difference - half, difference + half


def _ranked(study: StudyRecord) -> list[TrialRecord]:
    return [trial for trial in study.trials if trial.state not in UNRANKED]


def _looks(study: StudyRecord, trials: Iterable[TrialRecord]) -> set[Look]:
    return {(report.kimg, images_of(study, report)) for trial in trials for report in trial.reports}


def _best_up_to(study: StudyRecord, kimg: int, looks: Collection[Look]) -> float | None:
    """The lowest FID up to a budget, of the trials that reported there, among the given looks."""
    found = (
        best_of(r for r in trial.reports if r.kimg <= kimg and (r.kimg, images_of(study, r)) in looks)
        for trial in _ranked(study)
        if kimg in trial.curve
    )
    return min((best.fid for best in found if best), default=None)


def _side(study: StudyRecord, budgets: Iterable[int], looks: Collection[Look], spent: int | None) -> Side:
    whole = cost(study.trials)
    best = [
        {"trial": r.trial.number, "fid_best": r.fid_best, "kimg": r.budget, "configuration": summary(r.trial.config)}
        for r in rank(study.trials, top=1)
    ]
    return Side(
        str(study.config["name"]),
        len(study.trials),
        dict(Counter(str(trial.state) for trial in study.trials)),
        whole.kimg,
        whole.seconds,
        wall_seconds(study),
        best[0] if best else None,
        {kimg: _best_up_to(study, kimg, looks) for kimg in budgets},
        None if spent is None else best_after(progress(study), spent),
    )


def _apart(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, tuple[Any, Any]]]:
    for key in dict.fromkeys([*a, *b]):
        x, y = a.get(key), b.get(key)
        if x == y or (not prefix and key in _NO_MATTER):
            continue
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            yield from _apart(x, y, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", (x, y)
