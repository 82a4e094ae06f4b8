"""Compares MLflow with the ledger: one run for each trial and retraining, with the ledger's points, each once.

A trial's run has the study's data set, and if the trial ended with a generator one model.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.analysis.ranking import UNRANKED
from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Ended, Reported, TrialId
from study.ledger.records import StudyRecord, fold
from study.ledger.rows import Row
from study.mlflow.database import check_database
from study.mlflow.experiment import runs_anywhere
from study.mlflow.models import models_of
from study.mlflow.private import history_reader
from study.mlflow.projection import child_name, test_points
from study.mlflow.store import display_uri, one_line, open_client, resolve_uri
from study.mlflow.tags import UID, known, of_earlier_version, row_of
from study.mlflow.values import finite, milliseconds
from study.study_file.addresses import database_file
from study.verify.check import Discrepancy
from study.verify.retrainings import name_of
from trainables.errors import GanStudyError

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_RUNS_PER_READ = 100
_READERS = 8  # calls at a time to a server
_MANY = 10_000_000

Point = tuple[str, float, int, int]
"""Metric, value, milliseconds, step."""


@dataclass(frozen=True)
class _Stored:
    """What MLflow holds of this study."""

    runs: "dict[str, list[Run]]"  # by uid
    experiments: dict[str, str]  # their names, by id
    points: dict[str, Counter[Point]]  # by run
    models: Counter[str]  # by run


def check_mlflow(
    folder: StudyFolder, study: StudyRecord, read: Callable[[], Sequence[Row]], live: bool, counts: Counter[str]
) -> str | None:
    """Compare what MLflow holds with the ledger.

    A study that is running or interrupted may be ahead of MLflow; one that has ended must be there completely. Its runs
    are found by their tags, so that two experiments with a run of one trial do not go unnoticed.

    Args:
        folder: the study's.
        study: the study, as known before MLflow is read.
        read: reads the ledger again, after MLflow was read, so that MLflow is never ahead.
        live: whether a driver runs the study.
        counts: what was checked.

    Returns:
        A note: MLflow cannot be reached, or is behind.

    Raises:
        Discrepancy: at the first run or point that is missing, twice there, or not the ledger's.
    """
    uri = resolve_uri(study.config["mlflow"]["uri"], folder)
    file = database_file(uri)
    if file is not None and not file.exists():
        if _has_ended(study, live) or (file == folder.mlflow_db and folder.mlflow_artifacts.exists()):
            raise Discrepancy(f"there is no MLflow store at {file}; `ganstudy sync {folder.name}` makes it")
        return f"not checked: there is no MLflow store at {file} yet; `ganstudy sync {folder.name}` makes it"
    names = sorted({name for row in read() for name, *_ in _points(row)})
    try:
        check_database(uri, f"`ganstudy sync {folder.name}` makes it anew")
        stored = _read(open_client(uri), study.uid, names)
    except GanStudyError as error:
        raise Discrepancy(str(error)) from error
    except Exception as error:  # of whatever MLflow is built on
        if file is not None:
            raise Discrepancy(f"MLflow at {file}: cannot be read: {one_line(error)}") from error
        return f"not checked: MLflow at {display_uri(uri)} cannot be reached: {one_line(error)}"
    if any(of_earlier_version(run.data.tags) for found in stored.runs.values() for run in found):
        return f"not checked: an earlier ganstudy wrote MLflow's runs; `ganstudy sync {folder.name}` writes them anew"
    rows = read()
    return _Comparison(folder.name, fold(rows, live), rows, stored, live, counts).run()


def _has_ended(study: StudyRecord, live: bool) -> bool:
    confirming = any(r.unfinished or r.retried for r in study.confirmation.retrainings)
    return study.complete and not live and not confirming


class _Comparison:
    def __init__(
        self, name: str, study: StudyRecord, rows: Sequence[Row], stored: _Stored, live: bool, counts: Counter[str]
    ) -> None:
        self._study = study
        self._head = rows[-1].seq
        self._rows = defaultdict[TrialId, list[Row]](list)
        for row in rows:
            if isinstance(row.event, AttemptStarted | Reported | Ended):
                self._rows[row.event.id].append(row)
        self._stored = stored
        self._counts = counts
        self._complete = _has_ended(study, live)
        self._sync = f"`ganstudy sync {name}` brings it"
        self._behind = Counter[str]()

    def run(self) -> str | None:
        there = [trial.number for trial in self._study.trials if self._uid(trial.id) in self._stored.runs]
        parent = self._only(self._study.uid, "the study", missing_is_wrong=self._complete or bool(there))
        if parent is not None:
            self._watermark(parent, "the study")
        self._check_strangers()
        for trial in self._study.trials:
            what = f"trial {trial.number}"
            missing_is_wrong = self._complete or trial.number < max(there, default=-1)
            self._check_child(trial.id, what, missing_is_wrong)
        for retraining in self._study.retrainings:
            self._check_child(retraining.id, name_of(retraining), missing_is_wrong=self._complete)
        lacking = ", ".join(f"{n:,} {what}" for what, n in self._behind.items() if n)
        return f"MLflow is behind by {lacking}; {self._sync}" if lacking else None

    def _uid(self, id: TrialId) -> str:
        return f"{self._study.uid}/{child_name(id)}"

    def _check_strangers(self) -> None:
        trainings = (*self._study.trials, *self._study.retrainings)
        known = {self._study.uid, *(self._uid(training.id) for training in trainings)}
        for uid, runs in self._stored.runs.items():
            for run in runs:
                if uid not in known and run.info.lifecycle_stage != "deleted":
                    raise Discrepancy(
                        f"MLflow run {run.info.run_id} ({uid}): is of no trial in the ledger, or a second"
                    )

    def _only(self, uid: str, what: str, missing_is_wrong: bool) -> "Run | None":
        """Return the run of `uid`, None if it may yet come."""
        runs = self._stored.runs.get(uid, [])
        active = [run for run in runs if run.info.lifecycle_stage != "deleted"]
        if len(active) > 1:
            ids = ", ".join(run.info.run_id for run in active)
            raise Discrepancy(f"{what} has {len(active)} MLflow runs: {ids}{self._apart(active)}")
        if active:
            self._counts["runs"] += 1
            return active[0]
        if runs:
            raise Discrepancy(f"the MLflow run of {what}, {runs[0].info.run_id}, was deleted; restore it in MLflow")
        if missing_is_wrong:
            raise Discrepancy(f"{what} has no MLflow run; {self._sync}")
        self._behind["runs"] += 1
        return None

    def _apart(self, runs: "Sequence[Run]") -> str:
        """Where the runs lie, if not all in one experiment."""
        names = sorted({self._stored.experiments[run.info.experiment_id] for run in runs})
        if len(names) < 2:
            return ""
        return f" in the experiments {' and '.join(map(repr, names))}; delete the one that is not to stay"

    def _watermark(self, run: "Run", what: str) -> int:
        mark = max(row_of(run.data.tags), 0)
        if mark > self._head:
            raise Discrepancy(
                f"{what} has row {mark} in MLflow run {run.info.run_id}, and the ledger ends at row {self._head}"
            )
        return mark

    def _check_child(self, id: TrialId, what: str, missing_is_wrong: bool) -> None:
        run = self._only(self._uid(id), what, missing_is_wrong)
        if run is None:
            self._behind["points"] += sum(len(_points(row)) for row in self._rows[id])
        else:
            self._compare(id, what, run)

    def _compare(self, id: TrialId, what: str, run: "Run") -> None:
        where = f"{what}, MLflow run {run.info.run_id}"
        mark = self._watermark(run, what)
        found = self._stored.points[run.info.run_id].copy()
        state = None
        for row in self._rows[id]:
            missing = Counter(_points(row))
            self._counts["points"] += (missing & found).total()
            missing, found = missing - found, found - missing
            if missing and (row.seq <= mark or self._complete):
                advice = "" if row.seq <= mark else f"; {self._sync}"
                raise Discrepancy(f"{where}: lacks {_shown(min(missing))}{advice}")
            self._behind["points"] += missing.total()
            if isinstance(row.event, AttemptStarted | Ended) and row.seq <= mark:
                state = row.event.state if isinstance(row.event, Ended) else None
        if found:
            raise Discrepancy(f"{where}: has {_shown(min(found))}, which the ledger has not")
        self._check_model(id, where, run, state)
        if state is not None and (shown := run.data.tags.get("ganstudy.state")) != state:
            raise Discrepancy(f"{where}: says {shown!r}, the ledger {state!r}")

    def _check_model(self, id: TrialId, where: str, run: "Run", state: str | None) -> None:
        """`state` is that of the trial's last attempt if the run has its end."""
        count = self._stored.models[run.info.run_id]
        if count > 1:
            raise Discrepancy(f"{where}: has {count} models of one trial; delete all but the oldest in MLflow")
        reported = any(isinstance(row.event, Reported) for row in self._rows[id])
        wanted = not id.seed and reported and state is not None and state not in UNRANKED
        if wanted and not count:
            raise Discrepancy(f"{where}: has no model; {self._sync}")
        if wanted and not (run.inputs and run.inputs.dataset_inputs):
            raise Discrepancy(f"{where}: has no data set; {self._sync}")
        self._counts["models"] += count


