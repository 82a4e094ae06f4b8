"""MLflow as a projection of the ledger: a run for the study, a child run per trial, rebuilt at any time.

How it stays exact. Each run carries its own watermark, the tag `SEQ`: rows up to it are in the
run. Points have the time of their row, so MLflow drops those it has; images have names that are a function
of trial and step; runs are found by the tag `UID` (`tags.py`). After any error the projection forgets what it
knew: the next call searches the runs and takes the rows from the first one again, skipping what is there.
So it makes no difference whether a server was slow, restarted, replaced by an empty one, or written to by
two processes.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.analysis.ranking import UNRANKED
from study.folder import StudyFolder
from study.ledger.events import (
    CONFIRM,
    AttemptStarted,
    Ended,
    Reported,
    RetrainingPlanned,
    StudyChanged,
    StudyOpened,
    TrialId,
    TrialProposed,
    WarmStarted,
)
from study.ledger.records import Fold, TrialRecord
from study.ledger.rows import Row
from study.ledger.trial_resources import device_seconds, trial_resources
from study.mlflow import confirmation
from study.mlflow.data import data_input
from study.mlflow.experiment import made_experiment, single_runs
from study.mlflow.files import as_yaml, changed_params, log_file, study_params, trial_params
from study.mlflow.images import KEYS, PROBABILITIES, SAMPLES
from study.mlflow.models import TrialModel, models_of
from study.mlflow.note import trial_note
from study.mlflow.page import STATUS as STUDY_STATUS
from study.mlflow.page import FinalStatus, StudyPage
from study.mlflow.runs import RUNNING, Counts, ProjectedRun
from study.mlflow.sections import first_read
from study.mlflow.store import artifact_location, display_uri, experiment_name, open_store, resolve_uri
from study.mlflow.tags import DIGESTS, KIND, NOTE, ORDER, PARENT, STUDY, renew
from study.mlflow.values import finite, key, milliseconds
from study.mlflow.view import leaderboard, order, save_view, view_id
from study.study_file.seeds import retraining_seed
from study.views.tables import number
from trainables.errors import GanStudyError
from trainables.evaluation.image_counts import IMAGES, FidEstimate, best_of

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput
    from mlflow.tracking import MlflowClient

RETRAINING = "retraining"
"""Kind of a retraining's run; the others are `study` and `trial`."""

STATUS = {"completed": "FINISHED", "stopped": "FINISHED", "diverged": "FINISHED", "failed": "FAILED"}
"""MLflow's status of an ended trial: FINISHED also where it gave up, as KILLED is shown as a failure."""


@dataclass(frozen=True)
class FinalState:
    """What is known at the end of a launch: status, and files for the parent run (paths, or contents)."""

    status: FinalStatus
    artifacts: Mapping[str, Path | str | bytes] = field(default_factory=dict)


