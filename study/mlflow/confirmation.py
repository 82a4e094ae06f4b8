"""A confirmation in MLflow: a child run per retraining, and what they come to at the study's run."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from study.confirmation.record import Place, retraining_folder
from study.confirmation.seed import confirmation_seed
from study.confirmation.stats import judge
from study.confirmation.view import plain_confirmation
from study.folder import StudyFolder
from study.ledger.events import ConfirmationPlanned, RetrainingEnded, RetrainingReported, RetrainingStarted
from study.ledger.records import Fold, StudyRecord
from study.ledger.rows import Row
from study.mlflow.images import KEYS, PROBABILITIES, SAMPLES
from study.mlflow.runs import RUNNING, ProjectedRun
from study.mlflow.values import finite, flatten, milliseconds

KIND = "confirmation"
TABLE = "confirmation.csv"
STATUS = {"completed": "FINISHED", "diverged": "FINISHED", "failed": "FAILED"}

_COLUMNS = (
    *("trial", "study_fid", "study_kimg", "validation_mean", "selection_bias"),
    *("test_mean", "test_deviation", "test_low", "test_high", "completed", "lost"),
)


@dataclass(frozen=True)
class Hooks:
    """What a projection offers to whoever projects a part of the rows.

    Attributes:
        folder: the study's.
        fold: of all rows so far, the one in hand the last.
        parent: the study's run.
        child: a run of the study by the end of its uid.
        news: whether a row is news to a run, which is flushed then.
        touch: has a run flushed.
    """

    folder: StudyFolder
    fold: Fold
    parent: Callable[[], ProjectedRun]
    child: Callable[[str], ProjectedRun]
    news: Callable[[ProjectedRun, Row], bool]
    touch: Callable[[ProjectedRun], None]


class ConfirmationRuns:
    """Takes the rows of a confirmation, in order; knows which retrainings are running."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._running: dict[Place, ProjectedRun] = {}
        self._configs: dict[int, Mapping[str, Any]] = {}
        self._ended_once: set[Place] = set()
        self._stale = False  # whether the study's tags may tell what no longer holds
        self._seed = 0
        self.handlers: Mapping[type, Callable[[Row, Any], None]] = {
            ConfirmationPlanned: self._planned,
            RetrainingStarted: self._started,
            RetrainingReported: self._reported,
            RetrainingEnded: self._ended,
        }

    def go_on(self, row: Row) -> None:
        """Take note that the study itself went on: its best may be others now, and then no winner is confirmed."""
        if self._configs and self._hooks.news(self._hooks.parent(), row):
            self._stale = True

    def settle(self) -> None:
        """Bring the study's tags up to the rows so far, if they may be behind."""
        if self._stale:
            self._hooks.parent().tags |= _summary(self._hooks.fold.record(live=True))
            self._stale = False

    def interrupt(self, at: float) -> None:
        """Say, when no driver runs any more, that what is not at its end was interrupted (unix seconds)."""
        if self._configs:  # what was tried again and lost is as it was before
            self._hooks.parent().tags |= _summary(self._hooks.fold.record(live=False))
            self._stale = False
        for run in self._running.values():
            run.status, run.ended = "KILLED", at
            run.tags["ganstudy.state"] = "interrupted"
            self._hooks.touch(run)

    def _planned(self, row: Row, event: ConfirmationPlanned) -> None:
        study = self._hooks.fold.record(live=True)
        self._seed = study.config["seed"]
        self._configs |= {number: study.trials[number].config for number in event.trials}
        parent = self._hooks.parent()
        if self._hooks.news(parent, row):
            parent.tags |= {
                "ganstudy.confirmation.trials": ", ".join(map(str, event.trials)),
                "ganstudy.confirmation.seeds": str(event.seeds),
                "ganstudy.confirmation.fingerprint": event.test_fingerprint,
            }
            self._stale = True
            parent.texts[TABLE] = _table(study)

    def _started(self, row: Row, event: RetrainingStarted) -> None:
        place = event.place
        run = self._run(place)
        folder = retraining_folder(self._hooks.folder, place)
        if event.attempt == 1:
            run.name, run.started = f"confirm-{event.trial:04d}-seed-{event.index}", row.written_at
            run.folders = {SAMPLES: folder / "samples", PROBABILITIES: folder / "histograms"}
            run.images |= {(key, 0): row.written_at for key in KEYS}
        run.status = None
        self._running[place] = run
        parent = self._hooks.parent()
        if self._hooks.news(parent, row):
            parent.status = RUNNING
            parent.tags["ganstudy.state"] = "running"
        if self._hooks.news(run, row):
            run.status = RUNNING
            run.params = flatten(
                dict(self._configs[event.trial]) | {"seed": confirmation_seed(self._seed, event.index)}
            )
            run.tags |= {
                "ganstudy.trial": str(event.trial),
                "ganstudy.seed_index": str(event.index),
                "ganstudy.budget": str(event.budget),
                "ganstudy.attempt": str(event.attempt),
                "ganstudy.state": "running",
            }

    def _reported(self, row: Row, event: RetrainingReported) -> None:
        run = self._run(event.place)
        run.images |= {(key, event.kimg): row.written_at for key in KEYS}
        if self._hooks.news(run, row):
            at = milliseconds(row.written_at)
            run.metrics += [(name, value, at, event.kimg) for name, value in finite(event.metrics)]

    def _ended(self, row: Row, event: RetrainingEnded) -> None:
        place = event.place
        run = self._run(place)
        self._running.pop(place, None)
        run.status, run.ended = STATUS[event.state], row.written_at
        if self._hooks.news(run, row):
            run.metrics += list(judged_points(row, event))
            run.tags["ganstudy.state"] = event.state
            told = {"ganstudy.cause": event.cause, "ganstudy.chosen_kimg": event.chosen}
            run.tags |= {name: str(value) for name, value in told.items() if value is not None}
            if event.cause is None and place in self._ended_once:  # that of an earlier attempt
                run.tags["ganstudy.cause"] = ""
        elif run.status != run.sent_status:  # the last projection ended between the values and the status
            self._hooks.touch(run)
        self._ended_once.add(place)
        parent = self._hooks.parent()
        if self._hooks.news(parent, row):
            study = self._hooks.fold.record(live=True)
            parent.texts[TABLE] = _table(study)
            parent.metrics += _best(study, row)
            self._stale = True

    def _run(self, place: Place) -> ProjectedRun:
        run = self._hooks.child(child_name(place))
        run.kind = KIND
        return run


