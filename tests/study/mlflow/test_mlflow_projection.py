"""The MLflow projection on real SQLite stores: exact, repeatable, and unharmed by errors at any call."""

import json
import math
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from toys import toy_config

from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Ended, Event, Reported, StudyChanged, StudyOpened, TrialProposed
from study.ledger.rows import Row
from study.mlflow import projection as mlflow_projection
from study.mlflow import thread as mlflow_thread
from study.mlflow.files import study_params
from study.mlflow.images import FOLDER, KEYS, PROBABILITIES, SAMPLES, logged_pictures, picture_file
from study.mlflow.models import models_of
from study.mlflow.projection import FinalState, MlflowProjection
from study.mlflow.runs import Counts
from study.mlflow.sections import SECTIONS, placed
from study.mlflow.store import display_uri, open_client, resolve_uri
from study.mlflow.tags import NOTE, ORDER
from study.mlflow.tags import UID as UID_TAG
from study.mlflow.thread import ProjectionThread, sync
from study.mlflow.values import MAX_PARAM, flatten
from study.mlflow.view import TAG_PREFIX, leaderboard, view_id
from study.study_file.config import is_changeable
from trainables.display import redacted
from trainables.errors import GanStudyError, InvalidInput
from trainables.evaluation.config import Evaluation
from trainables.trial import report_keys

UID = "5f1c2d3e4f5a"
OPENED_AT = 1_760_000_000.25
SECRET = "hunter2"
VERSIONS = {
    "torch": "2.15",
    "data": {"shape": [1, 8, 8], "images": {"train": 1437, "validation": 180, "test": 180}, "classes": 10},
    "resources": {"cpus": 2.0, "gpus": 0.25},
}
CONFIG = {"loss": "hinge", "penalty": {"name": "r1", "weight": 10.0}, "generator_optimiser": {"lr": 2e-4}, "seed": 7}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables; making one takes seconds, copying it does not."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    open_client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(tmp_path: Path, empty_store: Path) -> StudyFolder:
    return make_folder(tmp_path, empty_store)


def make_folder(root: Path, empty_store: Path) -> StudyFolder:
    folder = StudyFolder(root, "digits")
    folder.path.mkdir(parents=True)
    shutil.copyfile(empty_store, folder.mlflow_db)
    return folder


def metrics(kimg: int, fid: float) -> dict[str, float]:
    """Of a trial that trains a kimg in 1 s and has spent 3 s on evaluation at 5 kimg, 6 s at 10."""
    seconds = {"train_seconds": float(kimg), "eval_seconds": kimg * 3 / 5}
    return {"kimg": float(kimg), "fid": fid, "fid_best": fid, "loss_g": 0.1 + kimg} | seconds


def events() -> list[Event]:
    """One trial each that completed, was stopped, diverged, failed and came back, and still runs."""
    config = {
        "name": "digits",
        "trials": 4,
        "data": {"name": "digits", "root": f"/home/me/{SECRET}/pictures"},
        "space": {"base": "quick"},
        "schedule": {"grace_kimg": 5, "max_kimg": 10},
        "evaluation": {"split": "validation", "count": 200},
        "mlflow": {"uri": f"http://me:{SECRET}@host:5000"},
    }
    propose = [
        TrialProposed(t, {**CONFIG, "seed": t}, {"loss": "hinge", "r1.weight": 10.0}, "sampler", {}) for t in range(5)
    ]
    return [
        StudyOpened(UID, config, "sha256:abc", 1.5, 800.0, VERSIONS),
        propose[0],
        AttemptStarted(0, 1),
        propose[1],
        AttemptStarted(1, 1),
        Reported(0, 5, 1, metrics(5, 90.0)),
        Reported(1, 5, 1, metrics(5, 120.0)),
        Ended(1, 1, 5, "stopped", 5, None),
        propose[2],
        AttemptStarted(2, 1),
        Reported(0, 10, 1, metrics(10, 40.0)),
        Ended(0, 1, 10, "completed", None, None),
        Ended(2, 1, 0, "diverged", None, "loss_g is not finite"),
        StudyChanged(1, {**config, "trials": 5}),
        propose[3],
        AttemptStarted(3, 1),
        Ended(3, 1, 0, "failed", None, f"no answer from postgresql://me:{SECRET}@host/db"),
        AttemptStarted(3, 2),
        Reported(3, 5, 2, metrics(5, 30.0)),
        Ended(3, 2, 5, "completed", None, None),
        propose[4],
        AttemptStarted(4, 1),
        Reported(4, 5, 1, metrics(5, 60.0)),
    ]


def rows_of(events: Sequence[Event]) -> list[Row]:
    return [Row(seq, OPENED_AT + seq, 1, event) for seq, event in enumerate(events, start=1)]


def reader(rows: Sequence[Row]) -> Callable[[int], list[Row]]:
    return lambda after: [row for row in rows if row.seq > after]


def draw_sample(folder: StudyFolder, trial: int, kimg: int) -> None:
    path = picture_file(folder.samples(trial), kimg)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (40, 20), color=kimg).save(path)


def draw_histogram(folder: StudyFolder, trial: int, kimg: int) -> None:
    path = picture_file(folder.trial(trial) / "histograms", kimg)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), color=(kimg, 0, 0)).save(path)


