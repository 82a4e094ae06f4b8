"""A study's experiment in MLflow is known by its runs, whatever people call it and whatever else bears its name."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Ended, Reported, StudyOpened, TrialProposed
from study.ledger.records import fold
from study.ledger.rows import Row
from study.mlflow.database import ready_database, sqlite_uri
from study.mlflow.experiment import holding_experiment
from study.mlflow.projection import FinalState, MlflowProjection
from study.mlflow.store import open_client, resolve_uri
from study.mlflow.tags import UID as TAG
from study.mlflow.thread import sync
from study.verify.check import Check, run_check
from study.verify.mlflow_runs import check_mlflow

UID = "5f1c2d3e4f5a"
CONFIG = {
    "name": "digits",
    "trials": 1,
    "schedule": {"grace_kimg": 5, "max_kimg": 5, "reduction_factor": 3},
    "mlflow": {"uri": None},
}
EVENTS = [
    StudyOpened(UID, CONFIG, "sha256:abc", 1.5, 800.0, {}),
    TrialProposed(0, {"loss": "hinge"}, {}, "sampler", {}),
    AttemptStarted(0, 1),
    Reported(0, 5, 1, {"kimg": 5.0, "fid": 90.0, "fid_best": 90.0}),
    Ended(0, 1, 5, "completed", None, None),
]
ROWS = [Row(seq, 1.76e9 + seq, 1, event) for seq, event in enumerate(EVENTS, start=1)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the study, all of it."""
    folder = StudyFolder(tmp_path_factory.mktemp("names"), "digits")
    folder.path.mkdir()
    ready_database(sqlite_uri(folder.mlflow_db), folder.mlflow_artifacts.as_uri(), ours=True)
    synced(folder)
    return folder.path


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(template, tmp_path / "digits")
    return StudyFolder(tmp_path, "digits")


@pytest.fixture
def client(folder: StudyFolder) -> Any:
    return open_client(resolve_uri(None, folder))


def synced(folder: StudyFolder) -> Any:
    """What `ganstudy sync` sends."""
    projection = MlflowProjection(None, folder, folder.name)
    return sync(lambda after: [row for row in ROWS if row.seq > after], projection, FinalState("finished"))


def verified(folder: StudyFolder) -> Check:
    study = fold(ROWS, live=False)
    return run_check("MLflow", lambda counts: check_mlflow(folder, study, lambda: ROWS, False, counts))


def experiment(client: Any, name: str = "ganstudy/digits") -> str:
    return str(client.get_experiment_by_name(name).experiment_id)


def uids(client: Any) -> Counter[str]:
    """The active runs of all experiments, by uid."""
    found = client.search_runs([e.experiment_id for e in client.search_experiments()])
    return Counter(run.data.tags[TAG] for run in found if TAG in run.data.tags)


ONCE = {UID: 1, f"{UID}/0": 1}


def rename(client: Any) -> None:
    client.rename_experiment(experiment(client), "the one for the paper")


def rename_and_replace(client: Any) -> None:
    rename(client)
    other = client.create_experiment("ganstudy/digits")
    client.create_run(other)


def rename_and_archive_another(client: Any) -> None:
    rename_and_replace(client)
    client.delete_experiment(experiment(client))


def rename_and_archive(client: Any) -> None:
    rename(client)
    client.delete_experiment(experiment(client, "the one for the paper"))


@pytest.mark.parametrize("what", [rename, rename_and_replace, rename_and_archive_another, rename_and_archive])
def test_sync_and_verify_find_the_runs(what: Any, folder: StudyFolder, client: Any) -> None:
    home = experiment(client)
    before = len(client.search_experiments())
    what(client)
    if what is not rename_and_archive:
        assert verified(folder).problem is None
    counts = synced(folder)
    assert counts.runs == counts.points == 0
    assert uids(client) == ONCE
    assert verified(folder).problem is None
    found = holding_experiment(client, "ganstudy/digits", UID)
    assert found is not None
    assert (found.experiment_id, found.name, found.lifecycle_stage) == (home, "the one for the paper", "active")
    assert len(client.search_experiments()) == before + (what is rename_and_replace)


def test_runs_in_two_experiments_are_named(folder: StudyFolder, client: Any) -> None:
    """As an earlier ganstudy left them where an experiment had been renamed."""
    rename(client)
    second = client.create_experiment("ganstudy/digits")
    client.create_run(second, tags={TAG: UID})
    found = verified(folder).problem
    assert found is not None
    assert "the study has 2 MLflow runs" in found
    assert "'ganstudy/digits' and 'the one for the paper'" in found
    assert "delete" in found
    client.delete_experiment(second)  # as it says
    assert verified(folder).problem is None
    assert synced(folder).runs == 0
    assert client.get_experiment(second).lifecycle_stage == "deleted"
    assert uids(client) == ONCE


def test_another_study_of_the_same_name_shares_the_experiment(folder: StudyFolder, client: Any) -> None:
    other = [Row(1, 1.77e9, 1, StudyOpened("0a1b2c3d4e5f", CONFIG, "sha256:abc", 1.5, 800.0, {}))]
    MlflowProjection(None, folder, "digits").project(other)
    assert uids(client) == ONCE | {"0a1b2c3d4e5f": 1}
    assert {run.info.experiment_id for run in client.search_runs([experiment(client)])} == {experiment(client)}
