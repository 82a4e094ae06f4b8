"""What a study's confirmation has come to, folded from the ledger's rows: plans and retrainings.

A retraining is known by its trial, the index of its seed (from 1; one seed for all trials at one index) and its budget.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from study.folder import StudyFolder
from study.ledger.confirmation_events import ConfirmationPlanned, RetrainingEnded, RetrainingReported, RetrainingStarted
from study.ledger.outcomes import Report, TrialState
from trainables.errors import CorruptFile
from trainables.evaluation.image_counts import best_of

Place = tuple[int, int, int]
"""Budget (kimg), trial, index of the seed."""


@dataclass(frozen=True)
class Retraining:
    """One retraining: its reports on validation images in order of budget, how it stands, how it was judged.

    `chosen` is the kimg of the generator that was kept, the one of the best validation FID, and `test` its metrics on
    test images; both None unless it completed. `cause` and `ended_at` are None unless it has ended.

    One that failed, and was lost again on its way when it was tried again, is as it was before: failed. Then, and while
    it is tried again, it is `retried`: its last attempt has no end.
    """

    trial: int
    index: int
    budget: int
    started_at: float
    reports: tuple[Report, ...]
    attempts: int
    state: TrialState
    cause: str | None
    ended_at: float | None
    chosen: int | None
    test: dict[str, float] | None
    retried: bool = False

    @property
    def place(self) -> Place:
        """What it is known by."""
        return self.budget, self.trial, self.index

    @property
    def unfinished(self) -> bool:
        """Whether it still has to come to its end."""
        return self.state in (TrialState.RUNNING, TrialState.INTERRUPTED)

    @property
    def due(self) -> bool:
        """Whether the next run of the command hands it out: what failed may have failed for want of a machine."""
        return self.unfinished or self.state == TrialState.FAILED

    @property
    def kimg(self) -> int:
        """The kimg of its last report, 0 before the first."""
        return self.reports[-1].kimg if self.reports else 0

    @property
    def curve(self) -> dict[int, float]:
        """Validation FID by kimg, rising."""
        return {report.kimg: report.fid for report in self.reports}

    @property
    def fid_best(self) -> float | None:
        """The best validation FID."""
        return self.best_up_to(self.budget)

    @property
    def kimg_best(self) -> int | None:
        """The kimg of its best validation FID so far."""
        return chosen_kimg(self.reports)

    @property
    def test_fid(self) -> float | None:
        """The FID of the chosen generator on test images."""
        return None if self.test is None else self.test["fid"]

    def best_up_to(self, kimg: int) -> float | None:
        """The best validation FID up to `kimg`; None before the first report."""
        best = best_of(report for report in self.reports if report.kimg <= kimg)
        return None if best is None else best.fid


@dataclass(frozen=True)
class Confirmation:
    """All plans in order, and all retrainings, of whatever plan, in the order in which they began."""

    plans: tuple[ConfirmationPlanned, ...] = ()
    retrainings: tuple[Retraining, ...] = ()

    @property
    def plan(self) -> ConfirmationPlanned | None:
        """The plan that holds: the newest."""
        return self.plans[-1] if self.plans else None

    def find(self, trial: int, index: int, budget: int) -> Retraining | None:
        """That retraining, None if it has not begun."""
        return next((r for r in self.retrainings if r.place == (budget, trial, index)), None)

    def of(self, plan: ConfirmationPlanned, trial: int) -> list[Retraining]:
        """What has begun of a plan's retrainings of one trial, in order of their seeds."""
        found = (self.find(trial, index, plan.budget) for index in range(1, plan.seeds + 1))
        return [retraining for retraining in found if retraining]

    def is_complete(self, plan: ConfirmationPlanned) -> bool:
        """Whether all of a plan has come to its end."""
        return self._ended(_places(plan)) == plan.seeds * len(plan.trials)

    @property
    def planned(self) -> list[Place]:
        """All retrainings of the plan that holds, the first seed of every trial first: so pairs are whole early."""
        return _places(self.plan) if self.plan else []

    @property
    def begun(self) -> list[Retraining]:
        """Those of the plan that holds that have begun."""
        places = set(self.planned)
        return [retraining for retraining in self.retrainings if retraining.place in places]

    @property
    def ended(self) -> int:
        """How many retrainings of the plan that holds have come to their end."""
        return self._ended(self.planned)

    @property
    def complete(self) -> bool:
        """Whether there is a plan, and all of the one that holds has come to its end."""
        return self.plan is not None and self.is_complete(self.plan)

    def _ended(self, places: list[Place]) -> int:
        done = {retraining.place for retraining in self.retrainings if not retraining.unfinished}
        return sum(place in done for place in places)


