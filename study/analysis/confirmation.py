"""What a confirmation says: each configuration's FID on test images over fresh seeds, and which is truly ahead.

Three numbers of each configuration are kept apart. Its *study FID* is the one that ranked it: chosen as low among many,
of one seed, on validation images. The same over fresh seeds, also on validation images and at the same budget, is what
it has without that luck; the difference is the *selection bias*. Its *test FID* is of the generators so chosen, against
images that decided nothing. FIDs on validation and on test images have different fingerprints, other images and perhaps
another number of them, so none of the one is subtracted from one of the other.

Intervals are Student's t, of a mean and of the mean difference between two configurations at each seed. They hold the
mean in 95 of 100 cases at any number of seeds from 2 on, if FIDs are about normal over seeds; in 92 of 100 with 5 seeds
if they are lognormal (sigma 0.5), and in 87 if one seed in five does worse by five deviations (4,000 draws each). A
bootstrap of so few values is too short: BCa's holds a normal mean in 74 cases with 3 seeds, in 83 with 5, 92 with 20.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

from study.analysis.quantile import student_t
from study.analysis.ranking import Ranked, rank
from study.ledger.events import RetrainingPlanned
from study.ledger.outcomes import TrialState
from study.ledger.records import StudyRecord, TrialRecord

LEVEL = 0.95

Interval = tuple[float, float]


@dataclass(frozen=True)
class Configuration:
    """One configuration: the trial it is from, and its retrainings in order of their seeds, as far as they began."""

    trial: TrialRecord
    planned: int
    retrainings: tuple[TrialRecord, ...]

    @cached_property
    def tests(self) -> Mapping[int, float]:
        """FID on test images by index of the seed, of those that completed."""
        return {r.seed: r.test_fid for r in self.retrainings if r.test_fid is not None}

    @cached_property
    def validations(self) -> Mapping[int, float]:
        """Lowest validation FID up to the budget of the study's trial by index of the seed, of those that completed."""
        known = {r.seed: r.best_up_to(self.trial.kimg) for r in self.retrainings if r.test is not None}
        return {index: fid for index, fid in known.items() if fid is not None}

    @property
    def study_fid(self) -> float:
        """The FID that ranked it."""
        assert self.trial.fid_best is not None, "what is ranked has reported"
        return self.trial.fid_best

    def count(self, state: TrialState) -> int:
        """How many of its retrainings are in that state."""
        return sum(r.state == state for r in self.retrainings)

    @property
    def lost(self) -> int:
        """How many diverged or failed: they have no FID, and the means leave them out."""
        return self.count(TrialState.DIVERGED) + self.count(TrialState.FAILED)

    @property
    def mean(self) -> float | None:
        """Mean FID on test images."""
        return fmean(self.tests.values()) if self.tests else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation (divided by n - 1) of the FID on test images; None of fewer than two."""
        return stdev(self.tests.values()) if len(self.tests) > 1 else None

    @property
    def interval(self) -> Interval | None:
        """Student's t interval of `mean`, from 0 on, as no FID is below; None of fewer than two."""
        found = mean_interval(tuple(self.tests.values()))
        return found and (max(found[0], 0.0), found[1])

    @property
    def validation_mean(self) -> float | None:
        """Mean over fresh seeds of what the study measured once."""
        return fmean(self.validations.values()) if self.validations else None

    @property
    def bias(self) -> float | None:
        """Selection bias: study FID less `validation_mean`, below 0 where the study's own run was lucky."""
        return None if self.validation_mean is None else self.study_fid - self.validation_mean


@dataclass(frozen=True)
class Paired:
    """By how much the FID on test images of `second` is above that of `first`, over the seeds that both completed."""

    first: int
    second: int
    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean difference."""
        return fmean(self.differences)

    @property
    def interval(self) -> Interval | None:
        """Student's t interval of the mean difference; None of one pair."""
        return mean_interval(self.differences)

    @property
    def ahead(self) -> bool | None:
        """Whether `first` is truly ahead: the interval lies above 0; None if there is no interval."""
        return None if self.interval is None else self.interval[0] > 0


