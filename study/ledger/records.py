"""What a study has come to: its trials, folded from the ledger's rows. Everything downstream reads only this.

`fold` is a plain replay and tolerates nothing: rows that cannot follow one another mean that the ledger is
not what the driver wrote, and no table made from it could be trusted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from study.confirmation.record import Confirmation, ConfirmationFold
from study.ledger.earlier import Earlier
from study.ledger.events import (
    AttemptStarted,
    ConfirmationPlanned,
    Ended,
    Event,
    NoiseMeasured,
    Reported,
    RetrainingEnded,
    RetrainingReported,
    RetrainingStarted,
    StudyChanged,
    StudyOpened,
    TrialProposed,
    WarmStarted,
)
from study.ledger.outcomes import Report, TrialState
from study.ledger.rows import Row
from study.noise.noise import Noise
from trainables.errors import CorruptFile, InvalidInput
from trainables.evaluation.image_counts import best_of

__all__ = ["Fold", "Report", "StudyRecord", "TrialRecord", "TrialState", "fold"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial: what was tried, its reports in order of budget, and how it stands.

    `attempts` is the number of times it was started, `rung` the rung (kimg) that stopped it, `cause` why it
    failed; `rung`, `cause` and `ended_at` are of its newest attempt, None unless that has ended. `started_at` (unix
    seconds) is of its first.
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
    def fid_best(self) -> float | None:
        """The best FID it reported: the lowest of those of the most images."""
        return None if (best := self.best) is None else best.fid

    @property
    def kimg_best(self) -> int | None:
        """The budget at which it first had its best FID."""
        return None if (best := self.best) is None else best.kimg

    @property
    def collapsed(self) -> bool | None:
        """Whether its generator had collapsed by its last report; None if that is not known."""
        return self.reports[-1].collapsed if self.reports else None

    @property
    def collapsed_best(self) -> bool | None:
        """Whether it had collapsed where it had its best FID; None if that is not known."""
        return None if (best := self.best) is None else best.collapsed

    @property
    def best(self) -> Report | None:
        """The report of its best FID."""
        return best_of(self.reports)

    @property
    def curve(self) -> dict[int, float]:
        """FID by budget (kimg), in order of budget."""
        return {report.kimg: report.fid for report in self.reports}


@dataclass(frozen=True)
class StudyRecord:
    """A study: newest resolved configuration (changed `revision` times), FID scale, trials by number, more measured.

    `full_count_at` are the budgets (kimg) judged by `evaluation.count` images, rising: each `schedule.max_kimg` it had.
    `ahead` was proposed and waits for a slot: it is none of `trials` yet; its `started_at` is when it was proposed.
    """

    uid: str
    config: dict[str, Any]
    fingerprint: str
    fid_floor: float
    fid_ceiling: float
    versions: dict[str, Any]
    opened_at: float
    trials: tuple[TrialRecord, ...]
    revision: int = 0
    noise: Noise = field(default_factory=Noise)
    confirmation: Confirmation = field(default_factory=Confirmation)
    earlier: tuple[Earlier, ...] = ()
    full_count_at: tuple[int, ...] = ()
    ahead: TrialRecord | None = None

    @property
    def complete(self) -> bool:
        """Whether every trial asked for has come to its end."""
        return len(self.trials) >= self.config["trials"] and not any(trial.unfinished for trial in self.trials)


@dataclass
class _Trial:
    proposed: TrialProposed
    at: float
    attempts: int = 0
    reports: dict[int, Report] = field(default_factory=dict)
    ended: Ended | None = None
    ended_at: float | None = None
    known: TrialRecord | None = None  # of one that has ended, so that it is made once

    def record(self, live: bool) -> TrialRecord:
        if self.ended is not None and self.known is not None:
            return self.known
        unfinished = TrialState.RUNNING if live else TrialState.INTERRUPTED
        self.known = TrialRecord(
            number=self.proposed.trial,
            config=self.proposed.config,
            params=self.proposed.params,
            origin=self.proposed.origin,
            sampler_attrs=self.proposed.sampler_attrs,
            started_at=self.at,
            reports=tuple(self.reports[kimg] for kimg in sorted(self.reports)),
            attempts=self.attempts,
            state=unfinished if self.ended is None else TrialState(self.ended.state),
            rung=None if self.ended is None else self.ended.rung,
            cause=None if self.ended is None else self.ended.cause,
            ended_at=self.ended_at,
        )
        return self.known


@dataclass
class _Study:
    opened: StudyOpened
    at: float
    config: dict[str, Any]
    revision: int = 0
    trials: dict[int, _Trial] = field(default_factory=dict)
    noise: list[NoiseMeasured] = field(default_factory=list)
    confirmation: ConfirmationFold = field(default_factory=ConfirmationFold)
    earlier: list[Earlier] = field(default_factory=list)
    full_count_at: set[int] = field(default_factory=set)
    reported: list[Reported] = field(default_factory=list)

    def configured(self, config: dict[str, Any]) -> None:
        self.config = config
        if (end := config.get("schedule", {}).get("max_kimg")) is not None:
            self.full_count_at.add(end)

    @property
    def ahead(self) -> _Trial | None:
        newest = next(reversed(self.trials.values()), None)
        return newest if newest and not newest.attempts else None

    def trial(self, number: int) -> _Trial:
        if number not in self.trials:
            raise CorruptFile(f"trial {number} was never proposed")
        return self.trials[number]

    def running(self, number: int, attempt: int) -> _Trial:
        trial = self.trial(number)
        if attempt != trial.attempts:
            raise CorruptFile(f"it is of attempt {attempt}, but trial {number} is at attempt {trial.attempts}")
        if trial.ended is not None:
            raise CorruptFile(f"attempt {attempt} of trial {number} has ended")
        return trial


def _changed(study: _Study, event: StudyChanged, at: float) -> None:
    del at
    if event.revision != study.revision + 1:
        raise CorruptFile(f"it follows revision {study.revision}")
    study.revision = event.revision
    study.configured(event.config)


def _warm(study: _Study, event: WarmStarted, at: float) -> None:
    del at
    if study.trials or study.revision:
        raise CorruptFile("earlier results are written when a study is opened, not later")
    study.earlier.append(Earlier.of(event))


def _proposed(study: _Study, event: TrialProposed, at: float) -> None:
    if event.trial in study.trials:
        raise CorruptFile(f"trial {event.trial} was proposed before")
    if ahead := study.ahead:
        raise CorruptFile(f"trial {ahead.proposed.trial} was proposed before it, and never started")
    study.trials[event.trial] = _Trial(event, at)


def _started(study: _Study, event: AttemptStarted, at: float) -> None:
    trial = study.trial(event.trial)
    if event.attempt != trial.attempts + 1:
        raise CorruptFile(f"it follows attempt {trial.attempts} of trial {event.trial}")
    trial.at = trial.at if trial.attempts else at
    trial.attempts, trial.ended, trial.ended_at = event.attempt, None, None


def _reported(study: _Study, event: Reported, at: float) -> None:
    trial = study.running(event.trial, event.attempt)
    if event.kimg in trial.reports:
        raise CorruptFile(f"trial {event.trial} reported at kimg {event.kimg} before")
    trial.reports[event.kimg] = Report(event.kimg, event.attempt, event.metrics, at)
    study.reported.append(event)


def _ended(study: _Study, event: Ended, at: float) -> None:
    trial = study.running(event.trial, event.attempt)
    trial.ended, trial.ended_at, trial.known = event, at, None


def _noise(study: _Study, event: NoiseMeasured, at: float) -> None:
    del at
    if event.kimg not in study.trial(event.trial).reports:
        raise CorruptFile(f"trial {event.trial} has not reported at kimg {event.kimg}")
    kind = (event.trial, event.kimg, event.source)
    before = sum((m.trial, m.kimg, m.source) == kind for m in study.noise)
    if event.index != before + 1:
        raise CorruptFile(f"it follows {before} such measurements")
    study.noise.append(event)


def _planned(study: _Study, event: ConfirmationPlanned, at: float) -> None:
    for number in event.trials:
        study.trial(number)
    if event.fingerprint != study.opened.fingerprint:
        raise CorruptFile(f"its fingerprint is {event.fingerprint}, the study's {study.opened.fingerprint}")
    study.confirmation.planned(event, at)


def _retraining_started(study: _Study, event: RetrainingStarted, at: float) -> None:
    study.confirmation.started(event, at)


def _retraining_reported(study: _Study, event: RetrainingReported, at: float) -> None:
    study.confirmation.reported(event, at)


def _retraining_ended(study: _Study, event: RetrainingEnded, at: float) -> None:
    study.confirmation.ended(event, at)


def _opened_again(study: _Study, event: StudyOpened, at: float) -> None:
    del study, event, at
    raise CorruptFile("the study was opened before")


_APPLY: Mapping[type[Event], Callable[[_Study, Any, float], None]] = {
    StudyOpened: _opened_again,
    StudyChanged: _changed,
    WarmStarted: _warm,
    TrialProposed: _proposed,
    AttemptStarted: _started,
    Reported: _reported,
    Ended: _ended,
    NoiseMeasured: _noise,
    ConfirmationPlanned: _planned,
    RetrainingStarted: _retraining_started,
    RetrainingReported: _retraining_reported,
    RetrainingEnded: _retraining_ended,
}


class Fold:
    """Turns the ledger's rows, taken one by one, into records; cheap to ask again and again."""

    def __init__(self) -> None:
        self.position = 0
        """The last row taken, 0 for none."""
        self._study: _Study | None = None

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """Take these rows, from the first on."""
        return cls().follow(lambda after: rows)

    def follow(self, read: Callable[[int], Iterable[Row]]) -> Self:
        """Take what is new: `read(seq)` returns the rows after `seq`, as `Ledger.read` does.

        Raises:
            CorruptFile: as `take`.
        """
        for row in read(self.position):
            self.take(row)
        return self

    def take(self, row: Row) -> None:
        """Take the next row.

        Raises:
            CorruptFile: if it cannot follow those before it; names the row, its key and why.
        """
        event = row.event
        try:
            if self._study is not None:
                _APPLY[type(event)](self._study, event, row.written_at)
            elif isinstance(event, StudyOpened):
                self._study = _Study(event, row.written_at, event.config)
                self._study.configured(event.config)
            else:
                raise CorruptFile("the study was not opened before it")
        except CorruptFile as error:
            raise CorruptFile(
                f"the ledger's row {row.seq} ({event.key!r}) is impossible: {error}; restore it from a copy"
            ) from error
        self.position = row.seq

    @property
    def reported(self) -> Sequence[Reported]:
        """The reports of the study's trials in the order in which they came."""
        return self._study.reported if self._study else ()

    def trial(self, number: int, live: bool = True) -> TrialRecord:
        """Return a trial that was proposed."""
        assert self._study is not None
        return self._study.trials[number].record(live)

    def record(self, live: bool) -> StudyRecord:
        """Return the study that the rows so far tell of.

        Args:
            live: whether a driver is alive: it decides whether an unfinished trial is `running` or `interrupted`.

        Raises:
            InvalidInput: there were no rows: the study was never opened.
        """
        study = self._study
        if study is None:
            raise InvalidInput("the ledger holds no study yet: `ganstudy launch` opens it")
        return StudyRecord(
            uid=study.opened.uid,
            config=study.config,
            fingerprint=study.opened.fingerprint,
            fid_floor=study.opened.fid_floor,
            fid_ceiling=study.opened.fid_ceiling,
            versions=study.opened.versions,
            opened_at=study.at,
            trials=tuple(trial.record(live) for _, trial in sorted(study.trials.items()) if trial.attempts),
            revision=study.revision,
            noise=Noise(tuple(study.noise)),
            confirmation=study.confirmation.record(live),
            earlier=tuple(study.earlier),
            full_count_at=tuple(sorted(study.full_count_at)),
            ahead=study.ahead.record(live) if study.ahead else None,
        )


def fold(rows: Iterable[Row], live: bool) -> StudyRecord:
    """The study that the ledger's rows, all of them and in order, tell of; see `Fold`.

    Raises:
        InvalidInput: there are no rows.
        CorruptFile: a row that cannot follow those before it.
    """
    return Fold.of(rows).record(live)
