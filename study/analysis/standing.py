"""Which trials are tied with the best, and which behind it: one verdict, from the best evidence there is.

Retrainings from fresh seeds, evaluated on test images, say more than the study's own runs, which were chosen for being
low. So where a confirmation decides, the best is its winner, and its other configurations are behind that if Student's
t interval of their differences at each seed lies above 0. What was not confirmed is compared by the study's FIDs, with
Fisher's least significant difference for two single runs, if the noise of seeds is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from study.analysis.confirmation import Paired, decision
from study.analysis.noise import noise_of
from study.analysis.ranking import Ranked, rank
from study.ledger.records import StudyRecord


@dataclass(frozen=True)
class Standing:
    """A trial set against the best.

    Attributes:
        best: the trial that is best: a confirmation's winner, else the first of the ranking.
        tied: whether the trial is not shown to be behind it.
        gap: by how much its FID is above the best's, as `evidence` measures it.
        evidence: `confirmation`, mean FIDs on test images over the seeds that both completed, or `noise`, the study's
            FIDs against what single runs differ by chance.
    """

    best: int
    tied: bool
    gap: float
    evidence: str


def standings(study: StudyRecord) -> dict[int, Standing]:
    """How trials but the best stand to it, by number: those of its budget, as far as anything is known.

    Ties are not transitive: two trials tied with the best may differ from one another.
    """
    ranked, decided = rank(study.trials), decision(study)
    if not ranked:
        return {}
    best = decided.configurations[0].trial.number if decided else ranked[0].trial.number
    first = next(r for r in ranked if r.trial.number == best)
    least = noise_of(study).least_difference(first.budget)
    found = {} if least is None else {r.trial.number: _by_noise(first, r, least) for r in _rivals(first, ranked)}
    pairs = decided.pairs if decided else ()
    return found | {pair.second: _confirmed(pair, pair.ahead) for pair in pairs if pair.ahead is not None}


def _rivals(first: Ranked, ranked: Sequence[Ranked]) -> Iterator[Ranked]:
    return (r for r in ranked if r is not first and r.budget == first.budget)


def _by_noise(first: Ranked, other: Ranked, least: float) -> Standing:
    gap = other.fid_best - first.fid_best
    return Standing(first.trial.number, gap <= least, gap, "noise")


def _confirmed(pair: Paired, ahead: bool) -> Standing:
    return Standing(pair.first, not ahead, pair.mean, "confirmation")
