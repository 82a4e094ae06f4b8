"""MLflow as a projection of the ledger: a run for the study, a child run per trial, rebuilt at any time.

How it stays exact. Each run carries its own watermark, the tag `ganstudy.seq`: rows up to it are in the
run. Points have the time of their row, so MLflow drops those it has; images have names that are a function
of trial and step; runs are found by the tag `ganstudy.uid`. After any error the projection forgets what it
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
from study.ledger.events import AttemptStarted, Ended, Reported, StudyChanged, StudyOpened, TrialProposed, WarmStarted
from study.ledger.rows import Row
from study.mlflow.confirmation import ConfirmationRuns, Hooks
from study.mlflow.experiment import made_experiment, single_runs
from study.mlflow.files import as_yaml, log_file, study_params, trial_params
from study.mlflow.images import KEYS, PROBABILITIES, SAMPLES
from study.mlflow.note import trial_note
from study.mlflow.page import STATUS as STUDY_STATUS
from study.mlflow.page import FinalStatus, StudyPage
from study.mlflow.runs import DIGESTS, NOTE, PARENT, RUNNING, Counts, ProjectedRun
from study.mlflow.store import artifact_location, display_uri, experiment_name, open_store, resolve_uri
from study.mlflow.values import finite, key, milliseconds
from study.mlflow.view import ORDER, leaderboard, order, save_view, view_id
from study.running.trial_resources import device_seconds, trial_resources
from trainables.errors import GanStudyError
from trainables.evaluation.image_counts import FidEstimate, best_of

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

STATUS = {"completed": "FINISHED", "stopped": "FINISHED", "diverged": "FINISHED", "failed": "FAILED"}
"""MLflow's status of an ended trial: FINISHED also where it gave up, as KILLED is shown as a failure."""


@dataclass(frozen=True)
class Finish:
    """What is known at the end of a launch: status, and files for the parent run (paths, or texts)."""

    status: FinalStatus
    artifacts: Mapping[str, Path | str] = field(default_factory=dict)


