"""Runs as an earlier ganstudy wrote them: found by their tags, and brought up to date under their ids."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Ended, Event, Reported, StudyOpened, TrialProposed
from study.ledger.records import fold
from study.ledger.rows import Row
from study.mlflow.database import ready_database, sqlite_uri
from study.mlflow.experiment import holding_experiment, runs_anywhere
from study.mlflow.models import models_of
from study.mlflow.projection import FinalState, MlflowProjection
from study.mlflow.runs import find_run
from study.mlflow.store import open_client, resolve_uri
from study.mlflow.tags import NOTE, renew
from study.mlflow.thread import sync
from study.mlflow.ui import find_study
from study.older.runs import last_row, set_runs_aside
from study.verify.check import Check, run_check
from study.verify.mlflow_runs import check_mlflow
from trainables.errors import GanStudyError

UID = "5f1c2d3e4f5a"
CONFIG: dict[str, Any] = {
    "name": "digits",
    "trials": 2,
    "data": {"name": "digits"},
    "schedule": {"grace_kimg": 5, "max_kimg": 10, "reduction_factor": 2},
    "evaluation": {"count": 200},
    "mlflow": {"uri": None},
}
EVENTS: list[Event] = [
    StudyOpened(UID, CONFIG, "sha256:abc", 1.5, 800.0, {"torch": "2.15"}),
    TrialProposed(0, {"loss": "hinge"}, {}, "sampler", {}),
    AttemptStarted(0, 1),
    Reported(0, 5, 1, {"kimg": 5.0, "fid": 90.0, "fid_best": 90.0}),
    Ended(0, 1, 5, "stopped", 5, None),
    TrialProposed(1, {"loss": "hinge"}, {}, "sampler", {}),
    AttemptStarted(1, 1),
    Reported(1, 10, 1, {"kimg": 10.0, "fid": 40.0, "fid_best": 40.0}),
    Ended(1, 1, 10, "completed", None, None),
]
ROWS = [Row(seq, 1.76e9 + seq, 1, event) for seq, event in enumerate(EVENTS, start=1)]
UIDS = (UID, f"{UID}/0", f"{UID}/1")


def earlier_runs(client: Any, artifacts: str) -> None:
    """Make the store as commit 387c93e left it: its tags and the names of its metrics, without data sets and models."""
    experiment = client.create_experiment("ganstudy/digits", artifacts)
    parent = ""
    for uid in UIDS:
        number = uid.partition("/")[2]
        mine = [row for row in ROWS if not number or getattr(row.event, "trial", -1) == int(number)]
        tags = {
            "ganstudy.uid": uid,
            "ganstudy.study": UID,
            "ganstudy.kind": "trial" if number else "study",
            "ganstudy.state": "completed",
            "ganstudy.seq": str(mine[-1].seq),
        }
        if number:
            tags |= {"mlflow.parentRunId": parent, "ganstudy.trial": number, "ganstudy.group": "search"}
            tags |= {"ganstudy.order": "1 0999999990 0000000040.000000000", "mlflow.runName": f"trial-000{number}"}
        else:
            tags |= {"ganstudy.version.torch": "2.15", "ganstudy.trials": "2", "ganstudy.trials.stopped": "1"}
            tags |= {"ganstudy.note": tags["ganstudy.seq"], "ganstudy.files": json.dumps({"study.yaml": "0" * 16})}
        run = client.create_run(experiment, start_time=round((1.76e9 + mine[0].seq) * 1000), tags=tags)
        parent = parent or run.info.run_id
        for row in mine:
            if number and isinstance(row.event, Reported):
                at, step = round(row.written_at * 1000), row.event.kimg
                for name, value in row.event.metrics.items():
                    client.log_metric(run.info.run_id, name, value, at, step)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = StudyFolder(tmp_path_factory.mktemp("earlier"), "digits")
    folder.path.mkdir()
    ready_database(sqlite_uri(folder.mlflow_db), folder.mlflow_artifacts.as_uri(), ours=True)
    earlier_runs(open_client(resolve_uri(None, folder)), folder.mlflow_artifacts.as_uri())
    return folder.path


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(template, tmp_path / "digits")
    return StudyFolder(tmp_path, "digits")


@pytest.fixture
def client(folder: StudyFolder) -> Any:
    return open_client(resolve_uri(None, folder))


def synced(folder: StudyFolder, rows: list[Row] = ROWS) -> Any:
    projection = MlflowProjection(None, folder, folder.name)
    return sync(lambda after: [row for row in rows if row.seq > after], projection, FinalState("finished"))


def verified(folder: StudyFolder) -> Check:
    study = fold(ROWS, live=False)
    return run_check("MLflow", lambda counts: check_mlflow(folder, study, lambda: ROWS, False, counts))


def test_they_are_found(folder: StudyFolder, client: Any) -> None:
    held = holding_experiment(client, "another name", UID)
    assert held is not None
    assert held.name == "ganstudy/digits"
    assert {run.data.tags["ganstudy.uid"] for run in runs_anywhere(client, UID)} == {*UIDS}
    found = find_run(client, held.experiment_id, f"{UID}/1")
    assert found is not None
    assert found.data.tags["ganstudy.trial"] == "1"
    assert last_row(client, UID) == len(ROWS)
    assert find_study(resolve_uri(None, folder), "digits")
    assert "an earlier ganstudy wrote MLflow's runs; `ganstudy sync digits`" in str(verified(folder).note)


@pytest.mark.parametrize("killed_after", [None, 0, 3])
def test_sync_brings_them_up_to_date(
    folder: StudyFolder, client: Any, killed_after: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it is killed while it renews the tags of the first run: before any of them, or between them."""
    before = {run.data.tags["ganstudy.uid"]: run.info.run_id for run in runs_anywhere(client, UID)}
    if killed_after is not None:
        delete, left = client.delete_tag, [*range(killed_after)]
        with monkeypatch.context() as patch:
            patch.setattr(client, "delete_tag", lambda *tag: (left.pop(), delete(*tag)))
            with pytest.raises(IndexError):
                renew(client, client.get_run(before[UID]))
    counts = synced(folder)
    assert counts.runs == 0
    after = {run.data.tags["mlflow.ganstudy.uid"]: run for run in runs_anywhere(client, UID)}
    assert {uid: run.info.run_id for uid, run in after.items()} == before
    assert verified(folder).problem is None
    assert verified(folder).counts == {"runs": 3, "points": 6, "models": 2}
    shown = {name for run in after.values() for name in run.data.tags if not name.startswith("mlflow.")}
    assert shown == {
        *("ganstudy.state", "ganstudy.fingerprint", "ganstudy.versions", "ganstudy.trials"),
        *("ganstudy.best_trial", "ganstudy.best_fid", "ganstudy.trial", "ganstudy.origin", "ganstudy.rung"),
    }
    assert after[UID].data.tags["ganstudy.trials"] == "1 completed, 1 stopped"
    assert "is finished" in after[UID].data.tags[NOTE]
    assert len(models_of(client, after[UID].info.experiment_id)) == 2
    again = synced(folder)
    assert (again.runs, again.points) == (0, 0)


def test_what_somebody_deleted_stays_deleted(folder: StudyFolder, client: Any) -> None:
    (trial,) = [run for run in runs_anywhere(client, UID) if run.data.tags["ganstudy.uid"] == f"{UID}/1"]
    client.delete_run(trial.info.run_id)
    synced(folder)
    assert client.get_run(trial.info.run_id).info.lifecycle_stage == "deleted"


def test_an_older_ledger_is_told_by_them(folder: StudyFolder, client: Any) -> None:
    with pytest.raises(GanStudyError, match=f"has row {len(ROWS)} of digits, whose ledger ends at row 5"):
        synced(folder, ROWS[:5])
    assert set_runs_aside(client, UID, "2026") == 3
    assert runs_anywhere(client, UID) == []
    assert synced(folder, ROWS[:5]).runs == 2