def state_of(folder: StudyFolder) -> dict[str, Any]:
    """All that the store holds, but for MLflow's own ids and, for a run that goes on, the end of its last attempt."""
    from mlflow.entities import ViewType

    client = open_client(resolve_uri(None, folder))
    (experiment,) = [e for e in client.search_experiments() if e.name == "ganstudy/digits"]
    state: dict[str, Any] = {"experiment": {k: v for k, v in experiment.tags.items() if k.startswith(TAG_PREFIX)}}
    ids: dict[str, str] = {}
    for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ACTIVE_ONLY):
        uid = run.data.tags[UID_TAG]
        assert uid not in state, f"two runs for {uid}"
        ids[run.info.run_id] = uid
        history = [point for name in run.data.metrics for point in client.get_metric_history(run.info.run_id, name)]
        state[uid] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "start": run.info.start_time,
            "end": None if run.info.status == "RUNNING" else run.info.end_time,
            "tags": dict(run.data.tags),
            "params": dict(run.data.params),
            "points": sorted((p.key, p.step, p.timestamp, p.value) for p in history),
            "files": sorted(f.path for d in (FOLDER, None) for f in client.list_artifacts(run.info.run_id, d)),
            "data": [(d.dataset.name, d.dataset.digest) for d in run.inputs.dataset_inputs],
            "models": models_in(client, run),
        }
    for uid, run_state in state.items():
        for run_id, of in ids.items():
            if "tags" in run_state and NOTE in run_state["tags"]:
                run_state["tags"][NOTE] = run_state["tags"][NOTE].replace(run_id, of)
        if "/" in uid:
            run_state["tags"]["mlflow.parentRunId"] = ids[run_state["tags"]["mlflow.parentRunId"]]
    return state


def models_in(client: Any, run: Any) -> list[Any]:
    """The models of a run, and whether the run knows them."""
    models = models_of(client, run.info.experiment_id, run.info.run_id)
    known = [output.model_id for output in run.outputs.model_outputs]
    return [
        (
            *(model.name, str(model.status), dict(model.params), known.count(model.model_id)),
            sorted((m.key, m.step, m.timestamp, m.value, m.dataset_name) for m in model.metrics),
        )
        for model in models
    ]


def milliseconds(seq: int) -> int:
    return round((OPENED_AT + seq) * 1000)


def test_every_event_arrives_as_it_should(folder: StudyFolder) -> None:
    for trial, kimg in ((0, 0), (0, 5), (0, 10), (4, 0)):
        draw_sample(folder, trial, kimg)
    MlflowProjection(None, folder, "digits").project(rows_of(events()))
    state = state_of(folder)

    parent, trials = state[UID], [state[f"{UID}/{number}"] for number in range(5)]
    assert len(state) == 1 + 1 + 5  # the view, the study, its trials
    assert [run["name"] for run in trials] == [f"trial-000{number}" for number in range(5)]
    states = ["completed", "stopped", "diverged", "completed", "running"]
    assert [run["tags"]["ganstudy.state"] for run in trials] == states
    assert [run["status"] for run in trials] == ["FINISHED"] * 4 + ["RUNNING"]
    assert all(run["tags"]["mlflow.parentRunId"] == UID for run in trials)
    assert trials[1]["tags"]["ganstudy.rung"] == "5"
    assert trials[2]["tags"]["ganstudy.cause"] == "loss_g is not finite"
    assert (trials[3]["tags"]["ganstudy.cause"], trials[3]["tags"]["ganstudy.attempt"]) == ("", "2")
    assert (trials[0]["start"], trials[0]["end"]) == (milliseconds(3), milliseconds(12))

    assert trials[0]["params"] == {
        "loss": "hinge",
        "penalty.name": "r1",
        "generator_optimiser.lr": "0.0002",
        "seed": "0",
        "r1.weight": "10.0",
    }
    assert "config.yaml" in trials[0]["files"]
    assert all(run["data"] == [("digits", "sha256:abc")] for run in trials)
    # 8 s and 16 s of training and evaluation on 2 CPUs and a quarter of a GPU.
    held = [{"cpu_seconds": 16.0, "gpu_seconds": 2.0}, {"cpu_seconds": 32.0, "gpu_seconds": 4.0}]
    # Each FID is of the 200 images that the study asks for.
    judged = {"images_judged": 200.0}
    expected = [
        (placed(name), step, milliseconds(seq), value)
        for step, seq, values in ((5, 6, metrics(5, 90.0) | held[0]), (10, 11, metrics(10, 40.0) | held[1]))
        for name, value in (values | judged).items()
    ]
    assert trials[0]["points"] == sorted(expected)
    # The model of a trial that was not given up is that of its best FID: of 0 at 10 kimg, of 1 and 3 at 5.
    assert [[model[0] for model in run["models"]] for run in trials] == [
        ["trial-0000"],
        ["trial-0001"],
        [],
        ["trial-0003"],
        [],
    ]
    ((_, status, params, times, points),) = trials[0]["models"]
    assert (status, params, times) == ("PENDING", trials[0]["params"], 1)
    theirs = [(placed(name), 10, milliseconds(11), value, "digits") for name, value in metrics(10, 40.0).items()]
    assert points == sorted(theirs)

    # The lowest FID so far against the kimg of all trials so far: 5; 5 + 5 + 5; 5 + 5 + 5 + 5.
    best = [(step, value) for name, step, _, value in parent["points"] if name == "best_fid_of_200_images"]
    assert best == [(5, 90.0), (15, 40.0), (20, 30.0)]
    tags = parent["tags"]
    assert tags["ganstudy.trials"] == "2 completed, 1 diverged, 1 running, 1 stopped"
    assert tags["ganstudy.versions"] == "torch 2.15"
    assert (tags["ganstudy.best_trial"], tags["ganstudy.best_fid"], parent["status"]) == ("0", "40", "RUNNING")
    assert {"study.yaml"} <= {*parent["files"]}
    assert parent["data"] == [("digits", "sha256:abc")]
    assert parent["params"]["space.base"] == "quick"
    assert {"data.root", "mlflow.uri"}.isdisjoint(parent["params"])
    planned = {name: parent["params"][name] for name in ("trials", "schedule.max_kimg", "revision_1.trials")}
    assert planned == {"trials": "4", "schedule.max_kimg": "10", "revision_1.trials": "5"}

    steps = [sorted({int(n) for n in re.findall(r"\+step\+(\d+)\+", " ".join(run["files"]))}) for run in trials]
    assert steps == [[0, 5, 10], [], [], [], [0]]
    assert len([file for file in trials[0]["files"] if file.startswith(f"{FOLDER}/")]) == 2 * 3  # and thumbnails
    shown = [name for run in (parent, *trials) for name in run["tags"] if not name.startswith("mlflow.")]
    assert {*shown} == {
        *(f"ganstudy.{name}" for name in ("state", "trial", "origin", "rung", "cause", "attempt")),
        *(f"ganstudy.{name}" for name in ("fingerprint", "versions", "trials", "revision", "best_trial", "best_fid")),
    }
    assert [run["tags"].get("mlflow.loggedImages") for run in trials] == ["True", None, None, None, "True"]
    assert SECRET not in repr(state)