@dataclass
class _Fold:
    """The study as the rows so far tell it, only as far as the parent run needs it."""

    opened: StudyOpened | None = None
    opened_at: float = 0.0
    last_at: float = 0.0
    proposed: dict[int, TrialProposed] = field(default_factory=dict)  # and not started: in MLflow there is no run yet
    kimg: dict[int, int] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    order: dict[int, tuple[int, float]] = field(default_factory=dict)  # kimg of the last report, best FID up to there
    bests: dict[int, FidEstimate] = field(default_factory=dict)  # by trial
    ended: set[int] = field(default_factory=set)  # at least once
    best: FidEstimate | None = None
    param_names: set[str] = field(default_factory=set)


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
        }
        self.reset()

    @property
    def opened(self) -> bool:
        """Whether the store is there, and its runs are known once rows were projected."""
        return self._client is not None

    @property
    def position(self) -> int:
        """The last `seq` taken, 0 for none; the next rows to `project` are those after it."""
        return self._position

    @property
    def running_id(self) -> str | None:
        """MLflow's id of the study's run, if that is running."""
        opened = self._fold.opened
        parent = self._runs.get(opened.uid) if opened else None
        return parent.run_id if parent and parent.sent_status == RUNNING else None

    def reset(self) -> None:
        """Forget the store and the rows: what to do after any error."""
        self._client: MlflowClient | None = None
        self._experiment_id: str | None = None
        self._position = 0
        self._runs: dict[str, ProjectedRun] = {}
        self._touched: dict[str, ProjectedRun] = {}
        self._fold = _Fold()
        self._page = page = StudyPage()
        self._confirmation = ConfirmationRuns(
            Hooks(self._folder, lambda: page.rows, self._parent, self._child, self._news, self._touch)
        )
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
        active = {run.run_id for run in self._runs.values() if not run.deleted}
        for uid, found in self._runs.items():
            found.forget_broken_note(active)
            parent = self._runs.get(uid.rpartition("/")[0])
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
        mine = (run.sent_seq for uid, run in self._runs.items() if uid.partition("/")[0] == first.uid)
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
            ending: whether `finish` follows at once, which writes the description, so that it need not be now.

        Raises:
            Exception: whatever MLflow raised; the projection has been reset.
        """
        try:
            for row in rows:
                if self._experiment_id is None and isinstance(row.event, StudyOpened):
                    self.attach(row.event.uid)
                if row.seq <= self._position:
                    continue
                self._page.take(row)
                handle = self._handlers.get(type(row.event)) or self._confirmation.handlers.get(type(row.event))
                if handle is not None:
                    handle(row, row.event)
                if isinstance(row.event, StudyChanged | AttemptStarted | Ended):
                    self._confirmation.go_on(row)
                self._fold.last_at = row.written_at
                self._position = row.seq
            self._flush(page=not ending)
            self._searched_now = False
        except BaseException:
            self.reset()
            raise

    def finish(self, finish: Finish) -> None:
        """Close the parent run after the last row: status, files, best trial. Sends images that came late.

        An interrupted study's unfinished trials are marked `interrupted`; a resume marks them running again.

        Raises:
            Exception: whatever MLflow raised; the projection has been reset, so project all rows again first.
        """
        try:
            self._finish(finish)
        except BaseException:
            self.reset()
            raise

    def _finish(self, finish: Finish) -> None:
        if self._fold.opened is None:
            return
        parent = self._parent()
        unfinished = [trial for trial, state in self._fold.states.items() if state == "running"]
        for trial in unfinished if finish.status != "finished" else ():
            run = self._trial(trial)
            run.status, run.ended = "KILLED", self._fold.last_at
            run.tags["ganstudy.state"] = "interrupted"
        self._confirmation.interrupt(self._fold.last_at)
        self._touched.update({uid: run for uid, run in self._runs.items() if run.images or run.tags})
        self._touched[parent.uid] = parent
        self._flush(page=False)
        assert self._client is not None
        digests = {path: log_file(self._client, parent, path, file) for path, file in finish.artifacts.items()}
        if not digests.items() <= parent.digests.items():
            parent.digests |= digests
            parent.tags[DIGESTS] = json.dumps(parent.digests)
        failed = finish.status == "interrupted" and parent.sent_status == STUDY_STATUS["failed"]
        final: FinalStatus = "failed" if failed else finish.status  # an error stays one until something runs again
        parent.status, parent.ended = STUDY_STATUS[final], self._fold.last_at
        parent.tags["ganstudy.state"] = final
        self._touched[parent.uid] = parent
        self._flush(page=True, final=final)

    # Sending

    def _flush(self, page: bool, final: FinalStatus | None = None) -> None:
        opened = self._fold.opened
        if opened is None:
            return
        client, experiment_id = self._client, self._experiment_id
        assert client is not None
        assert experiment_id is not None
        parent = self._parent()
        self._confirmation.settle()
        if parent.uid in self._touched:
            self._summarise(parent)
        birth = {"ganstudy.study": opened.uid, "mlflow.source.name": "ganstudy"}
        study = {**birth, "ganstudy.kind": "study"}
        made = parent.exist(client, experiment_id, study)
        self.counts += made
        if made.runs:  # the trials' runs may take a while: until then it is not to stand there bare
            self.counts += parent.flush(client, experiment_id, study)
        birth |= {PARENT: parent.run_id}
        for run in sorted(self._touched.values(), key=lambda run: run.started):
            if run is not parent:
                self.counts += run.flush(client, experiment_id, {**birth, "ganstudy.kind": run.kind})
        saved = self._save_view(client, experiment_id, opened)
        if page and not parent.deleted:
            self._page.write(client, experiment_id, saved, parent, self._link_of, final)
        self.counts += parent.flush(client, experiment_id, study)  # the last: its page tells of the others
        self._touched.clear()

    def _link_of(self, trial: int) -> str:
        run = self._trial(trial)
        return "" if run.deleted else run.run_id

    def _summarise(self, parent: ProjectedRun) -> None:
        counts = Counter(self._fold.states.values())
        parent.tags["ganstudy.trials"] = str(len(self._fold.states))
        parent.tags.update({f"ganstudy.trials.{state}": str(counts[state]) for state in STATUS})

    def _save_view(self, client: "MlflowClient", experiment_id: str, opened: StudyOpened) -> bool:
        """Save the leaderboard; tell whether the server takes it. Without it addresses filter and sort themselves."""
        view = leaderboard(opened.uid, self._name, milliseconds(self._fold.opened_at), self._fold.param_names)
        if view != self._view:
            self._view_saved = save_view(client, experiment_id, view_id(opened.uid), view)
            self._view = view
        return self._view_saved

    # The rows

    def _run(self, uid: str) -> ProjectedRun:
        return self._runs.setdefault(uid, ProjectedRun(uid, look_first=not self._searched_now))

    def _parent(self) -> ProjectedRun:
        assert self._fold.opened is not None, "the first row opens the study"
        return self._run(self._fold.opened.uid)

    def _trial(self, number: int) -> ProjectedRun:
        return self._child(str(number))

    def _child(self, name: str) -> ProjectedRun:
        assert self._fold.opened is not None, "the first row opens the study"
        return self._run(f"{self._fold.opened.uid}/{name}")

    def _touch(self, run: ProjectedRun) -> None:
        self._touched[run.uid] = run

    def _news(self, run: ProjectedRun, row: Row) -> bool:
        if run is self._parent():
            self._page.tell()
        news = run.is_news(row.seq)
        if news:
            self._touched[run.uid] = run
        return news

    def _opened(self, row: Row, event: StudyOpened) -> None:
        self._fold.opened, self._fold.opened_at = event, row.written_at
        parent = self._parent()
        parent.name, parent.started = self._name, row.written_at
        if not self._news(parent, row):
            return
        parent.tags |= {"ganstudy.state": "running", "ganstudy.fingerprint": event.fingerprint}
        versions = {name: text for name, text in event.versions.items() if isinstance(text, str)}
        parent.tags |= {key(f"ganstudy.version.{name}"): text for name, text in versions.items()}
        parent.texts["study.yaml"] = as_yaml(event.config)
        parent.params = study_params(event.config)
        at = milliseconds(row.written_at)
        limits = {"fid_floor": event.fid_floor, "fid_ceiling": event.fid_ceiling}
        parent.metrics += [(name, value, at, 0) for name, value in finite(limits)]

    def _changed(self, row: Row, event: StudyChanged) -> None:
        parent = self._parent()
        if self._news(parent, row):
            parent.tags["ganstudy.revision"] = str(event.revision)
            parent.texts["study.yaml"] = as_yaml(event.config)

    def _warm(self, row: Row, event: WarmStarted) -> None:
        parent = self._parent()
        if self._news(parent, row):
            parent.tags[key(f"ganstudy.warm_start.{event.source}")] = f"{len(event.trials)} of {event.finished} trials"

    def _proposed(self, row: Row, event: TrialProposed) -> None:
        self._news(self._parent(), row)
        self._fold.proposed[event.trial] = event

    def _begun(self, row: Row, event: TrialProposed) -> None:
        params = trial_params(event)
        self._fold.states[event.trial] = "running"
        self._fold.param_names.update(params)
        run = self._trial(event.trial)
        run.name, run.started = f"trial-{event.trial:04d}", row.written_at
        run.folders = {
            SAMPLES: self._folder.samples(event.trial),
            PROBABILITIES: self._folder.histograms(event.trial),
        }
        run.images |= {(key, 0): row.written_at for key in KEYS}
        if self._news(run, row):
            run.params = params
            run.texts["config.yaml"] = as_yaml(event.config)
            run.tags |= {
                "ganstudy.trial": str(event.trial),
                "ganstudy.origin": event.origin,
                "ganstudy.state": "running",
                NOTE: trial_note(event),
            }

    def _started(self, row: Row, event: AttemptStarted) -> None:
        if proposed := self._fold.proposed.pop(event.trial, None):
            self._begun(row, proposed)
        self._fold.states[event.trial] = "running"
        run = self._trial(event.trial)
        run.status = None
        for one in (self._parent(), run):
            if self._news(one, row):
                one.status = RUNNING
                one.tags["ganstudy.state"] = "running"
        if event.attempt > 1 and run.seq == row.seq:
            run.tags["ganstudy.attempt"] = str(event.attempt)
            if place := self._fold.order.get(event.trial):  # the attempt before may have taken it out of the ranking
                run.tags[ORDER] = order(*place)

    def _reported(self, row: Row, event: Reported) -> None:
        at = milliseconds(row.written_at)
        run = self._trial(event.trial)
        run.images |= {(key, event.kimg): row.written_at for key in KEYS}
        opened = self._fold.opened
        assert opened is not None, "the first row opens the study"
        judged = FidEstimate.of(event.kimg, event.metrics)
        best = self._fold.bests[event.trial] = best_of([self._fold.bests.get(event.trial, judged), judged]) or judged
        place = self._fold.order[event.trial] = event.kimg, best.fid
        if self._news(run, row):
            held = trial_resources(opened.config, opened.versions)
            values = event.metrics | dict(device_seconds(held, event.metrics))
            run.metrics += [(name, value, at, event.kimg) for name, value in finite(values)]
            run.tags[ORDER] = order(*place)
        self._fold.kimg[event.trial] = max(event.kimg, self._fold.kimg.get(event.trial, 0))
        before = self._fold.best or FidEstimate(0, math.inf)
        if best_of([before, judged]) is judged and (judged.fid, judged.images) != (before.fid, before.images):
            self._fold.best = judged
            parent = self._parent()
            if self._news(parent, row):
                parent.metrics.append(("best_fid", judged.fid, at, sum(self._fold.kimg.values())))

    def _ended(self, row: Row, event: Ended) -> None:
        self._fold.states[event.trial] = event.state
        self._news(self._parent(), row)
        run = self._trial(event.trial)
        run.status, run.ended = STATUS[event.state], row.written_at
        if self._news(run, row):
            run.tags["ganstudy.state"] = event.state
            if place := self._fold.order.get(event.trial):
                run.tags[ORDER] = order(*place, ranked=event.state not in UNRANKED)
            again = event.trial in self._fold.ended
            for name, value in (("ganstudy.rung", event.rung), ("ganstudy.cause", event.cause)):
                if value is not None or again:  # an empty one replaces that of an earlier attempt
                    run.tags[name] = "" if value is None else str(value)
        elif run.status != run.sent_status:  # the last projection ended between the values and the status
            self._touched[run.uid] = run
        self._fold.ended.add(event.trial)
        self._page.count_ended(len(self._fold.ended))
