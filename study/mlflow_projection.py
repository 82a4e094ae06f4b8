"""MLflow as a projection of the ledger: a run for the study, a child run per trial, rebuilt at any time.

How it stays exact. Each run carries its own watermark, the tag `ganstudy.seq`: rows up to it are in the
run. Points have the time of their row, so MLflow drops those it has; images have names that are a function
of trial and step; runs are found by the tag `ganstudy.uid`. After any error the projection forgets what it
knew: the next call searches the runs and takes the rows from the first one again, skipping what is there.
So it makes no difference whether a server was slow, restarted, replaced by an empty one, or written to by
two processes.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import yaml

from study.events import AttemptStarted, Ended, Reported, StudyChanged, StudyOpened, TrialProposed
from study.folder import StudyFolder
from study.ledger_rows import Row
from study.mlflow_images import KEYS, PROBABILITIES, SAMPLES
from study.mlflow_runs import PARENT, RUNNING, UID, Counts, ProjectedRun
from study.mlflow_store import artifact_location, experiment_name, open_client, redact, resolve_uri
from study.mlflow_values import finite, flatten, key, milliseconds
from study.mlflow_view import TAG_PREFIX, leaderboard, view_id

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

STATUS = {"completed": "FINISHED", "stopped": "FINISHED", "diverged": "FINISHED", "failed": "FAILED"}
"""MLflow's status of an ended trial: FINISHED also where it gave up, as KILLED is shown as a failure."""

FinalStatus = Literal["finished", "interrupted", "failed"]
_FINAL: dict[FinalStatus, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}

_PAGE = 500  # runs in one answer of a search
_DUPLICATE = "/duplicate"
_TEXT = frozenset({".yaml", ".yml", ".json", ".txt", ".md"})  # may hold an address with a password
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finish:
    """What is known at the end of a study: status, files for the parent run, the best trial and its FID."""

    status: FinalStatus
    artifacts: Mapping[str, Path | str] = field(default_factory=dict)
    best: tuple[int, float] | None = None