def test_the_parameters_of_a_study_are_its_plan_and_what_cannot_change() -> None:
    config = toy_config().to_dict()
    params = study_params(config)
    assert {"sampler.name", "schedule.grace_kimg", "resources.cpus", "seed", "evaluation.count"} <= params.keys()
    assert [name for name in params if is_changeable(name) or name == "schedule.max_kimg"] == [
        "trials",
        "schedule.max_kimg",
    ]
    assert (params["trials"], params["schedule.max_kimg"]) == ("12", "9")


def test_fids_of_different_numbers_of_images_have_a_best_each(folder: StudyFolder) -> None:
    """The first look is by 50 images, the last by 200; more have a smaller bias, so those FIDs are not compared."""
    evaluation, schedule = {"count": 200, "rung_count": 50}, {"grace_kimg": 5, "max_kimg": 10}
    config = {"name": "digits", "trials": 2, "evaluation": evaluation, "schedule": schedule}
    looks = [(0, 5, 50, 60.0), (1, 5, 50, 80.0), (0, 10, 200, 30.0), (1, 10, 200, 35.0)]
    story: list[Event] = [StudyOpened(UID, config, "sha256:abc", 1.5, 800.0, {})]
    for trial in range(2):
        story += [TrialProposed(trial, CONFIG, {}, "sampler", {}), AttemptStarted(trial, 1)]
    story += [
        Reported(trial, kimg, 1, {"fid": fid, "fid_best": fid, "images_judged": float(images)})
        for trial, kimg, images, fid in looks
    ]
    story += [TrialProposed(2, CONFIG, {}, "sampler", {}), AttemptStarted(2, 1)]
    story.append(Reported(2, 5, 1, {"fid": 50.0, "fid_best": 50.0, "images_judged": 50.0}))
    MlflowProjection(None, folder, "digits").project(rows_of(story))
    state = state_of(folder)
    best = [(name, step, value) for name, step, _, value in state[UID]["points"] if name.startswith("best_fid")]
    # Against the kimg of all trials: 5; 10 + 5; 10 + 10 + 5. Neither line ever rises.
    assert best == [
        ("best_fid_of_200_images", 15, 30.0),
        ("best_fid_of_50_images", 5, 60.0),
        ("best_fid_of_50_images", 25, 50.0),
    ]
    judged = [value for name, _, _, value in state[f"{UID}/0"]["points"] if name == "images_judged"]
    assert judged == [50.0, 200.0]


def test_a_trial_has_a_run_once_it_has_started(folder: StudyFolder) -> None:
    *before, start = events()[:5]
    assert [type(event) for event in (before[-1], start)] == [TrialProposed, AttemptStarted]
    projection = MlflowProjection(None, folder, "digits")
    rows = rows_of([*before, start])
    projection.project(rows[:-1])
    assert {f"{UID}/0"} == {uid for uid in state_of(folder) if uid.startswith(f"{UID}/")}
    projection.project(rows[-1:])
    assert {f"{UID}/0", f"{UID}/1"} == {uid for uid in state_of(folder) if uid.startswith(f"{UID}/")}


