"""What a study's run in MLflow shows beside its rows: true when sent, sent for news only, made anew if missing."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import trial as made_up_trial
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.tracking import MlflowClient

from study.analysis.ranking import rank
from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Ended, Event, Reported, StudyOpened, TrialProposed
from study.ledger.records import TrialState, fold
from study.ledger.rows import Row
from study.ledger.trial_resources import device_seconds, trial_resources
from study.mlflow import system as mlflow_system
from study.mlflow.data import data_input
from study.mlflow.projection import FinalState, MlflowProjection
from study.mlflow.store import open_client
from study.mlflow.system import SystemMetrics, check_system_metrics
from study.mlflow.tags import NOTE, NOTE_SEQ
from study.mlflow.tags import UID as UID_TAG
from study.mlflow.thread import ProjectionThread, sync
from study.mlflow.view import order, trials_filter
from study.running.final_state import final_state, status_of
from trainables.errors import InvalidInput

UID = "5f1c2d3e4f5a"
CONFIG: dict[str, Any] = {
    "name": "digits",
    "trials": 3,
    "data": {"name": "npz", "path": "/home/somebody/private/faces.npz"},
    "space": {"base": "quick", "fix": {"model.name": "mlp"}},
    "sampler": {"name": "tpe", "startup_trials": 2},
    "schedule": {"grace_kimg": 5, "max_kimg": 15},
    "evaluation": {"split": "validation", "count": 200},
    "seed": 1,
}
OPENED = StudyOpened(UID, CONFIG, "cf3372dbb7daadae", 1.5, 130.0, {"torch": "2.15"})


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    open_client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(tmp_path: Path, empty_store: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path, "digits")
    folder.path.mkdir(parents=True)
    shutil.copyfile(empty_store, folder.mlflow_db)
    return folder


def started(trial: int) -> list[Event]:
    config = {"loss": "hinge", "model": {"name": "mlp", "width": 8}, "penalty": {"name": "none"}}
    config |= {"normalisation": "none", "generator_optimiser": {"lr": 1e-4}, "discriminator_optimiser": {"lr": 2e-4}}
    return [TrialProposed(trial, config, {}, "sampler", {}), AttemptStarted(trial, 1)]


def reported(trial: int, kimg: int, fid: float) -> Reported:
    return Reported(trial, kimg, 1, {"fid": fid, "train_seconds": 2.0 * kimg, "eval_seconds": float(kimg)})


def rows_of(events: Sequence[Event]) -> list[Row]:
    return [Row(seq, 1.76e9 + seq, 1, event) for seq, event in enumerate(events, start=1)]


def project(folder: StudyFolder, events: Sequence[Event]) -> MlflowProjection:
    projection = MlflowProjection(None, folder, "digits")
    projection.project(rows_of(events))
    return projection


def finish(folder: StudyFolder, events: Sequence[Event], end: FinalState) -> None:
    rows = rows_of(events)
    projection = MlflowProjection(None, folder, "digits")
    sync(lambda after: [row for row in rows if row.seq > after], projection, end)


def runs_of(folder: StudyFolder) -> dict[str, Any]:
    client = open_client(f"sqlite:///{folder.mlflow_db}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.data.tags[UID_TAG]: run for run in client.search_runs(ids)}


def note_of(folder: StudyFolder) -> str:
    return str(runs_of(folder)[UID].data.tags[NOTE])


STORY: list[Event] = [
    OPENED,
    *started(0),
    reported(0, 5, 60.0),
    *started(1),
    reported(1, 5, 80.0),
    Ended(1, 1, 5, "stopped", 5, None),
    reported(0, 10, 55.0),
    reported(0, 15, 58.0),
    Ended(0, 1, 15, "completed", None, None),
    *started(2),
    reported(2, 5, 40.0),
]


def test_the_description_tells_what_there_is_to_know(folder: StudyFolder) -> None:
    project(folder, STORY)
    note, runs = note_of(folder), runs_of(folder)
    assert note.startswith("**digits** is running. 3 of 3 trials: 1 completed, 1 stopped, 1 running.")
    # Trial 2 has the lower FID, and only at 5 kimg; by the ranking's rule trial 0 leads, at its best of 10 kimg.
    best = f"[trial 0](#/experiments/1/runs/{runs[f'{UID}/0'].info.run_id}?workflowType=machine_learning)"
    assert f"{best}, FID **55.00** at 10 of 15 kimg: mlp-8 hinge 1.0e-04/2.0e-04" in note
    # What MLflow shows by itself, the description does not repeat.
    dataset = runs[UID].inputs.dataset_inputs[0].dataset
    assert (dataset.digest, json.loads(dataset.profile)["fid_split"]) == ("cf3372dbb7daadae", "validation")
    params = {
        "space.base": "quick",
        "space.fix.model.name": "mlp",
        "sampler.name": "tpe",
        "sampler.startup_trials": "2",
    }
    assert {**params, "seed": "1"}.items() <= runs[UID].data.params.items()
    assert not any(word in note for word in ("cf3372dbb7daadae", "quick", "tpe"))
    assert "up to 15 kimg" in note
    # 15 + 5 + 5 kimg at 3 s each; trial 1 would have gone on for 10 kimg, 30 s.
    assert "25 kimg; 1:15 min of training and evaluation on a CPU" in note
    assert "early stopping of 1 trial spared 10 kimg (29%), about 30 s" in note
    assert "private" not in note
    assert "report.html" not in note  # not there before the end
    assert "trials.csv" not in note
    finish(folder, STORY, FinalState("interrupted", {"report.html": "<p>"}))
    assert "was interrupted" in note_of(folder)
    assert "1 interrupted" in note_of(folder)
    assert "report.html" in note_of(folder)


def test_reports_that_change_nothing_send_no_description(folder: StudyFolder) -> None:
    projection = MlflowProjection(None, folder, "digits")
    rows = rows_of(STORY)
    marks = []
    for row in rows:
        projection.project([row])
        marks.append(runs_of(folder)[UID].data.tags[NOTE_SEQ])
    # Each row is told of but the reports that are no new lowest FID: 80 at 6 (after 60), 58 at 10 (after 55).
    assert marks == [str(seq if seq not in (7, 10) else seq - 1) for seq in range(1, len(rows) + 1)]


def test_the_table_is_made_anew_from_the_ledger_at_the_end(folder: StudyFolder, tmp_path: Path) -> None:
    def shown(kind: str, read: Callable[[Path], pd.DataFrame]) -> list[tuple[Any, ...]]:
        client, run = open_client(f"sqlite:///{folder.mlflow_db}"), runs_of(folder)[UID]
        frame = read(Path(client.download_artifacts(run.info.run_id, f"trials.{kind}"))).sort_values("rank")
        return list(
            frame[["rank", "trial", "state", "rung", "fid_best", "fid"]].fillna(0).itertuples(index=False, name=None)
        )

    begun = STORY[: next(n for n, event in enumerate(STORY) if isinstance(event, Ended)) + 1]
    for story, status in ((begun, "interrupted"), (STORY, "interrupted")):
        study = replace(fold(rows_of(story), live=False), config=CONFIG | {"resources": {"cpus": 1}})
        finish(folder, story, final_state(study, folder, tmp_path))
        assert status_of(study) == status
    expected = [(1, 0, "completed", 0, 55, 58), (2, 2, "interrupted", 0, 40, 40), (3, 1, "stopped", 5, 80, 80)]
    assert shown("csv", pd.read_csv) == shown("parquet", pd.read_parquet) == expected
    assert "[the table of trials]" in note_of(folder)


def test_what_is_missing_or_links_to_nothing_is_made_anew(folder: StudyFolder) -> None:
    project(folder, STORY)
    client, run = open_client(f"sqlite:///{folder.mlflow_db}"), runs_of(folder)[UID]
    before = {name: run.data.tags[name] for name in (NOTE, NOTE_SEQ)}
    for name in before:
        client.delete_tag(run.info.run_id, name)
    project(folder, STORY)
    assert before.items() <= runs_of(folder)[UID].data.tags.items()
    client.delete_run(runs_of(folder)[f"{UID}/0"].info.run_id)  # somebody deletes the best trial
    project(folder, STORY)
    assert "trial 0, FID **55.00**" in note_of(folder)


def test_a_server_that_refuses_the_saved_view_gets_links_that_filter(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: MlflowClient, experiment_id: str, key: str, value: Any) -> None:
        raise MlflowException(f"tag {key} is too long", INVALID_PARAMETER_VALUE)

    project(folder, STORY)
    assert "viewStateShareKey" in note_of(folder)
    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    project(folder, [*STORY, Ended(2, 1, 5, "stopped", 5, None)])
    link = re.search(r"\[the leaderboard\]\((.*?)\)", note_of(folder))
    assert link
    assert parse_qs(link[1].partition("?")[2])["searchFilter"] == [trials_filter(UID)]


def test_the_status_is_true_whatever_happened(folder: StudyFolder) -> None:
    def status() -> dict[str, str]:
        return {uid.removeprefix(UID): run.info.status for uid, run in runs_of(folder).items()}

    project(folder, STORY)
    assert status() == {"": "RUNNING", "/0": "FINISHED", "/1": "FINISHED", "/2": "RUNNING"}
    finish(folder, STORY, FinalState("failed"))
    ended = {"": "FAILED", "/0": "FINISHED", "/1": "FINISHED", "/2": "KILLED"}
    assert status() == ended
    finish(folder, STORY, FinalState("interrupted"))  # as `sync` finds it: nobody drives it, and it is not complete
    assert status() == ended
    assert "ended with an error" in note_of(folder)
    more = [*STORY, AttemptStarted(2, 2)]
    project(folder, more)
    assert status() == {"": "RUNNING", "/0": "FINISHED", "/1": "FINISHED", "/2": "RUNNING"}
    assert "is running" in note_of(folder)
    finish(folder, more, FinalState("interrupted"))  # its driver was killed, and `sync` came
    assert status() == {**ended, "": "KILLED"}
    more += [Reported(2, 15, 2, {"fid": 30.0}), Ended(2, 2, 15, "completed", None, None)]
    finish(folder, more, FinalState("finished"))
    assert status() == {"": "FINISHED", "/0": "FINISHED", "/1": "FINISHED", "/2": "FINISHED"}
    assert "is finished" in note_of(folder)


def test_the_data_set_tells_nothing_of_the_machine() -> None:
    versions = {"data": {"shape": [3, 32, 32], "images": {"train": 800, "test": 200}, "classes": None}}
    data = data_input(StudyOpened(UID, CONFIG, "f" * 64, 1.5, 130.0, versions)).dataset
    assert (data.name, data.digest) == ("npz", "f" * 36)  # the most that MLflow takes
    assert json.loads(data.source) == {"name": "npz", "path": "faces.npz"}
    assert json.loads(data.profile) == {
        "train_images": 800,
        "test_images": 200,
        "fid_split": "validation",
        "fid_generated_images": 200,
    }
    assert re.search(r"-1, ?3, ?32, ?32", data.schema)


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(0, 1e6, allow_subnormal=False).map(lambda fid: round(fid, 6)), min_size=1, max_size=4),
            st.sampled_from(["running", "completed", "stopped", "diverged", "failed"]),
        ),
        max_size=12,
    )
)
def test_trials_sorted_by_their_tag_are_in_the_order_of_the_ranking(trials: list[tuple[list[float], str]]) -> None:
    made = [made_up_trial(number, dict(enumerate(fids, start=1)), state) for number, (fids, state) in enumerate(trials)]
    unranked = (TrialState.DIVERGED, TrialState.FAILED)
    tags = {t.number: order(t.kimg, min(t.curve.values()), t.state not in unranked) for t in made}
    ranked = rank(made)
    assert [tags[r.trial.number] for r in ranked] == sorted(tags[r.trial.number] for r in ranked)
    behind = [tags[t.number] for t in made if t.state in unranked]
    assert not ranked or not behind or max(tags[r.trial.number] for r in ranked) < min(behind)


def test_an_fid_that_is_no_number_sorts_last() -> None:
    assert order(45, float("nan")) == order(45, float("inf")) > order(0, 1e9)


@pytest.mark.parametrize(
    ("asked", "versions", "expected"),
    [
        ({"cpus": "auto", "gpus": "auto"}, {}, {"cpu_seconds": 10.0}),
        ({"cpus": "auto", "gpus": "auto"}, {"cpus": 2.0, "gpus": 1.0}, {"cpu_seconds": 20.0, "gpu_seconds": 10.0}),
        ({"cpus": 4, "gpus": 0.5}, {"cpus": 2.0, "gpus": 1.0}, {"cpu_seconds": 40.0, "gpu_seconds": 5.0}),
        ({"cpus": 0.5, "gpus": 0}, {"cpus": 2.0, "gpus": 1.0}, {"cpu_seconds": 5.0}),
    ],
)
def test_device_seconds_are_those_that_a_trial_reserved(
    asked: dict[str, Any], versions: dict[str, float], expected: dict[str, float]
) -> None:
    held = trial_resources({"resources": asked}, {"resources": versions} if versions else {})
    assert dict(device_seconds(held, {"train_seconds": 7.0, "eval_seconds": 3.0})) == expected
    assert dict(device_seconds(held, {"fid": 1.0})) == {}


@pytest.mark.parametrize("wanted", [True, False])
def test_system_metrics_are_logged_where_asked_for(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    rows = rows_of(STORY)
    projection = MlflowProjection(None, folder, "digits")
    system = SystemMetrics(wanted, projection.uri)
    thread = ProjectionThread(lambda after: [row for row in rows if row.seq > after], projection, 0.01, system)
    thread.wake()
    deadline = time.monotonic() + 120
    while UID not in runs_of(folder) or (wanted and not system_metrics(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert thread.close(60, FinalState("interrupted"))
    assert ("system/cpu_utilization_percentage" in system_metrics(folder)) == wanted
    assert runs_of(folder)[UID].info.status == "KILLED"
    assert all(thread.name != "SystemMetricsMonitor" for thread in threading.enumerate())


def system_metrics(folder: StudyFolder) -> set[str]:
    run = runs_of(folder).get(UID)
    return {name for name in run.data.metrics if name.startswith("system/")} if run else set()


def test_system_metrics_without_psutil_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_system, "find_spec", lambda name: None)
    check_system_metrics(False)
    with pytest.raises(InvalidInput, match="pip install psutil"):
        check_system_metrics(True)