class MlflowProjection:
    """Projects rows of the ledger on an MLflow store. For one thread at a time; making one opens nothing."""

    def __init__(self, uri: str | None, folder: StudyFolder, name: str) -> None:
        """Name the store; nothing is opened yet.

        Args:
            uri: MLflow's store, None for SQLite in the study's folder.
            folder: the study's.
            name: the study's.

        Raises:
            InvalidInput: if `uri` is of an unsupported kind.
        """
        self.uri = resolve_uri(uri, folder)
        self.counts = Counts()
        self._folder = folder
        self._name = name
        self._handlers: dict[type, Callable[[Row, Any], None]] = {
            StudyOpened: self._opened,
            StudyChanged: self._changed,
            WarmStarted: self._warm,
            TrialProposed: self._proposed,
            AttemptStarted: self._started,
            Reported: self._reported,
            Ended: self._ended,
            RetrainingPlanned: self._planned,
        }
        self.reset()

    @property
    def opened(self) -> bool:
        """Whether the store is there, and its runs are known once rows were projected."""
        return self._client is not None

    @property
    def position(self) -> int:
        """The last `seq` taken, 0 for none; the next rows to `project` are those after it."""
        return self._fold.position

    @property
    def running_id(self) -> str | None:
        """MLflow's id of the study's run, if that is running."""
        parent = self._runs.get(self._study.uid) if self._study else None
        return parent.run_id if parent and parent.sent_status == RUNNING else None

    def reset(self) -> None:
        """Forget the store and the rows: what to do after any error."""
        self._client: MlflowClient | None = None
        self._experiment_id: str | None = None
        self._runs: dict[str, ProjectedRun] = {}
        self._touched: dict[str, ProjectedRun] = {}
        self._fold = Fold()
        self._study: StudyOpened | None = None
        self._last_at = 0.0
        self._ended_once: dict[bool, set[TrialId]] = {False: set(), True: set()}  # retrainings apart from trials
        self._best: dict[int, float] = {}  # of all trials, by the number of images that the FID is of
        self._config: Mapping[str, Any] = {}  # the study's newest
        self._data: DatasetInput | None = None
        self._params: dict[str, Counter[str]] = {}  # the values of each of the trials' parameters, and how often
        self._page = StudyPage()
        self._confirmed = False  # whether a confirmation was ever planned
        self._stale = False  # whether its tags at the study's run may tell what no longer holds
        self._view, self._view_saved = "", False
        self._searched_now = False

    def open(self) -> None:
        """Have the store there, and answer.

        Raises:
            GanStudyError: if its database is something else.
            Exception: whatever MLflow raised.
        """
        self.reset()
        client = open_store(self.uri, self._folder)
        client.search_experiments(max_results=1)
        self._client = client

    def attach(self, uid: str) -> None:
        """Find the experiment of the study `uid`, made or restored where need be, and all its runs with one search.

        Of two runs with one uid (two processes at once) the one with the smaller id stays, whoever looks.
        """
        if self._client is None:
            self.open()
        assert self._client is not None
        experiment_id = made_experiment(
            self._client, experiment_name(self._name), uid, artifact_location(self.uri, self._folder)
        )
        found_runs = single_runs(self._client, experiment_id)
        self._runs = {uid: ProjectedRun.found(run) for uid, run in found_runs.items()}
        with_model = {str(model.source_run_id) for model in models_of(self._client, experiment_id)}
        for run_uid, run in found_runs.items():
            self._runs[run_uid].has_model = run.info.run_id in with_model
            if run_uid.partition("/")[0] == uid and not self._runs[run_uid].deleted:
                renew(self._client, run)
        active = {run.run_id for run in self._runs.values() if not run.deleted}
        for run_uid, found in self._runs.items():
            found.forget_broken_note(active)
            parent = self._runs.get(run_uid.rpartition("/")[0])
            if parent and not found.deleted and found.parent_id != parent.run_id:  # it was the removed one's
                self._client.set_tag(found.run_id, PARENT, parent.run_id, synchronous=True)
        self._experiment_id = experiment_id
        self._searched_now = True

    def check_not_beyond(self, rows: Sequence[Row]) -> None:
        """Refuse a store that has rows of the study after the last that the ledger has; looked at once.

        Args:
            rows: of the ledger, to its end.

        Raises:
            GanStudyError: if so.
        """
        first, head = rows[0].event, rows[-1].seq
        if self._experiment_id is not None or not isinstance(first, StudyOpened):
            return
        self.attach(first.uid)
        mine = (run.row for uid, run in self._runs.items() if uid.partition("/")[0] == first.uid)
        if (row := max(mine, default=0)) > head:
            self.reset()
            raise GanStudyError(
                f"MLflow at {display_uri(self.uri)} has row {row} of {self._name}, whose ledger ends at row {head}: an "
                f"older ledger was put back; `ganstudy sync {self._name} --from-older-ledger` goes on from it"
            )

    def project(self, rows: Sequence[Row], ending: bool = False) -> None:
        """Take rows, in order; rows already taken are skipped. After an exception call again with all rows.

        Args:
            rows: of the ledger.
            ending: whether `close` follows at once, which writes the description, so that it need not be now.

        Raises:
            Exception: whatever MLflow raised; the projection has been reset.
        """
        try:
            for row in rows:
                if self._experiment_id is None and isinstance(row.event, StudyOpened):
                    self.attach(row.event.uid)
                if row.seq <= self._fold.position:
                    continue
                self._fold.take(row)
                self._page.take(row)
                handle = self._handlers.get(type(row.event))
                if handle is not None:
                    handle(row, row.event)
                self._stale |= self._confirmed and self._parent().seq == row.seq  # its best may be others now
                self._last_at = row.written_at
            self._flush(page=not ending)
            self._searched_now = False
        except BaseException:
            self.reset()
            raise

    def close(self, end: FinalState) -> None:
        """Close the parent run after the last row: status, files, best trial. Sends images that came late.

        An interrupted study's unfinished trials are marked `interrupted`; a resume marks them running again.

        Raises:
            Exception: whatever MLflow raised; the projection has been reset, so project all rows again first.
        """
        try:
            self._close(end)
        except BaseException:
            self.reset()
            raise

    def _close(self, end: FinalState) -> None:
        if self._study is None:
            return
        parent = self._parent()
        study = self._fold.record(live=True)
        trials = study.trials if end.status != "finished" else ()
        for training in (one for one in (*trials, *study.retrainings) if one.unfinished):
            run = self._run_of(training.id)
            run.status, run.ended = "KILLED", self._last_at
            run.tags["ganstudy.state"] = "interrupted"
            self._touched[run.uid] = run
        if self._confirmed:  # what was tried again and lost is as it was before
            parent.tags |= confirmation.summary(self._fold.record(live=False))
            self._stale = False
        self._touched.update({uid: run for uid, run in self._runs.items() if run.images or run.tags})
        self._touched[parent.uid] = parent
        self._flush(page=False)
        assert self._client is not None
        digests = {path: log_file(self._client, parent, path, file) for path, file in end.artifacts.items()}
        if not digests.items() <= parent.digests.items():
            parent.digests |= digests
            parent.tags[DIGESTS] = json.dumps(parent.digests)
        failed = end.status == "interrupted" and parent.sent_status == STUDY_STATUS["failed"]
        final: FinalStatus = "failed" if failed else end.status  # an error stays one until something runs again
        parent.status, parent.ended = STUDY_STATUS[final], self._last_at
        parent.tags["ganstudy.state"] = final
        self._touched[parent.uid] = parent
        self._flush(page=True, final=final)

    # Sending

    def _flush(self, page: bool, final: FinalStatus | None = None) -> None:
        opened = self._study
        if opened is None:
            return
        client, experiment_id = self._client, self._experiment_id
        assert client is not None
        assert experiment_id is not None
        parent = self._parent()
        if self._stale:
            parent.tags |= confirmation.summary(self._fold.record(live=True))
            self._stale = False
        if parent.uid in self._touched:
            self._summarise(parent)
        birth = {STUDY: opened.uid, "mlflow.source.name": "ganstudy"}
        study = {**birth, KIND: "study"}
        if parent.exist(client, experiment_id, study, self.counts):
            # The trials' runs may take a while: until then it is not to stand there bare.
            parent.flush(client, experiment_id, study, self.counts)
        birth |= {PARENT: parent.run_id}
        for run in sorted(self._touched.values(), key=lambda run: run.started):
            if run is not parent:
                run.flush(client, experiment_id, {**birth, KIND: run.kind}, self.counts)
        saved = self._save_view(client, experiment_id, opened)
        if page and not parent.deleted:
            self._page.write(experiment_id, saved, parent, lambda trial: self._run_of(TrialId(trial)), final)
        parent.flush(client, experiment_id, study, self.counts)  # the last: its page tells of the others
        self._touched.clear()

    def _summarise(self, parent: ProjectedRun) -> None:
        counts = Counter(str(trial.state) for trial in self._fold.record(live=True).trials)
        parent.tags["ganstudy.trials"] = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))

    def _save_view(self, client: "MlflowClient", experiment_id: str, opened: StudyOpened) -> bool:
        """Save the leaderboard; tell whether the server takes it. Without it addresses filter and sort themselves."""
        view = leaderboard(opened.uid, self._name, milliseconds(self._parent().started), self._params)
        if view != self._view:
            self._view_saved = save_view(client, experiment_id, view_id(opened.uid), view)
            self._view = view
        return self._view_saved

    # The rows

    def _run(self, uid: str) -> ProjectedRun:
        return self._runs.setdefault(uid, ProjectedRun(uid, look_first=not self._searched_now))

    def _parent(self) -> ProjectedRun:
        assert self._study is not None, "the first row opens the study"
        return self._run(self._study.uid)

    def _run_of(self, id: TrialId) -> ProjectedRun:
        run = self._run(f"{self._parent().uid}/{child_name(id)}")
        run.kind = RETRAINING if id.seed else "trial"
        return run

    def _news(self, run: ProjectedRun, row: Row) -> bool:
        if run is self._parent():
            self._page.tell(row.seq)
        news = run.is_news(row.seq)
        if news:
            self._touched[run.uid] = run
        return news

    def _opened(self, row: Row, event: StudyOpened) -> None:
        self._study, self._config = event, event.config
        self._data = data_input(event)
        parent = self._parent()
        self._show_data(parent)
        parent.name, parent.started = self._name, row.written_at
        if not self._news(parent, row):
            return
        parent.tags |= {"ganstudy.state": "running", "ganstudy.fingerprint": event.fingerprint}
        versions = {name: text for name, text in event.versions.items() if isinstance(text, str)}
        if versions:
            parent.tags["ganstudy.versions"] = ", ".join(f"{name} {text}" for name, text in sorted(versions.items()))
        parent.texts["study.yaml"] = as_yaml(event.config)
        parent.params = study_params(event.config)
        at = milliseconds(row.written_at)
        limits = {"fid_floor": event.fid_floor, "fid_ceiling": event.fid_ceiling}
        parent.metrics += [(name, value, at, 0) for name, value in finite(limits)]

    def _show_data(self, run: ProjectedRun) -> None:
        """Have the data set as an input of a run, also if it is there without."""
        run.data = self._data
        if run.run_id and not (run.has_data or run.deleted):
            self._touched[run.uid] = run

    def _changed(self, row: Row, event: StudyChanged) -> None:
        parent, before = self._parent(), self._config
        self._config = event.config
        if self._news(parent, row):
            parent.params |= changed_params(before, event.config, event.revision)
            parent.tags["ganstudy.revision"] = str(event.revision)
            parent.texts["study.yaml"] = as_yaml(event.config)

    def _warm(self, row: Row, event: WarmStarted) -> None:
        parent = self._parent()
        if self._news(parent, row):
            parent.tags[key(f"ganstudy.warm_start.{event.source}")] = f"{len(event.trials)} of {event.finished} trials"

    def _proposed(self, row: Row, event: TrialProposed) -> None:
        self._news(self._parent(), row)

    def _planned(self, row: Row, event: RetrainingPlanned) -> None:
        parent = self._parent()
        news = self._news(parent, row)
        if event.group != CONFIRM:
            return
        self._confirmed = True
        if news:
            trials = ", ".join(map(str, event.trials))
            parent.tags["ganstudy.confirmation"] = (
                f"trials {trials}; {event.seeds} seeds; test FIDs of fingerprint {event.test_fingerprint}"
            )
            parent.texts[confirmation.TABLE] = confirmation.table(self._fold.record(live=True))

    def _begun(self, row: Row, trial: TrialRecord) -> None:
        assert self._study is not None, "the first row opens the study"
        config, params = trial.config, trial_params(trial.config, trial.params)
        tags = {"ganstudy.origin": trial.origin}
        name = f"trial-{trial.number:04d}"
        if trial.seed:
            config = config | {"seed": retraining_seed(self._study.config["seed"], trial.seed)}
            params = trial_params(config, trial.params)
            tags = {"ganstudy.seed_index": str(trial.seed), "ganstudy.budget": str(trial.budget)}
            name = f"{trial.group}-{trial.number:04d}-seed-{trial.seed}"
        else:
            for param, value in params.items():
                self._params.setdefault(param, Counter())[value] += 1
        run, folder = self._run_of(trial.id), self._folder.training(*trial.id)
        run.name, run.started, run.words = name, row.written_at, trial_note(trial)
        self._show_data(run)
        run.folders = {SAMPLES: folder / "samples", PROBABILITIES: folder / "histograms"}
        run.images |= {(key, 0): row.written_at for key in KEYS}
        if self._news(run, row):
            run.params = params
            run.texts["config.yaml"] = as_yaml(config)
            run.tags |= {
                "ganstudy.trial": str(trial.number),
                "ganstudy.state": "running",
                NOTE: run.words,
                **tags,
            }

    def _started(self, row: Row, event: AttemptStarted) -> None:
        trial = self._fold.trial(event.id)
        if event.attempt == 1:
            self._begun(row, trial)
        run = self._run_of(event.id)
        run.status = None
        for one in (self._parent(), run):
            if self._news(one, row):
                one.status = RUNNING
                one.tags["ganstudy.state"] = "running"
        if event.attempt > 1 and run.seq == row.seq:
            run.tags["ganstudy.attempt"] = str(event.attempt)
            run.tags |= _order(trial)  # the attempt before may have taken it out of the ranking

    def _reported(self, row: Row, event: Reported) -> None:
        at = milliseconds(row.written_at)
        run = self._run_of(event.id)
        run.images |= {(key, event.kimg): row.written_at for key in KEYS}
        run.captions[event.kimg] = f"{event.kimg} kimg, FID {number(event.metrics['fid'])}"
        if self._news(run, row):
            assert self._study is not None, "the first row opens the study"
            held = trial_resources(self._study.config, self._study.versions)
            values = {IMAGES: float(self._count)} if self._count else {}
            values |= event.metrics | dict(device_seconds(held, event.metrics))
            named = sorted(finite(values), key=lambda pair: first_read(pair[0]))
            run.metrics += [(name, value, at, event.kimg) for name, value in named]
            run.tags |= _order(self._fold.trial(event.id))
        if not event.seed:
            self._look_for_best(row, FidEstimate.of(event.kimg, event.metrics))

    @property
    def _count(self) -> int:
        """How many images an FID is of whose report does not say; 0 if the study does not either."""
        return int(self._config.get("evaluation", {}).get("count", 0))

    def _look_for_best(self, row: Row, evaluated: FidEstimate) -> None:
        """FIDs of different numbers of images do not compare, so each number has a best of its own."""
        images = evaluated.images or self._count
        if evaluated.fid < self._best.get(images, math.inf):
            self._best[images] = evaluated.fid
            parent = self._parent()
            if self._news(parent, row):
                kimg = sum(one.kimg for one in self._fold.record(live=True).trials)
                parent.metrics.append((best_name(images), evaluated.fid, milliseconds(row.written_at), kimg))

    def _ended(self, row: Row, event: Ended) -> None:
        parent, run, trial = self._parent(), self._run_of(event.id), self._fold.trial(event.id)
        ended_once = self._ended_once[bool(event.seed)]
        run.status, run.ended = STATUS[event.state], row.written_at
        news = self._news(run, row)
        if news:
            run.metrics += test_points(row, event)
            run.tags["ganstudy.state"] = event.state
            run.tags |= _order(trial)
            where = {"chosen_kimg": event.chosen} if event.seed else {"rung": event.rung}
            told: dict[str, int | str | None] = {**where, "cause": event.cause}
            again = event.id in ended_once
            for name, value in told.items():
                if value is not None or again:  # an empty one replaces that of an earlier attempt
                    run.tags[f"ganstudy.{name}"] = "" if value is None else str(value)
        elif run.status != run.sent_status:  # the last projection ended between the values and the status
            self._touched[run.uid] = run
        if not event.seed and trial.state not in UNRANKED and (news or not (run.has_model or run.deleted)):
            run.model = _model(trial)
            self._touched[run.uid] = run
        ended_once.add(event.id)
        if self._news(parent, row) and event.seed and self._confirmed:
            study = self._fold.record(live=True)
            parent.texts[confirmation.TABLE] = confirmation.table(study)
            parent.metrics += confirmation.points(study, row.written_at)


