"""Two studies side by side: at equal budgets, at equal cost, and what set them apart."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from study.analysis.cost import best_after, cost, progress, wall_seconds
from study.analysis.images_judged import images_of
from study.analysis.noise import noise_of
from study.analysis.ranking import UNRANKED, rank
from study.analysis.rung_facts import schedule_of
from study.analysis.summary import summary
from study.ledger.records import Report, StudyRecord, TrialRecord
from trainables.errors import InvalidInput
from trainables.evaluation.image_counts import best_of

_NO_MATTER = frozenset({"name", "storage", "mlflow"})

Look = tuple[int, int]
"""A report's kimg and the number of generated images that it evaluated."""


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
class Comparison:
    """Both sides; `cost` is the kimg (over all trials) that both have spent, `apart` what their files differ in.

    `least_difference` is by how much two trials of `noise_kimg` must differ to be told apart, where that was measured
    in either study (the larger of both).
    """

    sides: tuple[Side, Side]
    cost: int
    apart: dict[str, tuple[Any, Any]]
    noise_kimg: int | None
    least_difference: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "studies": [vars(side) for side in self.sides],
            "equal_cost_kimg": self.cost,
            "settings": {key: list(values) for key, values in self.apart.items()},
            "noise_kimg": self.noise_kimg,
            "least_difference": self.least_difference,
        }


def compare(a: StudyRecord, b: StudyRecord) -> Comparison:
    """Compare two studies.

    Raises:
        InvalidInput: if their FIDs do not compare.
    """
    names = [str(study.config["name"]) for study in (a, b)]
    if a.fingerprint != b.fingerprint:
        raise InvalidInput(
            f"{names[0]} and {names[1]}: FIDs of {a.fingerprint} and of {b.fingerprint} do not compare (other data, "
            "extractor or number of images); compare studies of one `data` and `evaluation`"
        )
    looks = _looks(a) & _looks(b)
    shared = {kimg for kimg, _ in looks}
    rungs = {kimg for s in (a, b) for kimg in [*schedule_of(s.config).rungs(), schedule_of(s.config).max_kimg]}
    budgets = sorted(shared & rungs) or sorted(shared)[-1:]
    spent = min(cost(a.trials).kimg, cost(b.trials).kimg)
    kimg = budgets[-1] if budgets else None
    least = [noise_of(s).least_difference(kimg) for s in (a, b)] if kimg else []
    alike = _most(a) == _most(b)
    return Comparison(
        (_side(a, budgets, looks, spent if alike else None), _side(b, budgets, looks, spent if alike else None)),
        spent,
        dict(_apart(a.config, b.config)),
        kimg,
        max((value for value in least if value is not None), default=None),
    )


def _looks(study: StudyRecord) -> set[Look]:
    return {_look(study, report) for trial in study.trials for report in trial.reports}


def _look(study: StudyRecord, report: Report) -> Look:
    return report.kimg, images_of(study, report)


def _best_up_to(study: StudyRecord, trial: TrialRecord, kimg: int, looks: Collection[Look]) -> float | None:
    best = best_of(report for report in trial.reports if report.kimg <= kimg and _look(study, report) in looks)
    return best.fid if best and kimg in trial.curve else None


def _most(study: StudyRecord) -> int:
    ranked = [trial for trial in study.trials if trial.state not in UNRANKED]
    return max((images_of(study, report) for trial in ranked for report in trial.reports), default=0)


def _side(study: StudyRecord, budgets: Iterable[int], looks: Collection[Look], spent: int | None) -> Side:
    whole = cost(study.trials)
    ranked = [trial for trial in study.trials if trial.state not in UNRANKED]
    first = next(iter(rank(study.trials, top=1)), None)
    best = (
        None
        if first is None
        else {
            "trial": first.trial.number,
            "fid_best": first.fid_best,
            "kimg": first.budget,
            "configuration": summary(first.trial.config),
        }
    )
    at = {
        kimg: min((fid for t in ranked if (fid := _best_up_to(study, t, kimg, looks)) is not None), default=None)
        for kimg in budgets
    }
    states = dict(Counter(str(trial.state) for trial in study.trials))
    return Side(
        str(study.config["name"]),
        len(study.trials),
        states,
        whole.kimg,
        whole.seconds,
        wall_seconds(study),
        best,
        at,
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
