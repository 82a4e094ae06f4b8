"""What can happen in a study: the rows of its ledger, with one door in and one door out."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Annotated, ClassVar, NamedTuple

from pydantic import TypeAdapter, ValidationError

from study.ledger.event_base import Count, Event, Metrics, Number, Object, event, one_of, problem
from study.ledger.older import newer
from study.ledger.warm_start_event import WarmStarted
from trainables.errors import CorruptFile

__all__ = ["Event", "WarmStarted"]

SEARCH, CONFIRM, NOISE = "search", "confirm", "noise"
"""Groups of trainings: the study's own, and who asked for a retraining."""

EVALUATION, SEED = "evaluation", "seed"


@event
class StudyOpened(Event):
    """The study's first event: who it is, its resolved configuration and the scale of its FID.

    `versions` are those of the libraries, and what the first launch found: the data's counts (`study.mlflow.data`) and
    what a trial reserves (`study.ledger.trial_resources`). Older ledgers lack these two.
    """

    uid: str
    config: Object
    fingerprint: str
    fid_floor: float
    fid_ceiling: float
    versions: Object
    kind: ClassVar[str] = "study_opened"
    key_of: ClassVar[str] = "study"


@event
class StudyChanged(Event):
    """A resume with a changed study file; `config` is the newest resolved one, `revision` counts from 1."""

    revision: Number
    config: Object
    kind: ClassVar[str] = "study_changed"
    key_of: ClassVar[str] = "change/{0.revision}"


@event
class TrialProposed(Event):
    """A configuration to try: `params` are the flat sampled values, `origin` `baseline:NAME` or `sampler`."""

    trial: Count
    config: Object
    params: Object
    origin: str
    sampler_attrs: Object
    kind: ClassVar[str] = "trial_proposed"
    key_of: ClassVar[str] = "trial/{0.trial}"


class TrialId(NamedTuple):
    """What a training is known by: its trial, the index of its seed, and its budget (kimg).

    The study's own run of a trial has seed 0, and budget 0: the study decides how far it goes. A retraining, the same
    configuration from a fresh seed, has both from 1.
    """

    trial: int
    seed: int = 0
    budget: int = 0


class _OfTraining(Event):
    """Base: of a training."""

    trial: Count
    seed: Count
    budget: Count

    @property
    def id(self) -> TrialId:
        """Of which training."""
        return TrialId(self.trial, self.seed, self.budget)

    @property
    def key(self) -> str:
        """That of a retraining has the form that it had in older ledgers."""
        what, trial, last = self.key_of.format(self).split("/")
        return f"confirm-{what}/{self.budget}/{trial}/{self.seed}/{last}" if self.seed else super().key

    def __post_init__(self) -> None:
        """Seed and budget go together."""
        if bool(self.seed) != bool(self.budget):
            raise ValueError(f"seed = {self.seed}, budget = {self.budget}: a retraining has both, a trial neither")


@event
class AttemptStarted(_OfTraining):
    """A training was handed to Ray, for the `attempt`-th time (from 1)."""

    trial: Count
    attempt: Number
    seed: Count = 0
    budget: Count = 0
    kind: ClassVar[str] = "attempt_started"
    key_of: ClassVar[str] = "attempt/{0.trial}/{0.attempt}"


@event
class Reported(_OfTraining):
    """All metrics of a training, on validation images, at `kimg` (thousands of real images shown to D)."""

    trial: Count
    kimg: Count
    attempt: Number
    metrics: Metrics
    seed: Count = 0
    budget: Count = 0
    kind: ClassVar[str] = "reported"
    key_of: ClassVar[str] = "report/{0.trial}/{0.kimg}"

    def __post_init__(self) -> None:
        """Nothing comes after the budget."""
        super().__post_init__()
        if self.budget and self.kimg > self.budget:
            raise ValueError(f"kimg = {self.kimg}: is past the budget {self.budget}")


@event
class Ended(_OfTraining):
    """An attempt came to its end: in which state, at which kimg, by which rung (kimg), for what cause.

    A retraining that was evaluated on test images has `chosen`, the kimg of its best validation FID, and `test`, all
    metrics of the generator of that kimg on test images: the one time that these were looked at.
    """

    trial: Count
    attempt: Number
    kimg: Count
    state: Annotated[str, one_of("completed", "stopped", "diverged", "failed")]
    rung: Count | None
    cause: str | None
    seed: Count = 0
    budget: Count = 0
    chosen: Count | None = None
    test: Metrics | None = None
    kind: ClassVar[str] = "ended"
    key_of: ClassVar[str] = "end/{0.trial}/{0.attempt}"

    def __post_init__(self) -> None:
        """Only a trial is stopped, by a rung, and only a retraining that completed is evaluated on test images."""
        super().__post_init__()
        if self.rung is not None and self.state != "stopped":
            raise ValueError(f"rung = {self.rung} with state {self.state!r}: only 'stopped' has a rung")
        if self.seed and self.state == "stopped":
            raise ValueError("state = 'stopped': a retraining is not stopped")
        evaluated = self.test is not None
        if evaluated != (self.chosen is not None) or (evaluated and not (self.seed and self.state == "completed")):
            raise ValueError(f"{self.state} with chosen {self.chosen}, test {self.test}")


