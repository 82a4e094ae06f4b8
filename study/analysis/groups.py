"""Trials by what they have in common: how each loss or model did, and where trials diverged or collapsed."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from study.analysis.common_rung import CommonRung, axis, choice_name
from study.analysis.ranking import Ranked, rank
from study.analysis.scales import shown
from study.ledger.records import StudyRecord, TrialRecord, TrialState
from trainables.nested import flatten

_BINS = 4
_TELLING = 4.0  # times what chance gives: of two bins the usual limit of 5 % (G = 4 with one degree of freedom)


@dataclass(frozen=True)
class TrialGroup:
    """The trials that have `value` somewhere.

    `fids` are theirs at the common rung, rising; `best` is the first of them in the ranking, at its own budget.
    """

    value: str
    states: Counter[str]
    fids: tuple[float, ...]
    best: Ranked | None

    @property
    def trials(self) -> int:
        """How many there are."""
        return self.states.total()

    @property
    def quartiles(self) -> tuple[float, float, float] | None:
        """Of the FIDs at the common rung, linear interpolation between them; None of fewer than two."""
        if len(self.fids) < 2:
            return None
        low, middle, high = quantiles(self.fids, n=4, method="inclusive")
        return low, middle, high


def group(study: StudyRecord, dotted: str, common: CommonRung | None) -> list[TrialGroup]:
    """Return the trials by their value at `dotted` of the configuration, the lowest median at the common rung first."""
    members: dict[str, list[TrialRecord]] = {}
    for trial in study.trials:
        if (value := flatten(trial.config).get(dotted)) is not None:
            members.setdefault(str(value), []).append(trial)
    known = common.fids if common else {}
    groups = [
        TrialGroup(
            value,
            Counter(str(trial.state) for trial in trials),
            tuple(sorted(known[trial.number] for trial in trials if trial.number in known)),
            next(iter(rank(trials, top=1)), None),
        )
        for value, trials in members.items()
    ]
    return sorted(groups, key=lambda g: (_median(g), g.value))


def _median(group: TrialGroup) -> float:
    return group.quartiles[1] if group.quartiles else next(iter(group.fids), math.inf)


@dataclass(frozen=True)
class Bin:
    """A choice, or a part of a range, and how many of its trials diverged, or collapsed without diverging."""

    label: str
    trials: int
    diverged: int
    collapsed: int


@dataclass(frozen=True)
class Where:
    """How trouble lies along one parameter; `information` tells how much the parameter says about it, in bits."""

    name: str
    bins: tuple[Bin, ...]
    information: float


def in_trouble(trial: TrialRecord) -> bool:
    """Tell whether a trial diverged, or had collapsed by its last report."""
    return trial.state == TrialState.DIVERGED or bool(trial.collapsed)


def where_trouble_lies(trials: Sequence[TrialRecord]) -> list[Where]:
    """Return the parameters that tell most about which trials diverged or collapsed, the most telling first.

    The measure is the mutual information of the parameter's bin with being in trouble, over the trials that have the
    parameter, less its expectation by chance, (bins - 1) / (2 n ln 2) (Miller 1955, "Note on the bias of information
    estimates"), weighted with the part of trials that have it. Parameters that tell less than four times what chance
    gives are left out; about one in twenty unrelated ones still gets in. Failed trials are left out: running out of
    memory says nothing about training.
    """
    looked_at = [trial for trial in trials if trial.state != TrialState.FAILED]
    names = dict.fromkeys(name for trial in looked_at for name in trial.params)
    found = [where for name in names if (where := _where(name, looked_at))]
    return sorted(found, key=lambda where: (-where.information, where.name))


def _where(name: str, trials: Sequence[TrialRecord]) -> Where | None:
    having = [trial for trial in trials if name in trial.params]
    parts = _parts(name, having)
    if len(parts) < 2:
        return None
    bins = tuple(
        Bin(
            label,
            len(part),
            sum(t.state == TrialState.DIVERGED for t in part),
            sum(t.state != TrialState.DIVERGED and bool(t.collapsed) for t in part),
        )
        for label, part in parts
    )
    counts = [(b.diverged + b.collapsed, b.trials) for b in bins]
    n, bad = len(having), sum(k for k, _ in counts)
    shared = _entropy(bad, n) - sum(size / n * _entropy(k, size) for k, size in counts)
    by_chance = (len(bins) - 1) / (2 * n * math.log(2))
    return Where(name, bins, (shared - by_chance) * n / len(trials)) if shared > _TELLING * by_chance else None


def _entropy(part: int, whole: int) -> float:
    shares = (part / whole, 1 - part / whole)
    return -sum(p * math.log2(p) for p in shares if p > 0)


def _parts(name: str, trials: Sequence[TrialRecord]) -> list[tuple[str, list[TrialRecord]]]:
    """Choices as they are, numbers in quarters of equally many trials; equal numbers stay together."""
    values = [trial.params[name] for trial in trials]
    shape = axis(name, values)
    if shape.choices is not None:
        return [(choice_name(c), [t for t in trials if repr(t.params[name]) == repr(c)]) for c in shape.choices]
    ordered = sorted(float(value) for value in values)
    cuts = [ordered[len(ordered) * i // _BINS] for i in range(1, _BINS)]
    parts: dict[int, list[TrialRecord]] = {}
    for trial in sorted(trials, key=lambda t: float(t.params[name])):
        parts.setdefault(bisect_right(cuts, float(trial.params[name])), []).append(trial)
    return [
        (f"{shown(float(part[0].params[name]))} to {shown(float(part[-1].params[name]))}", part)
        for part in parts.values()
    ]
