"""All trials of a study at one budget, where those that ASHA stopped can be compared with those that continued."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from study.analysis.ranking import UNRANKED, common_budget
from study.analysis.scales import Scale, shown
from study.ledger.records import StudyRecord, TrialRecord

_FEW = 6  # different numbers, up to which a parameter is shown as choices


@dataclass(frozen=True)
class CommonRung:
    """The best FID of each trial up to `kimg`, by trial number: of all that can be ranked and reported there."""

    kimg: int
    fids: dict[int, float]

    @classmethod
    def of(cls, study: StudyRecord) -> "CommonRung | None":
        """Return the largest budget at which all trials that have ended compare; None if there is none.

        A running trial is included if it has reached that budget, and does not lower it for the others.
        """
        ranked = [trial for trial in study.trials if trial.state not in UNRANKED]
        kimg = common_budget([trial for trial in ranked if not trial.unfinished]) or common_budget(ranked)
        return None if kimg is None else cls.at(study, kimg)

    @classmethod
    def at(cls, study: StudyRecord, kimg: int) -> "CommonRung":
        """Return the trials at a budget: those that reported there, whether they went on or not."""
        there = (t for t in study.trials if t.state not in UNRANKED and kimg in t.curve)
        found = {t.number: t.best_up_to(kimg) for t in there}
        return cls(kimg, {number: fid for number, fid in found.items() if fid is not None})


@dataclass(frozen=True)
class Axis:
    """A parameter as an axis: `choices` in order, or None and a scale of numbers (what was tried, not the space)."""

    name: str
    choices: tuple[Any, ...] | None
    scale: Scale

    def at(self, value: Any) -> float:
        """Return where a value lies on `scale`: choices at 0, 1, 2, ..."""
        if self.choices is None:
            return float(value)
        return float([repr(choice) for choice in self.choices].index(repr(value)))

    @property
    def ticks(self) -> list[tuple[float, str]] | None:
        """Return the choices with their names; None where the scale has its own."""
        return None if self.choices is None else [(float(i), choice_name(c)) for i, c in enumerate(self.choices)]


def axes(trials: Sequence[TrialRecord]) -> list[Axis]:
    """Return an axis of each parameter that has at least two values among `trials`, in order of first appearance."""
    values: dict[str, list[Any]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    return [axis(name, found) for name, found in values.items() if len(set(map(repr, found))) > 1]


def axis(name: str, values: Sequence[Any]) -> Axis:
    """Return the axis that shows `values`: numbers are logarithmic where they span a factor of 20 or more."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    different = list({repr(value): value for value in values}.values())
    whole = all(isinstance(value, int) for value in different)
    repeated = whole or len(values) >= 2 * len(different)  # a number drawn from a range hardly comes twice
    if numeric and not (repeated and len(different) <= _FEW):
        return Axis(name, None, Scale.of([float(value) for value in values]))
    choices = tuple(sorted(different) if numeric else sorted(different, key=str))
    return Axis(name, choices, Scale(-0.5, len(choices) - 0.5, False))


def choice_name(value: Any) -> str:
    """Return a choice as a tick or a table shows it."""
    return shown(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