@event
class RetrainingPlanned(Event):
    """What is to be retrained: `trials`, best first, each with the seeds 1 to `seeds`, to `budget` kimg.

    `group` says who asked: `confirm`, which has each evaluated on test images, or `noise`. `fingerprint` is that of the
    validation FIDs (the study's own), `test_fingerprint` that of the test FIDs, "" where there are none. Of a group
    the plan of the largest `number` (from 1) holds.
    """

    group: Annotated[str, one_of(CONFIRM, NOISE)]
    number: Number
    trials: list[Count]
    seeds: Number
    budget: Number
    fingerprint: str
    test_fingerprint: str
    kind: ClassVar[str] = "retraining_planned"
    key_of: ClassVar[str] = "{0.group}/{0.number}"

    @property
    def ids(self) -> list[TrialId]:
        """Its retrainings, the first seed of every trial first: so pairs are whole early."""
        return [TrialId(trial, seed, self.budget) for seed in range(1, self.seeds + 1) for trial in self.trials]

    def covers(self, id: TrialId) -> bool:
        """Whether a retraining is one of its."""
        return id.budget == self.budget and id.trial in self.trials and 1 <= id.seed <= self.seeds

    def __post_init__(self) -> None:
        """There is something to do, and no trial twice."""
        if not self.trials or len(set(self.trials)) < len(self.trials):
            raise ValueError(f"trials = {self.trials}: name at least one, each once")


@event
class NoiseMeasured(Event):
    """An FID of a trial measured once more, the `index`-th time (from 1): `fid`, or the `cause` why it diverged.

    `source` says what was fresh: `evaluation`, the latents with which the checkpoint at `kimg` was evaluated; in older
    ledgers also `seed`, everything, in a retraining to `kimg`, whose best FID up to there it is.
    """

    trial: Count
    kimg: Number
    source: Annotated[str, one_of(EVALUATION, SEED)]
    index: Number
    fid: float | None
    cause: str | None
    kind: ClassVar[str] = "noise_measured"
    key_of: ClassVar[str] = "noise/{0.trial}/{0.kimg}/{0.source}/{0.index}"

    def __post_init__(self) -> None:
        """There is an FID or a cause, not both."""
        if (self.fid is None) == (self.cause is None):
            raise ValueError(f"fid = {self.fid}, cause = {self.cause!r}: give the one or the other")


KINDS: Mapping[str, type[Event]] = {
    cls.kind: cls
    for cls in (
        *(StudyOpened, StudyChanged, WarmStarted, TrialProposed, AttemptStarted, Reported, Ended),
        *(RetrainingPlanned, NoiseMeasured),
    )
}


def canonical_json(value: object) -> str:
    """`value` as the one JSON text that stands for it: sorted keys, no spaces, ASCII.

    Raises:
        ValueError: for NaN or an infinity, which JSON does not have.
        TypeError: for a value that is not plain data.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=True, separators=(",", ":"))


def to_json(event: Event) -> str:
    """The event's fields as canonical JSON; its kind is kept beside it, in a column of its own.

    Raises:
        ValueError: if the event was changed into an impossible one since it was built.
    """
    named = [(field, getattr(event, field.name)) for field in fields(event)]  # type: ignore[arg-type]
    # What is at its default is left out: so a trial's rows are those of older ledgers.
    plain = {field.name: value for field, value in named if value != field.default}
    try:
        return canonical_json(plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{event.key}: {_wrong(event) or error}") from error


def _wrong(event: Event) -> str | None:
    try:
        replace(event)  # type: ignore[type-var]  # checks it again
    except ValueError as error:
        return str(error)
    return None


def from_json(kind: str, body: str) -> Event:
    """The event that `to_json` wrote.

    Raises:
        CorruptFile: an unknown kind, no JSON object, or a missing, unknown or impossible field.
    """
    kind, body = newer(kind, body)
    if kind not in KINDS:
        raise CorruptFile(f"unknown kind {kind!r:.40}: was it written by a newer ganstudy?")
    try:
        return _READERS[kind].validate_json(body)
    except ValidationError as error:
        raise CorruptFile(_unreadable(kind, error)) from None


_READERS = {kind: TypeAdapter[Event](cls) for kind, cls in KINDS.items()}


def _unreadable(kind: str, error: ValidationError) -> str:
    found = error.errors(include_url=False)
    if found[0]["type"] in ("json_invalid", "dataclass_type"):
        return f"its body is no JSON object: {found[0]['msg']}"
    missing, unknown = (
        [str(one["loc"][0]) for one in found if one["type"] == what]
        for what in ("missing", "unexpected_keyword_argument")
    )
    if missing or unknown:
        return f"fields missing: {missing}, unknown: {unknown}; was it written by a newer ganstudy?"
    return problem(KINDS[kind], error)