def child_name(place: Place) -> str:
    """Return the end of a retraining's uid, of one part: what comes before it is the study's."""
    return "confirm-{}-{}-{}".format(*place)


def judged_points(row: Row, event: RetrainingEnded) -> list[tuple[str, float, int, int]]:
    """Return the test metrics as points (name, value, milliseconds, step) at the kimg of the generator judged."""
    named = {f"test_{name}": value for name, value in (event.test or {}).items()}
    return [(name, value, milliseconds(row.written_at), event.chosen or 0) for name, value in finite(named)]


def _summary(study: StudyRecord) -> dict[str, str]:
    """The study's tags; empty ones where nothing is decided."""
    judged = judge(study)
    winner, paired = (judged.winner, judged.paired) if judged else (None, None)
    ahead = {None: "unknown", True: "yes", False: "no"}[paired.ahead if paired else None]
    return {
        "ganstudy.confirmed_trial": str(winner.trial.number) if winner else "",
        "ganstudy.confirmed_fid": f"{winner.mean:.6g}" if winner and winner.mean is not None else "",
        "ganstudy.confirmed_ahead": ahead if winner else "",
    }


def _best(study: StudyRecord, row: Row) -> list[tuple[str, float, int, int]]:
    """The study's metrics once all is decided, at the number of the plan."""
    judged = judge(study)
    if judged is None or judged.winner is None or judged.unfinished is not None:
        return []
    winner = judged.winner
    known = {
        "confirmed_test_fid": winner.mean,
        "confirmed_test_fid_sd": winner.deviation,
        "selection_bias": winner.bias,
        "confirmed_lead": judged.paired.mean if judged.paired else None,
    }
    given = {name: value for name, value in known.items() if value is not None}
    return [(name, value, milliseconds(row.written_at), judged.plan.number) for name, value in finite(given)]


def _table(study: StudyRecord) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in plain_confirmation(study)["configurations"]:
        low, high = row["test_interval"] or (None, None)
        completed = sum(r["test"] is not None for r in row["retrainings"])
        writer.writerow(row | {"test_low": low, "test_high": high, "completed": completed})
    return text.getvalue()