@dataclass
class _Fold:
    """The study as the rows so far tell it, only as far as the parent run needs it."""

    opened: StudyOpened | None = None
    opened_at: float = 0.0
    last_at: float = 0.0
    kimg: dict[int, int] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)  # at least once
    best: tuple[int, float] | None = None
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
        self._client: MlflowClient | None = None
        self._handlers: dict[type, Callable[[Row, Any], None]] = {
            StudyOpened: self._opened,
            StudyChanged: self._changed,
            TrialProposed: self._proposed,
            AttemptStarted: self._started,
            Reported: self._reported,
            Ended: self._ended,
        }
        self.reset()

    @property
    def attached(self) -> bool:
        """Whether the store's runs are known."""
        return self._experiment_id is not None

    @property
    def position(self) -> int:
        """The last `seq` taken, 0 for none; the next rows to `project` are those after it."""
        return self._position

    def reset(self) -> None:
        """Forget the store and the rows: what to do after any error."""
        self._experiment_id: str | None = None
        self._position = 0
        self._runs: dict[str, ProjectedRun] = {}
        self._touched: dict[str, ProjectedRun] = {}
        self._fold = _Fold()
        self._view = ""

    def attach(self) -> None:
        """Open the store, make or restore the experiment, and find all runs with one search.

        Of two runs with one uid (two processes at once) the one with the smaller id stays, whoever looks.
        """
        self.reset()
        if self._client is None:
            if self.uri.startswith("sqlite:"):
                self._folder.path.mkdir(parents=True, exist_ok=True)
            self._client = open_client(self.uri)
        experiment_id = self._experiment(self._client)
        for run in self._search(self._client, experiment_id):
            uid = run.data.tags.get(UID, "")
            if uid in self._runs or uid.endswith(_DUPLICATE):
                self._remove_duplicate(self._client, run, uid)
            elif uid:
                self._runs[uid] = ProjectedRun.found(run)
        for uid, found in self._runs.items():
            parent = self._runs.get(uid.rpartition("/")[0])
            if parent and not found.deleted and found.parent_id != parent.run_id:  # it was the removed one's
                self._client.set_tag(found.run_id, PARENT, parent.run_id, synchronous=True)
        self._experiment_id = experiment_id

    def project(self, rows: Sequence[Row]) -> None:
        """Take rows, in order; rows already taken are skipped. After an exception call again with all rows.

        Raises:
            Exception: whatever MLflow raised; the projection has been reset.
        """
        try:
            if not self.attached:
                self.attach()
            for row in rows:
                if row.seq <= self._position:
                    continue
                handle = self._handlers.get(type(row.event))
                if handle is not None:
                    handle(row, row.event)
                self._fold.last_at = row.written_at
                self._position = row.seq
            self._flush()
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
        for trial in unfinished if finish.status == "interrupted" else ():
            run = self._trial(trial)
            run.status, run.ended = "KILLED", self._fold.last_at
            run.tags["ganstudy.state"] = "interrupted"
        self._touched.update({uid: run for uid, run in self._runs.items() if run.images or run.tags})
        self._touched[parent.uid] = parent
        self._flush(best=finish.best)
        assert self._client is not None
        for path, content in finish.artifacts.items():
            _log_file(self._client, parent.run_id, path, content)
        parent.status, parent.ended = _FINAL[finish.status], self._fold.last_at
        parent.tags["ganstudy.state"] = finish.status
        self._touched[parent.uid] = parent
        self._flush(best=finish.best)

    # The store

    def _experiment(self, client: "MlflowClient") -> str:
        from mlflow.exceptions import MlflowException

        name = experiment_name(self._name)
        found = client.get_experiment_by_name(name)
        if found is None:
            # The kind whose page opens on runs and charts, not on traces of language models.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            try:
                return client.create_experiment(name, artifact_location(self.uri, self._folder), tags)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)
                assert found is not None
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
            _log.warning("MLflow experiment %s had been deleted: restored it", name)
        return found.experiment_id

    def _search(self, client: "MlflowClient", experiment_id: str) -> "list[Run]":
        from mlflow.entities import ViewType

        runs: list[Run] = []
        token: str | None = None
        while True:
            page = client.search_runs([experiment_id], "", ViewType.ALL, _PAGE, None, token)
            runs.extend(page)
            token = page.token
            if not token:
                return sorted(runs, key=lambda run: (run.info.lifecycle_stage == "deleted", run.info.run_id))

    def _remove_duplicate(self, client: "MlflowClient", run: "Run", uid: str) -> None:
        if run.info.lifecycle_stage == "deleted":
            return
        client.set_tag(run.info.run_id, UID, uid.removesuffix(_DUPLICATE) + _DUPLICATE, synchronous=True)
        client.delete_run(run.info.run_id)
        _log.warning("MLflow had a second run for %s: deleted %s", uid, run.info.run_id)

    def _flush(self, best: tuple[int, float] | None = None) -> None:
        opened = self._fold.opened
        if opened is None:
            return
        assert self._client is not None
        assert self._experiment_id is not None
        parent = self._parent()
        if parent.uid in self._touched:
            self._summarise(parent, best)
        birth = {"ganstudy.study": opened.uid, "mlflow.source.name": "ganstudy"}
        self.counts += parent.flush(self._client, self._experiment_id, {**birth, "ganstudy.kind": "study"})
        birth |= {"ganstudy.kind": "trial", PARENT: parent.run_id}
        for run in sorted(self._touched.values(), key=lambda run: run.started):
            if run is not parent:
                self.counts += run.flush(self._client, self._experiment_id, birth)
        self._touched.clear()
        self._save_view(self._client, self._experiment_id, opened)

    def _summarise(self, parent: ProjectedRun, best: tuple[int, float] | None) -> None:
        counts = Counter(self._fold.states.values())
        parent.tags["ganstudy.trials"] = str(len(self._fold.states))
        parent.tags.update({f"ganstudy.trials.{state}": str(counts[state]) for state in STATUS})
        if best := best or self._fold.best:
            parent.tags |= {"ganstudy.best_trial": str(best[0]), "ganstudy.best_fid": f"{best[1]:.6g}"}

    def _save_view(self, client: "MlflowClient", experiment_id: str, opened: StudyOpened) -> None:
        view = leaderboard(opened.uid, self._name, milliseconds(self._fold.opened_at), self._fold.param_names)
        if view != self._view:
            client.set_experiment_tag(experiment_id, TAG_PREFIX + view_id(opened.uid), view)
            self._view = view

    # The rows

    def _run(self, uid: str) -> ProjectedRun:
        return self._runs.setdefault(uid, ProjectedRun(uid))

    def _parent(self) -> ProjectedRun:
        assert self._fold.opened is not None, "the first row opens the study"
        return self._run(self._fold.opened.uid)

    def _trial(self, number: int) -> ProjectedRun:
        assert self._fold.opened is not None, "the first row opens the study"
        return self._run(f"{self._fold.opened.uid}/{number}")

    def _news(self, run: ProjectedRun, row: Row) -> bool:
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
        versions = event.versions.items()
        parent.tags |= {key(f"ganstudy.version.{name}"): str(version) for name, version in versions}
        parent.texts["study.yaml"] = _yaml(event.config)
        at = milliseconds(row.written_at)
        limits = {"fid_floor": event.fid_floor, "fid_ceiling": event.fid_ceiling}
        parent.metrics += [(name, value, at, 0) for name, value in finite(limits)]

    def _changed(self, row: Row, event: StudyChanged) -> None:
        parent = self._parent()
        if self._news(parent, row):
            parent.tags["ganstudy.revision"] = str(event.revision)
            parent.texts["study.yaml"] = _yaml(event.config)

    def _proposed(self, row: Row, event: TrialProposed) -> None:
        params = flatten(event.config)
        self._fold.states[event.trial] = "running"
        self._fold.param_names.update(params)
        self._news(self._parent(), row)
        run = self._trial(event.trial)
        run.name, run.started = f"trial-{event.trial:04d}", row.written_at
        run.folders = {
            SAMPLES: self._folder.samples(event.trial),
            PROBABILITIES: self._folder.histograms(event.trial),
        }
        run.images |= {(key, 0): row.written_at for key in KEYS}
        if self._news(run, row):
            run.params = params
            run.tags |= {
                "ganstudy.trial": str(event.trial),
                "ganstudy.origin": event.origin,
                "ganstudy.state": "running",
            }

    def _started(self, row: Row, event: AttemptStarted) -> None:
        self._fold.states[event.trial] = "running"
        run = self._trial(event.trial)
        run.status = None
        for one in (self._parent(), run):
            if self._news(one, row):
                one.status = RUNNING
                one.tags["ganstudy.state"] = "running"
        if event.attempt > 1 and run.seq == row.seq:
            run.tags["ganstudy.attempt"] = str(event.attempt)

    def _reported(self, row: Row, event: Reported) -> None:
        at = milliseconds(row.written_at)
        run = self._trial(event.trial)
        run.images |= {(key, event.kimg): row.written_at for key in KEYS}
        if self._news(run, row):
            run.metrics += [(name, value, at, event.kimg) for name, value in finite(event.metrics)]
        self._fold.kimg[event.trial] = max(event.kimg, self._fold.kimg.get(event.trial, 0))
        fid = event.metrics.get("fid", math.nan)
        if math.isfinite(fid) and (self._fold.best is None or fid < self._fold.best[1]):
            self._fold.best = (event.trial, fid)
            parent = self._parent()
            if self._news(parent, row):
                parent.metrics.append(("best_fid", fid, at, sum(self._fold.kimg.values())))

    def _ended(self, row: Row, event: Ended) -> None:
        self._fold.states[event.trial] = event.state
        self._news(self._parent(), row)
        run = self._trial(event.trial)
        run.status, run.ended = STATUS[event.state], row.written_at
        if self._news(run, row):
            run.tags["ganstudy.state"] = event.state
            again = event.trial in self._fold.ended
            for name, value in (("ganstudy.rung", event.rung), ("ganstudy.cause", event.cause)):
                if value is not None or again:  # an empty one replaces that of an earlier attempt
                    run.tags[name] = "" if value is None else str(value)
        elif run.status != run.sent_status:  # the last projection ended between the values and the status
            self._touched[run.uid] = run
        self._fold.ended.add(event.trial)


def _yaml(config: Mapping[str, Any]) -> str:
    return redact(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def _log_file(client: "MlflowClient", run_id: str, path: str, content: Path | str) -> None:
    target = PurePosixPath(path)
    with TemporaryDirectory(prefix="ganstudy-") as folder:
        copy = Path(folder) / target.name
        if isinstance(content, str):
            copy.write_text(redact(content), encoding="utf-8")
        elif content.suffix in _TEXT:
            copy.write_text(redact(content.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            copyfile(content, copy)
        within = str(target.parent)
        client.log_artifact(run_id, str(copy), None if within == "." else within)
