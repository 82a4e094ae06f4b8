"""What can happen in a study: the rows of its ledger, with one door in and one door out."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Annotated, ClassVar

from pydantic import TypeAdapter, ValidationError

from study.ledger.confirmation_events import ConfirmationPlanned, RetrainingEnded, RetrainingReported, RetrainingStarted
from study.ledger.event_base import Count, Event, Metrics, Number, Object, event, one_of, problem
from study.ledger.warm_start_event import WarmStarted
from trainables.errors import CorruptFile

__all__ = [
    "CONFIRMATION",
    "EVALUATION",
    "KINDS",
    "SEED",
    "AttemptStarted",
    "ConfirmationPlanned",
    "Ended",
    "Event",
    "NoiseMeasured",
    "Reported",
    "RetrainingEnded",
    "RetrainingReported",
    "RetrainingStarted",
    "StudyChanged",
    "StudyOpened",
    "TrialProposed",
    "WarmStarted",
    "canonical_json",
    "from_json",
    "to_json",
]

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

    @property
    def key(self) -> str:
        """There is one per ledger."""
        return "study"


@event
class StudyChanged(Event):
    """A resume with a changed study file; `config` is the newest resolved one, `revision` counts from 1."""

    revision: Number
    config: Object
    kind: ClassVar[str] = "study_changed"

    @property
    def key(self) -> str:
        """One per revision."""
        return f"change/{self.revision}"


@event
class TrialProposed(Event):
    """A configuration to try: `params` are the flat sampled values, `origin` `baseline:NAME` or `sampler`."""

    trial: Count
    config: Object
    params: Object
    origin: str
    sampler_attrs: Object
    kind: ClassVar[str] = "trial_proposed"

    @property
    def key(self) -> str:
        """One per trial number."""
        return f"trial/{self.trial}"


@event
class AttemptStarted(Event):
    """A trial was handed to Ray, for the `attempt`-th time (from 1)."""

    trial: Count
    attempt: Number
    kind: ClassVar[str] = "attempt_started"

    @property
    def key(self) -> str:
        """One per trial and attempt."""
        return f"attempt/{self.trial}/{self.attempt}"


@event
class Reported(Event):
    """All metrics of a trial at one budget (`kimg`, thousands of real images shown to D)."""

    trial: Count
    kimg: Count
    attempt: Number
    metrics: Metrics
    kind: ClassVar[str] = "reported"

    @property
    def key(self) -> str:
        """One per trial and budget: a later attempt that trains the same stretch again changes nothing."""
        return f"report/{self.trial}/{self.kimg}"


@event
class Ended(Event):
    """An attempt came to its end: in which state, at which budget, by which rung (kimg), for what cause."""

    trial: Count
    attempt: Number
    kimg: Count
    state: Annotated[str, one_of("completed", "stopped", "diverged", "failed")]
    rung: Count | None
    cause: str | None
    kind: ClassVar[str] = "ended"

    @property
    def key(self) -> str:
        """One per trial and attempt."""
        return f"end/{self.trial}/{self.attempt}"

    def __post_init__(self) -> None:
        """Only a stopped trial has a rung."""
        if self.rung is not None and self.state != "stopped":
            raise ValueError(f"rung = {self.rung} with state {self.state!r}: only 'stopped' has a rung")


@event
class NoiseMeasured(Event):
    """An FID of a trial measured once more, the `index`-th time (from 1): `fid`, or the `cause` why it diverged.

    `source` says what was fresh: `evaluation`, the latents with which the checkpoint at `kimg` was judged; `seed`,
    everything, in a retraining to `kimg`, whose best FID up to there it is.
    """

    trial: Count
    kimg: Number
    source: Annotated[str, one_of(EVALUATION, SEED)]
    index: Number
    fid: float | None
    cause: str | None
    kind: ClassVar[str] = "noise_measured"

    @property
    def key(self) -> str:
        """One per trial, budget, source and index."""
        return f"noise/{self.trial}/{self.kimg}/{self.source}/{self.index}"

    def __post_init__(self) -> None:
        """There is an FID or a cause, not both."""
        if (self.fid is None) == (self.cause is None):
            raise ValueError(f"fid = {self.fid}, cause = {self.cause!r}: give the one or the other")


CONFIRMATION = (ConfirmationPlanned, RetrainingStarted, RetrainingReported, RetrainingEnded)

KINDS: Mapping[str, type[Event]] = {
    "study_opened": StudyOpened,
    "study_changed": StudyChanged,
    "warm_started": WarmStarted,
    "trial_proposed": TrialProposed,
    "attempt_started": AttemptStarted,
    "reported": Reported,
    "ended": Ended,
    "noise_measured": NoiseMeasured,
    "confirmation_planned": ConfirmationPlanned,
    "retraining_started": RetrainingStarted,
    "retraining_reported": RetrainingReported,
    "retraining_ended": RetrainingEnded,
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
    plain = {field.name: getattr(event, field.name) for field in fields(event)}  # type: ignore[arg-type]
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
