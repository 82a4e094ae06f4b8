"""What a study has come to: its trials, folded from the ledger's rows. Everything downstream reads only this.

`fold` is a plain replay and tolerates nothing: rows that cannot follow one another mean that the ledger is
not what the driver wrote, and no table made from it could be trusted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from study.ledger.earlier import Earlier
from study.ledger.events import (
    CONFIRM,
    SEARCH,
    AttemptStarted,
    Ended,
    Event,
    NoiseMeasured,
    Reported,
    RetrainingPlanned,
    StudyChanged,
    StudyOpened,
    TrialId,
    TrialProposed,
    WarmStarted,
)
from study.ledger.outcomes import Report, TrialState
from study.ledger.retrainings import Retrainings
from study.ledger.rows import Row
from study.ledger.trial_record import TrialRecord
from trainables.errors import CorruptFile, InvalidInput

__all__ = ["Fold", "Report", "StudyRecord", "TrialRecord", "TrialState", "fold"]


@dataclass(frozen=True)
class StudyRecord:
    """A study: newest resolved configuration (changed `revision` times), FID scale, trials by number, more measured.

    `measured` and `plans` are in the order in which they came, `retrainings`, of whatever plan, in that in which they
    began. `full_count_at` are the budgets (kimg) evaluated by `evaluation.count` images, in ascending order: each
    `schedule.max_kimg` it had. `ahead` was proposed and waits for a slot: it is none of `trials` yet; its `started_at`
    is when it was proposed.
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
    measured: tuple[NoiseMeasured, ...] = ()
    plans: tuple[RetrainingPlanned, ...] = ()
    retrainings: tuple[TrialRecord, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    full_count_at: tuple[int, ...] = ()
    ahead: TrialRecord | None = None

    @property
    def complete(self) -> bool:
        """Whether every trial asked for has come to its end."""
        return len(self.trials) >= self.config["trials"] and not any(trial.unfinished for trial in self.trials)

    def asked(self, group: str) -> Retrainings:
        """Return what was asked for in a group, and what has begun."""
        return Retrainings(group, tuple(plan for plan in self.plans if plan.group == group), self.retrainings)

    @property
    def confirmation(self) -> Retrainings:
        """What was asked for by `ganstudy confirm`."""
        return self.asked(CONFIRM)


@dataclass
class _Training:
    """A trial, or a retraining of one."""

    id: TrialId
    group: str
    proposed: TrialProposed
    at: float
    attempts: int = 0
    reports: dict[int, Report] = field(default_factory=dict)
    ended: Ended | None = None
    ended_at: float | None = None
    before: Ended | None = None  # how the attempts of a retraining before this one ended
    known: TrialRecord | None = None  # of one that has ended, so that it is made once

    def __str__(self) -> str:
        return "the retraining" if self.id.seed else f"trial {self.id.trial}"

    def start(self, attempt: int) -> None:
        if attempt != self.attempts + 1:
            raise CorruptFile(f"it follows attempt {self.attempts} of {self}")
        if self.id.seed:
            self.before = self.ended or self.before
        else:
            self.ended_at = None
        self.attempts, self.ended = attempt, None

    def check_runs(self, attempt: int) -> None:
        if attempt != self.attempts:
            raise CorruptFile(f"it is of attempt {attempt}, but {self} is at attempt {self.attempts}")
        if self.ended is not None:
            raise CorruptFile(f"attempt {attempt} of {self} has ended")

    def end(self, event: Ended, at: float) -> None:
        last = max(self.reports, default=0)
        if self.id.seed and event.kimg != last:
            raise CorruptFile(f"its last report is of kimg {last}")
        self.ended, self.ended_at, self.known = event, at, None
        if event.chosen is not None and event.chosen != self.record(live=True).kimg_best:
            raise CorruptFile(f"kimg {event.chosen} is not that of its best FID")

    def record(self, live: bool) -> TrialRecord:
        if self.ended is not None and self.known is not None:
            return self.known
        ended = self.ended or (None if live else self.before)
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
            state=unfinished if ended is None else TrialState(ended.state),
            rung=None if ended is None else ended.rung,
            cause=None if ended is None else ended.cause,
            ended_at=None if ended is None else self.ended_at,
            group=self.group,
            seed=self.id.seed,
            budget=self.id.budget,
            chosen=None if ended is None else ended.chosen,
            test=None if ended is None else ended.test,
            retried=self.ended is None and self.before is not None,
        )
        return self.known