def _order(trial: TrialRecord) -> dict[str, str]:
    """The tag that ranks a trial on the leaderboard; none of a retraining, which is not on it."""
    if trial.seed or trial.fid_best is None:
        return {}
    return {ORDER: order(trial.kimg, trial.fid_best, ranked=trial.state not in UNRANKED)}


def _model(trial: TrialRecord) -> TrialModel | None:
    """The generator of its best FID; None if it has not reported."""
    best = best_of(trial.reports)
    if best is None:
        return None
    points = [(name, value, milliseconds(best.written_at), best.kimg) for name, value in finite(best.metrics)]
    note = (
        f"The generator of trial {trial.number} at {best.kimg} kimg, where its FID is best: its configuration and its "
        "metrics. Its weights are in the study's folder; `ganstudy promote` registers a generator with them."
    )
    return TrialModel(f"trial-{trial.number:04d}", note, trial_params(trial.config, trial.params), best.kimg, points)


def best_name(images: int) -> str:
    """Return the study's metric of the best FID so far among those of so many images."""
    return f"best_fid_of_{images}_images" if images else "best_fid"


def child_name(id: TrialId) -> str:
    """Return the end of the uid of a training's run, of one part: what comes before it is the study's."""
    return f"confirm-{id.budget}-{id.trial}-{id.seed}" if id.seed else str(id.trial)


def test_points(row: Row, event: Ended) -> list[tuple[str, float, int, int]]:
    """Return the test metrics as points (name, value, milliseconds, step) at the kimg of the generator evaluated."""
    named = {f"test_{name}": value for name, value in (event.test or {}).items()}
    return [(name, value, milliseconds(row.written_at), event.chosen or 0) for name, value in finite(named)]