def retraining_folder(folder: StudyFolder, place: Place) -> Path:
    """Where a retraining lies: its checkpoints and samples."""
    budget, trial, index = place
    return folder.path / "confirm" / f"{budget}-kimg" / f"trial-{trial:05d}-seed-{index}"


@dataclass
class _Retraining:
    began: RetrainingStarted
    at: float
    attempts: int = 0
    reports: dict[int, Report] = field(default_factory=dict)
    ended: RetrainingEnded | None = None
    ended_at: float | None = None
    failed: RetrainingEnded | None = None  # how the attempts before this one ended

    def record(self, live: bool) -> Retraining:
        unfinished = TrialState.RUNNING if live else TrialState.INTERRUPTED
        began, ended = self.began, self.ended or (None if live else self.failed)
        return Retraining(
            trial=began.trial,
            index=began.index,
            budget=began.budget,
            started_at=self.at,
            reports=tuple(self.reports[kimg] for kimg in sorted(self.reports)),
            attempts=self.attempts,
            state=unfinished if ended is None else TrialState(ended.state),
            cause=None if ended is None else ended.cause,
            ended_at=None if ended is None else self.ended_at,
            chosen=None if ended is None else ended.chosen,
            test=None if ended is None else ended.test,
            retried=self.ended is None and self.failed is not None,
        )


@dataclass
class ConfirmationFold:
    """Takes a confirmation's events one by one; each raises `CorruptFile` if it cannot follow those before it."""

    plans: list[ConfirmationPlanned] = field(default_factory=list)
    retrainings: dict[Place, _Retraining] = field(default_factory=dict)

    def planned(self, event: ConfirmationPlanned, at: float) -> None:
        """Take a plan."""
        del at
        if event.number != len(self.plans) + 1:
            raise CorruptFile(f"it follows {len(self.plans)} plans")
        if self.plans and event.test_fingerprint != self.plans[0].test_fingerprint:
            raise CorruptFile(f"test fingerprint {event.test_fingerprint} follows {self.plans[0].test_fingerprint}")
        self.plans.append(event)

    def started(self, event: RetrainingStarted, at: float) -> None:
        """Take the start of an attempt: the first, after a lost worker, or after an end as failed."""
        if not any(_covers(plan, event) for plan in self.plans):
            raise CorruptFile("it is in no plan")
        found = self.retrainings.setdefault(event.place, _Retraining(event, at))
        if found.ended is not None and found.ended.state != TrialState.FAILED:
            raise CorruptFile("it has ended")
        if event.attempt != found.attempts + 1:
            raise CorruptFile(f"it follows attempt {found.attempts}")
        found.attempts, found.failed, found.ended = event.attempt, found.ended or found.failed, None

    def reported(self, event: RetrainingReported, at: float) -> None:
        """Take a report."""
        found = self._running(event)
        if event.kimg in found.reports:
            raise CorruptFile(f"it reported at kimg {event.kimg} before")
        found.reports[event.kimg] = Report(event.kimg, event.attempt, event.metrics, at)

    def ended(self, event: RetrainingEnded, at: float) -> None:
        """Take an end."""
        found = self._running(event)
        reports = found.reports
        if event.kimg != max(reports, default=0):
            raise CorruptFile(f"its last report is of kimg {max(reports, default=0)}")
        if event.chosen is not None and event.chosen != chosen_kimg(reports.values()):
            raise CorruptFile(f"kimg {event.chosen} is not that of its best FID")
        found.ended, found.ended_at = event, at

    def _running(self, event: RetrainingReported | RetrainingEnded) -> _Retraining:
        found = self.retrainings.get(event.place)
        if found is None:
            raise CorruptFile("it never began")
        if event.attempt != found.attempts:
            raise CorruptFile(f"it is of attempt {event.attempt}, but the retraining is at attempt {found.attempts}")
        if found.ended is not None:
            raise CorruptFile("it has ended")
        return found

    def record(self, live: bool) -> Confirmation:
        """All of it; `live` tells whether an unfinished retraining is running or interrupted."""
        return Confirmation(tuple(self.plans), tuple(found.record(live) for found in self.retrainings.values()))


def chosen_kimg(reports: Iterable[Report]) -> int | None:
    """The kimg of the best FID, as `CheckpointStore` keeps it; None of no reports."""
    best = best_of(reports)
    return None if best is None else best.kimg


def _places(plan: ConfirmationPlanned) -> list[Place]:
    return [(plan.budget, trial, index) for index in range(1, plan.seeds + 1) for trial in plan.trials]


def _covers(plan: ConfirmationPlanned, event: RetrainingStarted) -> bool:
    return event.budget == plan.budget and event.trial in plan.trials and event.index <= plan.seeds
