"""What a training comes to, be it a study's trial or a retraining: its state, and a report at each budget."""

from dataclasses import dataclass
from enum import StrEnum

from trainables.evaluation.image_counts import FidEstimate


class TrialState(StrEnum):
    """How a trial stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Report:
    """A trial's metrics at one budget (`kimg`), with the attempt that wrote them and when (unix seconds)."""

    kimg: int
    attempt: int
    metrics: dict[str, float]
    written_at: float

    @property
    def fid(self) -> float:
        """The FID at this budget."""
        return self.metrics["fid"]

    @property
    def estimate(self) -> FidEstimate:
        """The FID with the number of images that it is of."""
        return FidEstimate.of(self.kimg, self.metrics)

    @property
    def collapsed(self) -> bool | None:
        """Whether the generator had collapsed here; None in a ledger from before that was reported."""
        flag = self.metrics.get("collapsed")
        return None if flag is None else flag != 0
