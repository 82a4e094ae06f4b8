"""How far FIDs differ by chance, and so which differences between trials mean something.

Measured is the FID by which trials are ranked, the best one up to a trial's budget, in two ways: the checkpoint of
that FID evaluated again with fresh latents (`EVALUATION`), and the configuration trained again to the same budget, with
the same reports, from fresh seeds (`SEED`). The latter holds the former: a new seed draws new latents too.

All FIDs in one ledger are against the same real images, with the same extractor: the study's fingerprint stands for
that, and `study.running.launch` and `study.retraining` refuse an FID of another one. They are of equally many
generated images, or (`evaluation.rung_count`) of as many as the report that they repeat; deviations are pooled over
equally many only. So no FID at N images is ever compared with one at M here.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean, stdev

from study.analysis.quantile import student_t
from study.ledger.events import EVALUATION, SEED, NoiseMeasured
from study.ledger.records import StudyRecord, TrialRecord, TrialState

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """What was measured of one trial in one way at one budget: the finite FIDs in order, and how many diverged."""

    trial: int
    kimg: int
    fids: tuple[float, ...]
    diverged: int

    @property
    def mean(self) -> float | None:
        """Their mean; None if there is none."""
        return fmean(self.fids) if self.fids else None

    @property
    def deviation(self) -> float | None:
        """Their sample standard deviation (divided by n - 1); None of fewer than two."""
        return stdev(self.fids) if len(self.fids) > 1 else None


@dataclass(frozen=True)
class Pooled:
    """One standard deviation from several spreads, with its degrees of freedom and the trials behind it."""

    deviation: float
    degrees: int
    trials: tuple[int, ...]

    @property
    def values(self) -> int:
        """How many FIDs it comes from."""
        return self.degrees + len(self.trials)


@dataclass(frozen=True)
class Noise:
    """All that was measured of a study's noise."""

    measured: tuple[NoiseMeasured, ...] = ()

    def spread(self, source: str, trial: int, kimg: int) -> Spread:
        """What was measured of one trial at one budget, perhaps nothing."""
        found = [m for m in self.measured if (m.source, m.trial, m.kimg) == (source, trial, kimg)]
        fids = tuple(m.fid for m in found if m.fid is not None)
        return Spread(trial, kimg, fids, len(found) - len(fids))

    def spreads(self, source: str, kimg: int | None = None) -> list[Spread]:
        """Every spread of one kind, at one budget or at all."""
        measured = {(m.trial, m.kimg) for m in self.measured if m.source == source}
        return [self.spread(source, *at) for at in sorted(measured) if kimg in (None, at[1])]

    def evaluation(self, alike: Callable[[Spread], bool] = lambda spread: True) -> Pooled | None:
        """The standard deviation over fresh latents, pooled over the checkpoints evaluated again that are `alike`."""
        return _pooled(filter(alike, self.spreads(EVALUATION)))

    def seed(self, kimg: int) -> Pooled | None:
        """The standard deviation over fresh seeds at one budget, pooled over the trials that were trained again."""
        return _pooled(self.spreads(SEED, kimg))

    def least_difference(self, kimg: int) -> float | None:
        """The FID by which two trials trained to `kimg` must differ to be told apart; None if it is not known.

        Fisher's least significant difference for two single runs,

            t(95 %, degrees) * sqrt(2) * s

        s being the pooled standard deviation over seeds at this budget, and `degrees` its degrees of freedom: the
        difference of two runs of equally good configurations has the standard deviation sqrt(2) * s, and is beyond
        this in 1 of 20 cases. For many seeds it is 1.96 * sqrt(2) * s = 2.8 s, the reproducibility limit of ISO
        5725-6. With few seeds s itself is uncertain, so Student's t replaces 1.96 (of 3 seeds 4.30: there
        1.96 would tell equal configurations apart in 1 of 5 cases).

        It assumes that trials which were not measured are as noisy as those which were, and holds for one pair: of
        many equally good trials some will be told apart by chance. Fisher 1935, The Design of Experiments;
        Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks".
        """
        pooled = self.seed(kimg)
        return None if pooled is None else factor(pooled.degrees) * pooled.deviation


def noise_of(study: StudyRecord) -> Noise:
    """Return what is known of a study's noise: fresh latents as measured, fresh seeds from all its retrainings."""
    return Noise((*study.measured, *_of_seeds(study)))


def of_seed(retraining: TrialRecord, kimg: int) -> NoiseMeasured | None:
    """Return what a retraining says of its trial's FID at `kimg`; None if it has not come so far."""
    known = retraining.number, kimg, SEED, retraining.seed
    if kimg in retraining.curve:
        return NoiseMeasured(*known, retraining.best_up_to(kimg), None)
    return NoiseMeasured(*known, None, str(retraining.cause)) if retraining.state == TrialState.DIVERGED else None


def _of_seeds(study: StudyRecord) -> Iterator[NoiseMeasured]:
    """At the budget of each retraining, and where its trial stands; of two with the same seed the first says it."""
    known = dict[str, NoiseMeasured]()
    for retraining in sorted(study.retrainings, key=lambda one: one.id):
        for kimg in {retraining.budget, study.trials[retraining.number].kimg}:
            if 0 < kimg <= retraining.budget and (found := of_seed(retraining, kimg)):
                known.setdefault(found.key, found)
    yield from known.values()


def factor(degrees: int) -> float:
    """The least difference in standard deviations that have so many degrees of freedom."""
    return student_t(LEVEL, degrees) * math.sqrt(2)


def _pooled(spreads: Iterable[Spread]) -> Pooled | None:
    """sqrt(sum (n_i - 1) s_i^2 / sum (n_i - 1)), over the spreads that have a standard deviation."""
    parts = [(len(s.fids) - 1, s.deviation, s.trial) for s in spreads if s.deviation is not None]
    degrees = sum(n for n, _, _ in parts)
    if not degrees:
        return None
    variance = sum(n * s * s for n, s, _ in parts) / degrees
    return Pooled(math.sqrt(variance), degrees, tuple(trial for _, _, trial in parts))
