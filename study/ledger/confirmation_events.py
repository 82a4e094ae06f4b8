"""What can happen in a confirmation: the best trials trained again from fresh seeds, and judged on test images."""

from dataclasses import dataclass
from typing import ClassVar

from study.ledger.event_base import Event, from_one

RETRAINING_STATES = frozenset({"completed", "diverged", "failed"})


@dataclass(frozen=True)
class ConfirmationPlanned(Event):
    """What is to be retrained: `trials`, best first, each with the seeds 1 to `seeds`, to `budget` kimg.

    `fingerprint` is that of the validation FIDs by which a retraining chooses its generator (the study's own),
    `test_fingerprint` that of the test FIDs by which it is judged. The plan of the largest `number` (from 1) holds.
    """

    number: int
    trials: list[int]
    seeds: int
    budget: int
    fingerprint: str
    test_fingerprint: str
    kind: ClassVar[str] = "confirmation_planned"

    @property
    def key(self) -> str:
        """One per number."""
        return f"confirm/{self.number}"

    def __post_init__(self) -> None:
        """Check the fields; there is something to do, and no trial twice."""
        super().__post_init__()
        for name in ("number", "seeds", "budget"):
            from_one(self, name)
        if not self.trials or len(set(self.trials)) < len(self.trials) or min(self.trials) < 0:
            raise ValueError(f"{self.key}: trials {self.trials}: name at least one, each once")


@dataclass(frozen=True)
class RetrainingEvent(Event):
    """Base: of the retraining of `trial` with the seed of that `index` to `budget` kimg, in an attempt (from 1)."""

    trial: int
    index: int
    budget: int
    attempt: int

    @property
    def place(self) -> tuple[int, int, int]:
        """What the retraining is known by: budget (kimg), trial, index of the seed."""
        return self.budget, self.trial, self.index

    def __post_init__(self) -> None:
        """Check the fields; all but the trial count from 1."""
        super().__post_init__()
        for name in ("index", "budget", "attempt"):
            from_one(self, name)


@dataclass(frozen=True)
class RetrainingStarted(RetrainingEvent):
    """A retraining, of `trial` with the seed of that `index` to `budget` kimg, was handed to Ray (attempts from 1)."""

    kind: ClassVar[str] = "retraining_started"

    @property
    def key(self) -> str:
        """One per retraining and attempt."""
        return f"confirm-attempt/{self.budget}/{self.trial}/{self.index}/{self.attempt}"


@dataclass(frozen=True)
class RetrainingReported(RetrainingEvent):
    """All metrics, on validation images, of a retraining at `kimg`."""

    kimg: int
    metrics: dict[str, float]
    kind: ClassVar[str] = "retraining_reported"

    @property
    def key(self) -> str:
        """One per retraining and kimg: what a later attempt trains again changes nothing."""
        return f"confirm-report/{self.budget}/{self.trial}/{self.index}/{self.kimg}"

    def __post_init__(self) -> None:
        """Check the fields; `metrics` holds the FID, and nothing comes after the budget."""
        super().__post_init__()
        if "fid" not in self.metrics:
            raise ValueError(f"{self.key}: metrics have no 'fid'")
        if self.kimg > self.budget:
            raise ValueError(f"{self.key}: kimg {self.kimg} is past the budget {self.budget}")


@dataclass(frozen=True)
class RetrainingEnded(RetrainingEvent):
    """A retraining came to its end at `kimg`, in which state and for what cause.

    A completed one has `chosen`, the kimg of its best validation FID, and `test`, all metrics of the generator of
    that kimg on test images: the one time that these were looked at.
    """

    kimg: int
    state: str
    cause: str | None
    chosen: int | None
    test: dict[str, float] | None
    kind: ClassVar[str] = "retraining_ended"

    @property
    def key(self) -> str:
        """One per retraining and attempt."""
        return f"confirm-end/{self.budget}/{self.trial}/{self.index}/{self.attempt}"

    def __post_init__(self) -> None:
        """Check the fields; a completed retraining is judged on test images, and no other is."""
        super().__post_init__()
        if self.state not in RETRAINING_STATES:
            raise ValueError(f"{self.key}: state {self.state!r} is none of {', '.join(sorted(RETRAINING_STATES))}")
        completed = self.state == "completed"
        if completed != (self.test is not None) or completed != (self.chosen is not None):
            raise ValueError(f"{self.key}: {self.state} with chosen {self.chosen}, test {self.test}")
        if self.test is not None and "fid" not in self.test:
            raise ValueError(f"{self.key}: test has no 'fid'")