@pytest.mark.parametrize("fresh", [False, True], ids=["same object", "fresh object"])
def test_projecting_again_changes_nothing(folder: StudyFolder, fresh: bool) -> None:
    draw_sample(folder, 0, 5)
    rows = rows_of(events())
    first = MlflowProjection(None, folder, "digits")
    sync(reader(rows), first)
    once = state_of(folder)
    second = MlflowProjection(None, folder, "digits") if fresh else first
    second.project(rows)
    assert second.counts == (Counts() if fresh else first.counts)
    assert state_of(folder) == once


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(1, len(events()) - 1), st.booleans()), max_size=6))
def test_any_split_of_the_rows_gives_the_same_store(
    cuts: list[tuple[int, bool]], empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = rows_of(events())
    states = []
    for steps in ([], sorted(cuts)):
        folder = make_folder(tmp_path_factory.mktemp("split"), empty_store)
        draw_sample(folder, 3, 0)
        projection = MlflowProjection(None, folder, "digits")
        for end, fresh in [*steps, (len(rows), False)]:
            projection.project(rows[:end])
            if fresh:
                projection = MlflowProjection(None, folder, "digits")
        states.append(state_of(folder))
    assert states[0] == states[1]


class Flaky:
    """A client whose call number `fail_at` raises, before it reached the server or when only the answer was lost."""

    def __init__(self, client: Any, fail_at: int, after: bool) -> None:
        self.client, self.calls, self.fail_at, self.after = client, 0, fail_at, after

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            fail = self.calls == self.fail_at
            if fail and not self.after:
                raise ConnectionError("the server is gone")
            result = getattr(self.client, name)(*args, **kwargs)
            if fail:
                raise ConnectionError("the answer was lost")
            return result

        return call


def project_with_failure(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch, fail_at: int, after: bool) -> int:
    """Project and finish with one failing call; return the number of calls."""
    flaky = Flaky(open_client(resolve_uri(None, folder)), fail_at, after)
    monkeypatch.setattr(mlflow_projection, "open_store", lambda uri, folder: flaky)
    projection = MlflowProjection(None, folder, "digits")
    finish = FinalState("interrupted", {"best.yaml": "loss: hinge\n"})
    rows = rows_of(events())
    for _ in range(2):
        try:
            projection.project(rows[:9])
            projection.project(rows)
            projection.close(finish)
        except ConnectionError:
            continue
        break
    return flaky.calls


def test_an_error_at_any_call_loses_and_doubles_nothing(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(name: str, fail_at: int, after: bool) -> tuple[int, dict[str, Any]]:
        folder = make_folder(tmp_path / name, empty_store)
        for kimg in (0, 5, 10):
            draw_sample(folder, 0, kimg)
        calls = project_with_failure(folder, monkeypatch, fail_at, after)
        return calls, state_of(folder)

    calls, undisturbed = outcome("none", 0, after=False)
    assert undisturbed[f"{UID}/4"]["tags"]["ganstudy.state"] == "interrupted"
    for fail_at in range(1, calls + 1, 3):
        after = fail_at % 2 == 0
        assert outcome(f"{fail_at}", fail_at, after)[1] == undisturbed, f"call {fail_at}, after={after}"


def test_a_status_that_did_not_arrive_is_sent_by_the_next_projection(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watermark is sent with the values, the status after them: the values are there, the status is not."""
    rows = rows_of(events()[:12])
    projection = MlflowProjection(None, folder, "digits")
    projection.attach(UID)
    with monkeypatch.context() as patch:
        patch.setattr(projection._client, "set_terminated", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            projection.project(rows)
    assert state_of(folder)[f"{UID}/0"]["tags"]["ganstudy.state"] == "completed"
    assert state_of(folder)[f"{UID}/0"]["status"] == "RUNNING"
    MlflowProjection(None, folder, "digits").project(rows)
    trial = state_of(folder)[f"{UID}/0"]
    assert (trial["status"], trial["end"]) == ("FINISHED", milliseconds(12))


def test_of_two_processes_at_once_one_set_of_runs_stays(
    folder: StudyFolder, empty_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = rows_of(events())
    first, second = (MlflowProjection(None, folder, "digits") for _ in range(2))
    first.attach(UID)
    second.attach(UID)
    first.project(rows[:6])
    second.project(rows[:6])  # it had looked before the other made its runs
    MlflowProjection(None, folder, "digits").project(rows[:8])
    assert caplog.text.count("second run") == 3  # of the study and its two trials
    once = make_once(folder, empty_store, rows)
    for projection in (first, second):
        sync_in_two(projection, rows)
        assert state_of(folder) == once


def sync_in_two(projection: MlflowProjection, rows: Sequence[Row]) -> None:
    """As the thread does: the first call may find its run deleted by another process."""
    try:
        sync(reader(rows), projection)
    except GanStudyError:
        sync(reader(rows), projection)


def make_once(folder: StudyFolder, empty_store: Path, rows: Sequence[Row]) -> dict[str, Any]:
    """The state of a store beside `folder` that saw the rows once, without disturbance."""
    other = make_folder(folder.root / "other", empty_store)
    sync(reader(rows), MlflowProjection(None, other, "digits"))
    return state_of(other)


def test_a_deleted_experiment_is_restored(folder: StudyFolder, caplog: pytest.LogCaptureFixture) -> None:
    rows = rows_of(events())
    projection = MlflowProjection(None, folder, "digits")
    projection.project(rows[:6])
    before = state_of(folder)
    client = open_client(projection.uri)
    experiment = client.get_experiment_by_name("ganstudy/digits")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    MlflowProjection(None, folder, "digits").project(rows[:6])
    assert "restored" in caplog.text
    assert state_of(folder) == before


def test_a_run_deleted_by_the_user_stays_deleted_until_there_is_news(folder: StudyFolder) -> None:
    rows = rows_of(events())
    draw_sample(folder, 4, 5)
    projection = MlflowProjection(None, folder, "digits")
    projection.project(rows)
    client = open_client(projection.uri)
    (run,) = [r for e in client.search_experiments() for r in client.search_runs([e.experiment_id], name_filter(4))]
    client.delete_run(run.info.run_id)
    fresh = MlflowProjection(None, folder, "digits")
    sync(reader(rows), fresh, FinalState("finished"))
    assert f"{UID}/4" not in state_of(folder)
    fresh.project([*rows, Row(len(rows) + 1, OPENED_AT + 99, 1, Ended(4, 1, 5, "completed", None, None))])
    assert state_of(folder)[f"{UID}/4"]["tags"]["ganstudy.state"] == "completed"


def name_filter(trial: int) -> str:
    return f"tags.`ganstudy.trial` = '{trial}'"


def test_non_finite_metrics_are_not_sent(folder: StudyFolder) -> None:
    report, start = Reported(0, 5, 1, {"fid": 9.0}), events()[:3]
    report.metrics.update({"loss_g": math.nan, "loss_d": math.inf, "d_real": -math.inf})
    MlflowProjection(None, folder, "digits").project(rows_of([*start, report]))
    points = [(name, value) for name, _, _, value in state_of(folder)[f"{UID}/0"]["points"]]
    assert points == [("images_judged", 200.0), ("scores/fid", 9.0)]


def test_an_image_that_comes_late_or_was_half_written_is_logged_later(folder: StudyFolder) -> None:
    rows = rows_of(events()[:8])
    path = picture_file(folder.samples(0), 0)
    path.parent.mkdir(parents=True)
    draw_sample(folder, 1, 0)
    path.write_bytes(picture_file(folder.samples(1), 0).read_bytes()[:40])
    projection = MlflowProjection(None, folder, "digits")
    projection.project(rows)
    assert projection.counts.images == 1
    draw_sample(folder, 0, 0)
    draw_sample(folder, 0, 5)
    projection.close(FinalState("finished"))
    assert projection.counts.images == 2  # that of the untrained generator is not shown beside a newer one
    again = MlflowProjection(None, folder, "digits")
    sync(reader(rows), again, FinalState("finished"))
    assert again.counts == Counts()


def test_both_series_of_images_are_logged_once_each(folder: StudyFolder) -> None:
    rows = rows_of(events()[:8])
    draw_sample(folder, 0, 0)
    draw_histogram(folder, 0, 0)
    projection = MlflowProjection(None, folder, "digits")
    projection.project(rows)
    draw_histogram(folder, 0, 5)
    projection.close(FinalState("finished"))
    assert projection.counts.images == 3
    client = open_client(projection.uri)
    experiment = client.get_experiment_by_name("ganstudy/digits")
    assert experiment is not None
    run_id = client.search_runs([experiment.experiment_id], name_filter(0))[0].info.run_id
    assert logged_pictures(client, run_id) == {(SAMPLES, 0), (PROBABILITIES, 0), (PROBABILITIES, 5)}
    # At step 0 is the newest, and it has replaced the older.
    assert pixels(client, run_id, PROBABILITIES, 0) == pixels(client, run_id, PROBABILITIES, 5) == {(5, 0, 0)}
    files = {file.path for file in client.list_artifacts(run_id, FOLDER)}
    assert len(files) == 6
    again = MlflowProjection(None, folder, "digits")
    sync(reader(rows), again, FinalState("finished"))
    assert again.counts == Counts()
    assert {file.path for file in client.list_artifacts(run_id, FOLDER)} == files


def pixels(client: Any, run_id: str, key: str, step: int) -> set[Any]:
    """The colours of a logged picture."""
    name = f"{FOLDER}/{key.replace('/', '~')}+step+{step}+"
    (path,) = [f.path for f in client.list_artifacts(run_id, FOLDER) if f.path.startswith(name) and "png" in f.path]
    with Image.open(client.download_artifacts(run_id, path)) as image:
        return {colour for _, colour in image.getcolors()}


def test_the_newest_samples_stand_first_and_say_their_kimg_and_fid(folder: StudyFolder) -> None:
    rows = rows_of(events())
    draw_sample(folder, 0, 0)
    draw_sample(folder, 0, 5)
    projection = MlflowProjection(None, folder, "digits")
    projection.project(rows[:6])
    client = open_client(projection.uri)
    experiment = client.get_experiment_by_name("ganstudy/digits")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], name_filter(0))
    note = run.data.tags[NOTE]
    assert note.startswith("loss hinge, r1.weight 10.0, proposed by sampler")
    before = {file.path for file in client.list_artifacts(run.info.run_id, FOLDER)}
    (address,) = re.findall(r"!\[newest samples\]\(get-artifact\?(.*)\)", note)
    shown = parse_qs(address)
    assert shown["run_uuid"] == [run.info.run_id]
    assert {*shown["path"]} <= before
    with Image.open(client.download_artifacts(run.info.run_id, shown["path"][0])) as image:
        assert image.width == 40
        assert image.height > 20  # a line of text above it
        assert image.getpixel((39, image.height - 1)) == 5
    draw_sample(folder, 0, 10)
    projection.project(rows)
    with Image.open(client.download_artifacts(run.info.run_id, shown["path"][0])) as image:
        assert image.getpixel((39, image.height - 1)) == 10
    assert len({file.path for file in client.list_artifacts(run.info.run_id, FOLDER)} - before) == 2
    assert client.get_run(run.info.run_id).data.tags[NOTE] == note
    study = client.search_runs([experiment.experiment_id], f"tags.`{UID_TAG}` = '{UID}'")[0]
    assert f"![newest samples](get-artifact?{address})" in study.data.tags[NOTE]


@pytest.mark.parametrize("key", KEYS)
def test_images_have_the_names_that_mlflow_gives_them(folder: StudyFolder, key: str) -> None:
    {SAMPLES: draw_sample, PROBABILITIES: draw_histogram}[key](folder, 0, 5)
    projection = MlflowProjection(None, folder, "digits")
    projection.project(rows_of(events()[:6]))
    client = open_client(projection.uri)
    experiment = client.get_experiment_by_name("ganstudy/digits")
    assert experiment is not None
    theirs = client.create_run(experiment.experiment_id).info.run_id
    place = {SAMPLES: folder.samples(0), PROBABILITIES: folder.trial(0) / "histograms"}[key]
    with Image.open(picture_file(place, 5)) as image:
        client.log_image(theirs, image, key=key, step=5, timestamp=milliseconds(6))
    ours = client.search_runs([experiment.experiment_id], name_filter(0))[0].info.run_id

    def shapes(run_id: str) -> set[str]:
        uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        return {re.sub(uuid, "UUID", file.path) for file in client.list_artifacts(run_id, FOLDER)}

    newest = {name for name in shapes(ours) if "+step+0+" in name}
    assert len(newest) == 2
    assert shapes(ours) - newest == shapes(theirs)
    assert logged_pictures(client, theirs) == {(key, 5)}
    assert logged_pictures(client, ours) == {(key, 0), (key, 5)}


def test_finish_closes_the_study_and_a_resume_opens_it_again(folder: StudyFolder, tmp_path: Path) -> None:
    binary = tmp_path / "report.bin"
    binary.write_bytes(b"\x00\xff")
    best = tmp_path / "exported.yaml"
    best.write_text(f"mlflow: http://me:{SECRET}@host\nloss: hinge\n")
    rows = rows_of(events())
    projection = MlflowProjection(None, folder, "digits")
    files: dict[str, Path | str] = {"best.yaml": best, "report/all.bin": binary, "study.yaml": "name: digits\n"}
    sync(reader(rows), projection, FinalState("interrupted", files))
    parent, trial = state_of(folder)[UID], state_of(folder)[f"{UID}/4"]
    assert (parent["status"], parent["tags"]["ganstudy.state"], parent["end"]) == (
        "KILLED",
        "interrupted",
        milliseconds(len(rows)),
    )
    assert parent["tags"]["ganstudy.best_trial"] == "0"
    assert (trial["status"], trial["tags"]["ganstudy.state"]) == ("KILLED", "interrupted")
    assert {"best.yaml", "report", "study.yaml"} <= set(parent["files"])
    stored = {path.name: path.read_bytes() for path in folder.mlflow_artifacts.rglob("*") if path.is_file()}
    assert stored["all.bin"] == b"\x00\xff"
    assert stored["best.yaml"] == b"mlflow: http://***@host\nloss: hinge\n"

    more = [*events(), AttemptStarted(4, 2), Reported(4, 10, 2, metrics(10, 20.0))]
    resumed = MlflowProjection(None, folder, "digits")
    sync(reader(rows_of(more)), resumed)
    parent, trial = state_of(folder)[UID], state_of(folder)[f"{UID}/4"]
    assert (parent["status"], parent["tags"]["ganstudy.state"]) == ("RUNNING", "running")
    assert (trial["status"], trial["tags"]["ganstudy.state"]) == ("RUNNING", "running")
    more.append(Ended(4, 2, 10, "completed", None, None))
    sync(reader(rows_of(more)), resumed, FinalState("finished"))
    state = state_of(folder)
    assert (state[UID]["status"], state[f"{UID}/4"]["status"]) == ("FINISHED", "FINISHED")
    assert resumed.counts == Counts(runs=0, points=len(metrics(10, 20.0)) + 2 + 1 + 1, images=0)


def test_a_trial_that_goes_on_keeps_its_model_which_tells_of_the_new_best(folder: StudyFolder) -> None:
    story = events()
    MlflowProjection(None, folder, "digits").project(rows_of(story))
    before = state_of(folder)[f"{UID}/0"]["models"]
    story += [AttemptStarted(0, 2), Reported(0, 15, 2, metrics(15, 20.0)), Ended(0, 2, 15, "completed", None, None)]
    MlflowProjection(None, folder, "digits").project(rows_of(story))
    (model,) = state_of(folder)[f"{UID}/0"]["models"]
    (*_, points), (*_, more) = before[0], model
    assert {*points} < {*more}
    assert [(step, value) for name, step, _, value, _ in more if name == "scores/fid"] == [(10, 40.0), (15, 20.0)]
    client = open_client(resolve_uri(None, folder))
    (experiment,) = [e for e in client.search_experiments() if e.name == "ganstudy/digits"]
    (run,) = client.search_runs([experiment.experiment_id], name_filter(0))
    (logged,) = models_of(client, experiment.experiment_id, run.info.run_id)
    assert logged.tags[NOTE].startswith("The generator of trial 0 at 15 kimg")


def test_many_points_and_parameters_go_in_calls_that_mlflow_takes(folder: StudyFolder) -> None:
    config = {f"knob{number}": number for number in range(250)} | {"long": "x" * (MAX_PARAM + 1)}
    reports = [Reported(0, kimg, 1, metrics(kimg, 50.0)) for kimg in range(1, 451)]
    start: list[Event] = [events()[0], TrialProposed(0, {}, config, "sampler", {}), AttemptStarted(0, 1)]
    projection = MlflowProjection(None, folder, "digits")
    projection.project(rows_of([*start, *reports]))
    run = state_of(folder)[f"{UID}/0"]
    assert len(run["points"]) == (len(metrics(1, 50.0)) + 2 + 1) * 450  # and CPU and GPU seconds, number of images
    assert len(run["params"]) == 251
    assert len(run["params"]["long"]) == MAX_PARAM


def test_the_leaderboard_lists_the_parameters_that_there_are(folder: StudyFolder) -> None:
    MlflowProjection(None, folder, "digits").project(rows_of(events()))
    view = json.loads(state_of(folder)["experiment"][TAG_PREFIX + view_id(UID)])
    shown = json.loads(view["state"])
    assert (shown["orderByKey"], shown["orderByAsc"]) == (f"tags.`{ORDER}`", True)
    first = ["metrics.`scores/fid_best`", "metrics.`kimg`", "metrics.`images_judged`"]
    assert shown["selectedColumns"][:3] == first
    params = [column for column in shown["selectedColumns"] if column.startswith("params")]
    assert params == ["params.`loss`", "params.`penalty.name`", "params.`generator_optimiser.lr`", "params.`r1.weight`"]
    # In the chart view the newest samples of all trials come first, then FIDs against the parameters, then FIDs.
    cards = shown["compareRunCharts"]
    assert [card["type"] for card in cards] == ["IMAGE", "PARALLEL", "LINE", "BAR"]
    assert (cards[0]["imageKeys"], cards[0]["step"]) == ([SAMPLES], 0)
    sections = {section["uuid"]: section["name"] for section in shown["compareRunSections"]}
    assert [sections[card["metricSectionId"]] for card in cards] == ["samples", "parameters", "scores", "scores"]
    assert {*SECTIONS} < {*sections.values()}


def test_what_differs_and_all_trials_have_is_an_axis() -> None:
    """MLflow leaves out of parallel coordinates every run that lacks one of them."""
    values = {
        "loss": ["hinge", "hinge", "wasserstein"],
        "mlp.width": ["8"],
        "seed": ["1", "2", "3"],
        "beta1": ["0"] * 3,
    }
    params = {name: Counter(some) for name, some in values.items()}
    state = json.loads(json.loads(leaderboard(UID, "digits", 0, params))["state"])
    assert state["compareRunCharts"][1]["selectedParams"] == ["loss"]
    assert "params.`mlp.width`" in state["selectedColumns"]
    assert "params.`seed`" not in state["selectedColumns"]


def test_all_that_a_trial_reports_has_its_section_or_is_its_cost() -> None:
    reported = {placed(name) for name in report_keys(Evaluation())}
    free = {name for name in reported if "/" not in name}
    assert free == {"kimg", "images_per_second", "train_seconds", "eval_seconds"}
    assert {name.rpartition("/")[0] for name in reported - free} == {*SECTIONS}
    # MLflow sorts the sections: samples are the first.
    assert min([*SECTIONS, SAMPLES.partition("/")[0]]) == "samples"


def test_an_empty_ledger_makes_no_run(folder: StudyFolder) -> None:
    projection = MlflowProjection(None, folder, "digits")
    assert sync(reader([]), projection, FinalState("interrupted")) == Counts()
    assert open_client(projection.uri).get_experiment_by_name("ganstudy/digits") is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), inner, max_size=3),
        max_leaves=12,
    )
)
def test_flatten_keeps_every_leaf_within_mlflows_limits(value: Any) -> None:
    def leaves(part: Any) -> int:
        return sum(map(leaves, part.values())) if isinstance(part, dict) and part else 1

    flat = flatten({"root": value})
    assert len(flat) == leaves(value)
    assert all(re.fullmatch(r"[\w\-. :/]{1,250}", name) for name in flat)
    assert all(len(text) <= MAX_PARAM for text in flat.values())


@pytest.mark.parametrize(
    "uri",
    ["ftp://host/x", "file:///tmp/x", "mlruns", "./mlruns", "", "http://", "http://host:no", "sqlite://", "databricks"],
)
def test_unsupported_stores_are_refused_in_one_line(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"sqlite:///FILE") as refusal:
        resolve_uri(uri, StudyFolder(tmp_path, "digits"))
    assert "\n" not in str(refusal.value)


def test_supported_stores(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, "digits")
    assert resolve_uri(None, folder) == f"sqlite:///{tmp_path}/digits/mlflow.db"
    assert resolve_uri("sqlite:///x.db", folder) == "sqlite:///x.db"
    assert resolve_uri("http://host:5000/", folder) == "http://host:5000"
    assert resolve_uri("postgresql://me@host/db", folder) == "postgresql+psycopg://me@host/db"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"http://me:{SECRET}@host:5000/x", "http://***@host:5000/x"),
        (f"postgresql://me:{SECRET}@host/db?sslmode=on", "postgresql://***@host/db?sslmode=on"),
        (f"http://host/x?token={SECRET}&a=1", "http://host/x?token=***&a=1"),
        (f"http://me:{SECRET}@host:no/x", "http://***@host:no/x"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
    ],
)
def test_credentials_are_never_shown(text: str, shown: str, tmp_path: Path) -> None:
    assert display_uri(text) == shown
    assert redacted(f"cannot reach {text}") == f"cannot reach {shown}"
    with pytest.raises(InvalidInput) as refusal:
        resolve_uri(f"ftp://me:{SECRET}@host/x", StudyFolder(tmp_path, "digits"))
    assert SECRET not in str(refusal.value)


# The thread


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_the_thread_projects_what_it_is_woken_for(folder: StudyFolder, empty_store: Path) -> None:
    rows = rows_of(events())
    seen: list[Row] = rows[:6]
    projection = MlflowProjection(None, folder, "digits")
    thread = ProjectionThread(lambda after: [row for row in seen if row.seq > after], projection, interval=0.01)
    thread.wake()
    wait_until(lambda: projection.position == 6)
    seen = rows
    thread.wake()
    assert thread.close(60, FinalState("interrupted", {"best.yaml": "loss: hinge\n"}))
    assert thread.error is None
    once = make_once(folder, empty_store, rows)
    state = state_of(folder)
    assert state[UID]["status"] == "KILLED"
    assert state[f"{UID}/0"] == once[f"{UID}/0"]


def test_what_took_long_is_followed_by_a_longer_pause_that_the_end_breaks(folder: StudyFolder) -> None:
    rows = rows_of(events())
    seen: list[Row] = rows[:6]
    caught_up = threading.Event()

    def read(after: int) -> list[Row]:
        new = [row for row in seen if row.seq > after]
        if not new:
            caught_up.set()
        return new

    projection = MlflowProjection(None, folder, "digits")
    thread = ProjectionThread(read, projection, interval=0.01, share=1e-9)
    thread.wake()
    assert caught_up.wait(60)
    seen = rows
    thread.wake()
    time.sleep(0.5)  # fifty intervals
    assert projection.position == 6
    began = time.monotonic()
    assert thread.close(60, FinalState("finished"))
    assert projection.position == len(rows)
    assert time.monotonic() - began < mlflow_thread.LONGEST_PAUSE


def test_a_dead_server_is_reported_once_and_holds_nobody(
    tmp_path: Path, closed_port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_thread, "FIRST_RETRY", 0.01)
    uri = f"http://me:{SECRET}@127.0.0.1:{closed_port}"
    projection = MlflowProjection(uri, StudyFolder(tmp_path, "digits"), "digits")
    reads = []
    thread = ProjectionThread(lambda after: reads.append(after) or [], projection)  # type: ignore[func-returns-value]
    thread.wake()
    wait_until(lambda: thread.error is not None)
    assert not thread.close(60, FinalState("finished"))
    assert "127.0.0.1" in str(thread.error)
    assert reads == []  # nothing is read while the server is down
    warnings = [record for record in caplog.records if record.name == "study.mlflow.thread"]
    assert len(warnings) == 1
    assert SECRET not in caplog.text + str(thread.error)
    with pytest.raises(GanStudyError, match="run sync again") as failure:
        sync(reader([]), projection)
    assert SECRET not in str(failure.value)


@pytest.fixture
def mlflow_server(tmp_path: Path, closed_port: int) -> Iterator[Callable[[], None]]:
    """Start an MLflow server on `closed_port` when called."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(closed_port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db"]
        command += ["--artifacts-destination", str(tmp_path / "server-artifacts")]
        command += ["--uvicorn-opts", "--timeout-graceful-shutdown 1"]
        started.append(subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(30)


@pytest.mark.slow
def test_the_thread_catches_up_when_the_server_comes(
    folder: StudyFolder, closed_port: int, mlflow_server: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_thread, "LAST_RETRY", 1.0)
    for kimg in (0, 5):
        draw_sample(folder, 0, kimg)
    rows = rows_of(events())
    projection = MlflowProjection(f"http://127.0.0.1:{closed_port}", folder, "digits")
    thread = ProjectionThread(reader(rows), projection)
    thread.wake()
    wait_until(lambda: thread.error is not None)
    mlflow_server()
    wait_until(lambda: thread.error is None and projection.position == len(rows))
    assert thread.close(60, FinalState("finished"))

    again = MlflowProjection(projection.uri, folder, "digits")
    assert sync(reader(rows), again) == Counts()
    client = open_client(projection.uri)
    experiment = client.get_experiment_by_name("ganstudy/digits")
    assert experiment is not None
    runs = {run.data.tags[UID_TAG]: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == 1 + 5
    trial = runs[f"{UID}/0"].info.run_id
    history = [(point.step, point.timestamp, point.value) for point in client.get_metric_history(trial, "scores/fid")]
    assert history == [(5, milliseconds(6), 90.0), (10, milliseconds(11), 40.0)]
    assert logged_pictures(client, trial) == {(SAMPLES, 0), (SAMPLES, 5)}
