"""One training, as the ledger has it: a trial of the study, or a retraining of one from a fresh seed."""

from dataclasses import dataclass
from typing import Any

from study.ledger.events import SEARCH, TrialId
from study.ledger.outcomes import Report, TrialState
from trainables.evaluation.image_counts import best_of


@dataclass(frozen=True)
class TrialRecord:
    """One training: what was tried, its reports in order of budget, and how it stands.

    `attempts` is the number of times it was started, `rung` the rung (kimg) that stopped it, `cause` why it
    failed; `rung`, `cause` and `ended_at` are of its newest attempt, None unless that has ended. `started_at` (unix
    seconds) is of its first.

    A retraining is of a `group`, who asked for it first; it has the index of its `seed`, its `budget` (kimg), and
    `config`, `params` and so on of its trial. If it was evaluated on test images, `chosen` is the kimg of the generator
    that was, the one of the best validation FID, and `test` are its metrics. One that is started again after an end (it
    failed, or is to be evaluated) and is lost on its way is as it was before; then, and while it runs, it is `retried`:
    its last attempt has no end.
    """

    number: int
    config: dict[str, Any]
    params: dict[str, Any]
    origin: str
    sampler_attrs: dict[str, Any]
    started_at: float
    reports: tuple[Report, ...]
    attempts: int
    state: TrialState
    rung: int | None
    cause: str | None
    ended_at: float | None
    group: str = SEARCH
    seed: int = 0
    budget: int = 0
    chosen: int | None = None
    test: dict[str, float] | None = None
    retried: bool = False

    @property
    def id(self) -> TrialId:
        """What it is known by."""
        return TrialId(self.number, self.seed, self.budget)

    @property
    def unfinished(self) -> bool:
        """Whether it still has to come to its end: it is running, or its driver died or was ended."""
        return self.state in (TrialState.RUNNING, TrialState.INTERRUPTED)

    @property
    def kimg(self) -> int:
        """The largest budget it reported at, 0 if it has not reported."""
        return self.reports[-1].kimg if self.reports else 0

    @property
    def fid(self) -> float | None:
        """The FID of its last report (the one at the largest budget)."""
        return self.reports[-1].fid if self.reports else None

    @property
    def best(self) -> Report | None:
        """The report of its best FID: the lowest of those of the most images, of equals the first."""
        return best_of(self.reports)

    @property
    def fid_best(self) -> float | None:
        """The best FID it reported."""
        return None if (best := self.best) is None else best.fid

    @property
    def kimg_best(self) -> int | None:
        """The budget at which it first had its best FID."""
        return None if (best := self.best) is None else best.kimg

    @property
    def test_fid(self) -> float | None:
        """The FID on test images of the generator that was chosen."""
        return None if self.test is None else self.test["fid"]

    @property
    def collapsed(self) -> bool | None:
        """Whether its generator had collapsed by its last report; None if that is not known."""
        return self.reports[-1].collapsed if self.reports else None

    @property
    def collapsed_best(self) -> bool | None:
        """Whether it had collapsed where it had its best FID; None if that is not known."""
        return None if (best := self.best) is None else best.collapsed

    @property
    def curve(self) -> dict[int, float]:
        """FID by budget (kimg), in order of budget."""
        return {report.kimg: report.fid for report in self.reports}

    def best_up_to(self, kimg: int) -> float | None:
        """The best FID among its reports up to `kimg`; None if it has none there."""
        best = best_of(report for report in self.reports if report.kimg <= kimg)
        return None if best is None else best.fid
