"""What can happen in a study: the rows of its ledger, frozen dataclasses with one door in and one door out.

An event checks its own fields when it is built, so a mistake in the driver shows up before it is written to
the append-only ledger rather than when the ledger is read again.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from study.ledger.confirmation_events import ConfirmationPlanned, RetrainingEnded, RetrainingReported, RetrainingStarted
from study.ledger.event_base import Event, from_one
from study.ledger.warm_start_event import WarmStarted
from trainables.errors import CorruptFile

__all__ = [
    "CONFIRMATION",
    "ENDED_STATES",
    "EVALUATION",
    "KINDS",
    "NOISE_SOURCES",
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

ENDED_STATES = frozenset({"completed", "stopped", "diverged", "failed"})
EVALUATION, SEED = "evaluation", "seed"
NOISE_SOURCES = (EVALUATION, SEED)


@dataclass(frozen=True)
class StudyOpened(Event):
    """The study's first event: who it is, its resolved configuration and the scale of its FID.

    `versions` are those of the libraries, and what the first launch found: the data's counts (`study.mlflow.data`) and
    what a trial reserves (`study.ledger.trial_resources`). Older ledgers lack these two.
    """

    uid: str
    config: dict[str, Any]
    fingerprint: str
    fid_floor: float
    fid_ceiling: float
    versions: dict[str, Any]
    kind: ClassVar[str] = "study_opened"

    @property
    def key(self) -> str:
        """There is one per ledger."""
        return "study"


@dataclass(frozen=True)
class StudyChanged(Event):
    """A resume with a changed study file; `config` is the newest resolved one, `revision` counts from 1."""

    revision: int
    config: dict[str, Any]
    kind: ClassVar[str] = "study_changed"

    @property
    def key(self) -> str:
        """One per revision."""
        return f"change/{self.revision}"

    def __post_init__(self) -> None:
        """Check the fields; revisions begin at 1."""
        super().__post_init__()
        from_one(self, "revision")


@dataclass(frozen=True)
class TrialProposed(Event):
    """A configuration to try: `params` are the flat sampled values, `origin` `baseline:NAME` or `sampler`."""

    trial: int
    config: dict[str, Any]
    params: dict[str, Any]
    origin: str
    sampler_attrs: dict[str, Any]
    kind: ClassVar[str] = "trial_proposed"

    @property
    def key(self) -> str:
        """One per trial number."""
        return f"trial/{self.trial}"


@dataclass(frozen=True)
class AttemptStarted(Event):
    """A trial was handed to Ray, for the `attempt`-th time (from 1)."""

    trial: int
    attempt: int
    kind: ClassVar[str] = "attempt_started"

    @property
    def key(self) -> str:
        """One per trial and attempt."""
        return f"attempt/{self.trial}/{self.attempt}"

    def __post_init__(self) -> None:
        """Check the fields; attempts begin at 1."""
        super().__post_init__()
        from_one(self, "attempt")


@dataclass(frozen=True)
class Reported(Event):
    """All metrics of a trial at one budget (`kimg`, thousands of real images shown to D)."""

    trial: int
    kimg: int
    attempt: int
    metrics: dict[str, float]
    kind: ClassVar[str] = "reported"

    @property
    def key(self) -> str:
        """One per trial and budget: a later attempt that trains the same stretch again changes nothing."""
        return f"report/{self.trial}/{self.kimg}"

    def __post_init__(self) -> None:
        """Check the fields; `metrics` holds the FID, by which everything downstream judges a trial."""
        super().__post_init__()
        from_one(self, "attempt")
        if "fid" not in self.metrics:
            raise ValueError(f"{self.key}: metrics have no 'fid'")


@dataclass(frozen=True)
class Ended(Event):
    """An attempt came to its end: in which state, at which budget, by which rung (kimg), for what cause."""

    trial: int
    attempt: int
    kimg: int
    state: str
    rung: int | None
    cause: str | None
    kind: ClassVar[str] = "ended"

    @property
    def key(self) -> str:
        """One per trial and attempt."""
        return f"end/{self.trial}/{self.attempt}"

    def __post_init__(self) -> None:
        """Check the fields; the state is one of `ENDED_STATES`, and only a stopped trial has a rung."""
        super().__post_init__()
        from_one(self, "attempt")
        if self.state not in ENDED_STATES:
            raise ValueError(f"{self.key}: state {self.state!r} is none of {', '.join(sorted(ENDED_STATES))}")
        if self.rung is not None and self.state != "stopped":
            raise ValueError(f"{self.key}: rung {self.rung} with state {self.state!r}; only 'stopped' has a rung")


@dataclass(frozen=True)
class NoiseMeasured(Event):
    """An FID of a trial measured once more, the `index`-th time (from 1): `fid`, or the `cause` why it diverged.

    `source` says what was fresh: `evaluation`, the latents with which the checkpoint at `kimg` was judged; `seed`,
    everything, in a retraining to `kimg`, whose best FID up to there it is.
    """

    trial: int
    kimg: int
    source: str
    index: int
    fid: float | None
    cause: str | None
    kind: ClassVar[str] = "noise_measured"

    @property
    def key(self) -> str:
        """One per trial, budget, source and index."""
        return f"noise/{self.trial}/{self.kimg}/{self.source}/{self.index}"

    def __post_init__(self) -> None:
        """Check the fields; there is an FID or a cause, not both."""
        super().__post_init__()
        from_one(self, "kimg")
        from_one(self, "index")
        if self.source not in NOISE_SOURCES:
            raise ValueError(f"{self.key}: source {self.source!r} is none of {', '.join(NOISE_SOURCES)}")
        if (self.fid is None) == (self.cause is None):
            raise ValueError(f"{self.key}: fid {self.fid}, cause {self.cause!r}: give the one or the other")


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


def _problems(value: object, path: str) -> Iterator[str]:
    """Say what in `value` would not come back from JSON as it went in."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield f"{path} = {value} is not finite"
    elif isinstance(value, dict):
        for name, part in value.items():
            if isinstance(name, str):
                yield from _problems(part, f"{path}.{name}")
            else:
                yield f"{path} has the key {name!r:.40}, which is no text"
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _problems(part, f"{path}[{index}]")
    elif not (value is None or isinstance(value, bool | int | str)):
        yield f"{path} is a {type(value).__name__}, not plain data"


def to_json(event: Event) -> str:
    """The event's fields as canonical JSON; its kind is kept beside it, in a column of its own.

    Raises:
        ValueError: names the event's key and the first value that is not finite or not plain data.
    """
    body = {field.name: getattr(event, field.name) for field in fields(event)}
    for name, value in body.items():
        for problem in _problems(value, name):
            raise ValueError(f"{event.key}: {problem}; the ledger takes finite plain values only")
    return canonical_json(body)


def from_json(kind: str, body: str) -> Event:
    """The event that `to_json` wrote.

    Raises:
        CorruptFile: an unknown kind, no JSON object, or a missing, unknown or impossible field.
    """
    cls = KINDS.get(kind)
    if cls is None:
        raise CorruptFile(f"unknown kind {kind!r:.40}: was it written by a newer ganstudy?")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CorruptFile(f"its body is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise CorruptFile("its body is no JSON object")
    expected = {field.name for field in fields(cls)}
    if values.keys() != expected:
        missing, unknown = sorted(expected - values.keys()), sorted(values.keys() - expected)
        raise CorruptFile(f"fields missing: {missing}, unknown: {unknown}; was it written by a newer ganstudy?")
    try:
        return cls(**values)
    except ValueError as error:
        raise CorruptFile(str(error)) from error
