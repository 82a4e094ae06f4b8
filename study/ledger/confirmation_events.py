"""What can happen in a confirmation: the best trials trained again from fresh seeds, and judged on test images."""

from typing import Annotated, ClassVar

from study.ledger.event_base import Count, Event, Metrics, Number, event, one_of


@event
class ConfirmationPlanned(Event):
    """What is to be retrained: `trials`, best first, each with the seeds 1 to `seeds`, to `budget` kimg.

    `fingerprint` is that of the validation FIDs by which a retraining chooses its generator (the study's own),
    `test_fingerprint` that of the test FIDs by which it is judged. The plan of the largest `number` (from 1) holds.
    """

    number: Number
    trials: list[Count]
    seeds: Number
    budget: Number
    fingerprint: str
    test_fingerprint: str
    kind: ClassVar[str] = "confirmation_planned"

    @property
    def key(self) -> str:
        """One per number."""
        return f"confirm/{self.number}"

    def __post_init__(self) -> None:
        """There is something to do, and no trial twice."""
        if not self.trials or len(set(self.trials)) < len(self.trials):
            raise ValueError(f"trials = {self.trials}: name at least one, each once")


@event
class RetrainingEvent(Event):
    """Base: of the retraining of `trial` with the seed of that `index` to `budget` kimg, in an attempt (from 1)."""

    trial: Count
    index: Number
    budget: Number
    attempt: Number

    @property
    def place(self) -> tuple[int, int, int]:
        """What the retraining is known by: budget (kimg), trial, index of the seed."""
        return self.budget, self.trial, self.index


@event
class RetrainingStarted(RetrainingEvent):
    """A retraining, of `trial` with the seed of that `index` to `budget` kimg, was handed to Ray (attempts from 1)."""

    kind: ClassVar[str] = "retraining_started"

    @property
    def key(self) -> str:
        """One per retraining and attempt."""
        return f"confirm-attempt/{self.budget}/{self.trial}/{self.index}/{self.attempt}"


@event
class RetrainingReported(RetrainingEvent):
    """All metrics, on validation images, of a retraining at `kimg`."""

    kimg: Count
    metrics: Metrics
    kind: ClassVar[str] = "retraining_reported"

    @property
    def key(self) -> str:
        """One per retraining and kimg: what a later attempt trains again changes nothing."""
        return f"confirm-report/{self.budget}/{self.trial}/{self.index}/{self.kimg}"

    def __post_init__(self) -> None:
        """Nothing comes after the budget."""
        if self.kimg > self.budget:
            raise ValueError(f"kimg = {self.kimg}: is past the budget {self.budget}")


@event
class RetrainingEnded(RetrainingEvent):
    """A retraining came to its end at `kimg`, in which state and for what cause.

    A completed one has `chosen`, the kimg of its best validation FID, and `test`, all metrics of the generator of
    that kimg on test images: the one time that these were looked at.
    """

    kimg: Count
    state: Annotated[str, one_of("completed", "diverged", "failed")]
    cause: str | None
    chosen: Count | None
    test: Metrics | None
    kind: ClassVar[str] = "retraining_ended"

    @property
    def key(self) -> str:
        """One per retraining and attempt."""
        return f"confirm-end/{self.budget}/{self.trial}/{self.index}/{self.attempt}"

    def __post_init__(self) -> None:
        """A completed retraining is judged on test images, and no other is."""
        completed = self.state == "completed"
        if completed != (self.test is not None) or completed != (self.chosen is not None):
            raise ValueError(f"{self.state} with chosen {self.chosen}, test {self.test}")