@dataclass(frozen=True)
class Conclusion:
    """A confirmation's configurations: those that can win in order of their mean test FID, then the others.

    Attributes:
        plan: the one that is evaluated.
        unfinished: the newest plan, if it is another one.
        configurations: all of the plan's.
        able: how many of them, the first, completed as many seeds as any: means over fewer are not set against theirs.
        pairs: the first against each of the others that can win and shares a seed with it.
        complete: whether all planned retrainings have come to their end.
        current: whether the plan is what the same command would plan now.
    """

    plan: RetrainingPlanned
    unfinished: RetrainingPlanned | None
    configurations: tuple[Configuration, ...]
    able: int
    pairs: tuple[Paired, ...]
    complete: bool
    current: bool

    @property
    def paired(self) -> Paired | None:
        """The first against the second, if that can win and shares a seed."""
        second = self.configurations[1].trial.number if self.able > 1 else None
        return next((pair for pair in self.pairs if pair.second == second), None)

    @property
    def winner(self) -> Configuration | None:
        """The first, if the confirmation decides: it is complete, and of the study as it stands."""
        return self.configurations[0] if self.able and self.complete and self.current else None


def conclude(study: StudyRecord) -> Conclusion | None:
    """Return what the newest plan of a study's confirmation came to; None if there is none.

    While that is unfinished, the newest that is complete and of the study as it stands counts, if there is one: asking
    for more seeds does not lose the answer there is.
    """
    newest, confirmation = study.confirmation.plan, study.confirmation
    if newest is None:
        return None
    plan = newest
    if not confirmation.complete:
        whole = (p for p in reversed(confirmation.plans) if confirmation.is_complete(p) and _is_current(study, p))
        plan = next(whole, newest)
    found = [Configuration(study.trials[n], plan.seeds, tuple(confirmation.of(plan, n))) for n in plan.trials]
    most = max(len(c.tests) for c in found)
    ordered = sorted(found, key=lambda c: (-len(c.tests), math.inf if c.mean is None else c.mean, c.trial.number))
    able = sum(len(c.tests) == most for c in found) if most else 0
    return Conclusion(
        plan=plan,
        unfinished=None if plan is newest else newest,
        configurations=tuple(ordered),
        able=able,
        pairs=tuple(_pairs(ordered[:able])),
        complete=confirmation.is_complete(plan),
        current=_is_current(study, plan),
    )


def decision(study: StudyRecord) -> Conclusion | None:
    """What the study's confirmation came to, if it decides which trial is best."""
    found = conclude(study)
    return found if found and found.winner else None


def confirmed(study: StudyRecord) -> Configuration | None:
    """The configuration that a complete confirmation of the study as it stands found best, if there is one."""
    decided = decision(study)
    return decided.winner if decided else None


def candidates(study: StudyRecord, top: int) -> list[Ranked]:
    """The best `top` trials of those that have come to their end, in the order of the ranking."""
    return rank((trial for trial in study.trials if not trial.unfinished), top=top)


def _is_current(study: StudyRecord, plan: RetrainingPlanned) -> bool:
    chosen = [ranked.trial.number for ranked in candidates(study, len(plan.trials))]
    return chosen == plan.trials and plan.budget == study.config["schedule"]["max_kimg"]


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Student's t interval of a mean at `LEVEL` (Student 1908); None of fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    mean, half = fmean(values), student_t(LEVEL, n - 1) * stdev(values) / math.sqrt(n)
    return mean - half, mean + half


def _pairs(able: Sequence[Configuration]) -> Iterator[Paired]:
    for other in able[1:]:
        first = able[0]
        if shared := sorted(first.tests.keys() & other.tests.keys()):
            differences = tuple(other.tests[index] - first.tests[index] for index in shared)
            yield Paired(first.trial.number, other.trial.number, differences)