def _points(row: Row) -> list[Point]:
    """The points that a row stands for in its run."""
    event = row.event
    if isinstance(event, Ended):
        return test_points(row, event)
    if isinstance(event, Reported):
        return [(name, value, milliseconds(row.written_at), event.kimg) for name, value in finite(event.metrics)]
    return []


def _shown(point: Point) -> str:
    name, value, _, step = point
    return f"{name} = {value!r} at step {step}"


def _read(client: "MlflowClient", uid: str, names: Sequence[str]) -> _Stored:
    runs = defaultdict[str, "list[Run]"](list)
    for run in runs_anywhere(client, uid):
        runs[known(run.data.tags, UID)].append(run)
    ids = [run.info.run_id for found in runs.values() for run in found]
    points = {run_id: Counter[Point]() for run_id in ids}
    for run_id, point in _history(client, ids, names):
        points[run_id][point] += 1
    experiments = {run.info.experiment_id for found in runs.values() for run in found}
    models = Counter(str(model.source_run_id) for one in experiments for model in models_of(client, one))
    return _Stored(dict(runs), {one: client.get_experiment(one).name for one in experiments}, points, models)


def _history(client: "MlflowClient", run_ids: Sequence[str], names: Sequence[str]) -> Iterable[tuple[str, Point]]:
    """Read all points of these metrics: from a database many runs at once, from a server several calls at once."""
    if (bulk := history_reader(client)) is not None:
        for name, start in itertools.product(names, range(0, len(run_ids), _RUNS_PER_READ)):
            for metric in bulk(list(run_ids[start : start + _RUNS_PER_READ]), name, _MANY):
                yield metric.run_id, (name, metric.value, metric.timestamp, metric.step)
        return
    wanted = list(itertools.product(run_ids, names))
    with ThreadPoolExecutor(_READERS) as pool:
        answers = pool.map(lambda pair: client.get_metric_history(*pair), wanted)
        for (run_id, name), metrics in zip(wanted, answers, strict=True):
            for metric in metrics:
                yield run_id, (name, metric.value, metric.timestamp, metric.step)