@dataclass
class _Study:
    opened: StudyOpened
    at: float
    config: dict[str, Any]
    revision: int = 0
    trials: dict[int, _Training] = field(default_factory=dict)
    retrainings: dict[TrialId, _Training] = field(default_factory=dict)
    plans: list[RetrainingPlanned] = field(default_factory=list)
    measured: list[NoiseMeasured] = field(default_factory=list)
    earlier: list[Earlier] = field(default_factory=list)
    full_count_at: set[int] = field(default_factory=set)
    reported: list[Reported] = field(default_factory=list)

    def configured(self, config: dict[str, Any]) -> None:
        self.config = config
        if (end := config.get("schedule", {}).get("max_kimg")) is not None:
            self.full_count_at.add(end)

    @property
    def ahead(self) -> _Training | None:
        newest = next(reversed(self.trials.values()), None)
        return newest if newest and not newest.attempts else None

    def trial(self, number: int) -> _Training:
        if number not in self.trials:
            raise CorruptFile(f"trial {number} was never proposed")
        return self.trials[number]

    def training(self, id: TrialId) -> _Training:
        if not id.seed:
            return self.trial(id.trial)
        if id not in self.retrainings:
            raise CorruptFile("it never began")
        return self.retrainings[id]

    def retraining(self, id: TrialId, at: float) -> _Training:
        """One that starts: for the first time, after a lost worker, or after an end that is not the last."""
        groups = [plan.group for plan in self.plans if plan.covers(id)]
        if not groups:
            raise CorruptFile("it is in no plan")
        proposed = self.trial(id.trial).proposed
        found = self.retrainings.setdefault(id, _Training(id, groups[0], proposed, at))
        if (ended := found.ended) is not None and ended.state != TrialState.FAILED:
            to_evaluate = CONFIRM in groups and ended.state == TrialState.COMPLETED and ended.test is None
            if not to_evaluate:
                raise CorruptFile("it has ended")
        return found

    def take_changed(self, event: StudyChanged, at: float) -> None:
        if event.revision != self.revision + 1:
            raise CorruptFile(f"it follows revision {self.revision}")
        self.revision = event.revision
        self.configured(event.config)

    def take_warm(self, event: WarmStarted, at: float) -> None:
        if self.trials or self.revision:
            raise CorruptFile("earlier results are written when a study is opened, not later")
        self.earlier.append(Earlier.of(event))

    def take_proposed(self, event: TrialProposed, at: float) -> None:
        if event.trial in self.trials:
            raise CorruptFile(f"trial {event.trial} was proposed before")
        if ahead := self.ahead:
            raise CorruptFile(f"trial {ahead.id.trial} was proposed before it, and never started")
        self.trials[event.trial] = _Training(TrialId(event.trial), SEARCH, event, at)

    def take_started(self, event: AttemptStarted, at: float) -> None:
        training = self.retraining(event.id, at) if event.seed else self.trial(event.trial)
        training.at = training.at if training.attempts else at
        training.start(event.attempt)

    def take_reported(self, event: Reported, at: float) -> None:
        training = self.training(event.id)
        training.check_runs(event.attempt)
        if event.kimg in training.reports:
            raise CorruptFile(f"{training} reported at kimg {event.kimg} before")
        training.reports[event.kimg] = Report(event.kimg, event.attempt, event.metrics, at)
        if not event.seed:
            self.reported.append(event)

    def take_ended(self, event: Ended, at: float) -> None:
        training = self.training(event.id)
        training.check_runs(event.attempt)
        training.end(event, at)

    def take_noise(self, event: NoiseMeasured, at: float) -> None:
        if event.kimg not in self.trial(event.trial).reports:
            raise CorruptFile(f"trial {event.trial} has not reported at kimg {event.kimg}")
        kind = (event.trial, event.kimg, event.source)
        before = sum((m.trial, m.kimg, m.source) == kind for m in self.measured)
        if event.index != before + 1:
            raise CorruptFile(f"it follows {before} such measurements")
        self.measured.append(event)

    def take_planned(self, event: RetrainingPlanned, at: float) -> None:
        for number in event.trials:
            self.trial(number)
        if event.fingerprint != self.opened.fingerprint:
            raise CorruptFile(f"its fingerprint is {event.fingerprint}, the study's {self.opened.fingerprint}")
        before = [plan for plan in self.plans if plan.group == event.group]
        if event.number != len(before) + 1:
            raise CorruptFile(f"it follows {len(before)} plans")
        if before and event.test_fingerprint != before[0].test_fingerprint:
            raise CorruptFile(f"test fingerprint {event.test_fingerprint} follows {before[0].test_fingerprint}")
        self.plans.append(event)

    def take_opened_again(self, event: StudyOpened, at: float) -> None:
        raise CorruptFile("the study was opened before")


_APPLY: Mapping[type[Event], Callable[[_Study, Any, float], None]] = {
    StudyOpened: _Study.take_opened_again,
    StudyChanged: _Study.take_changed,
    WarmStarted: _Study.take_warm,
    TrialProposed: _Study.take_proposed,
    AttemptStarted: _Study.take_started,
    Reported: _Study.take_reported,
    Ended: _Study.take_ended,
    NoiseMeasured: _Study.take_noise,
    RetrainingPlanned: _Study.take_planned,
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

    def trial(self, id: TrialId) -> TrialRecord:
        """Return a trial that was proposed, or a retraining that has begun, while its driver is alive."""
        assert self._study is not None
        return self._study.training(id).record(live=True)

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
            measured=tuple(study.measured),
            plans=tuple(study.plans),
            retrainings=tuple(one.record(live) for one in study.retrainings.values()),
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
