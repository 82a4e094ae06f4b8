"""A study in a real MLflow server, on SQLite and on PostgreSQL: what its users see, over HTTP."""

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pandas as pd
import pytest
from made_up import big_ledger
from PIL import Image
from postgresql import Server
from toys import toy_config

from study.analysis.ranking import rank
from study.folder import StudyFolder
from study.ledger.ledger import Ledger
from study.ledger.records import fold
from study.ledger.rows import Row
from study.mlflow.images import SAMPLES, logged_pictures, picture_file
from study.mlflow.projection import MlflowProjection
from study.mlflow.runs import Counts
from study.mlflow.store import open_client
from study.mlflow.tags import KIND
from study.mlflow.thread import sync
from study.mlflow.ui import find_study
from study.mlflow.view import SORT_BY, trials_filter, view_id
from study.running.final_state import final_state
from study.verify.mlflow_runs import check_mlflow

pytestmark = pytest.mark.slow
TRIALS = 12


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server."""
    store = f"sqlite:///{tmp_path}/server.db"
    if request.param == "postgresql":
        database: Server = request.getfixturevalue("postgresql")
        store = database.url.replace("postgresql://", "postgresql+psycopg://")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", store, "--artifacts-destination", str(tmp_path / "server-artifacts")]
    command += ["--uvicorn-opts", "--timeout-graceful-shutdown 1"]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        try:
            await_health(f"http://127.0.0.1:{port}", process, tmp_path / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def await_health(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 240
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            with urlopen(f"{address}/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)


def ask(address: str, what: str, **body: Any) -> dict[str, Any]:
    """Post to MLflow's REST interface, as its pages do."""
    request = Request(
        f"{address}/api/2.0/mlflow/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


def plain(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: pair.get("value") for pair in pairs}


def rows_of(folder: StudyFolder) -> list[Row]:
    with Ledger.open(folder.ledger, schema=folder.name, create=False) as ledger:
        return [*ledger.read()]


def test_a_server_shows_the_study_as_the_ledger_has_it(server: str, tmp_path: Path) -> None:
    config = toy_config(trials=TRIALS, mlflow={"uri": server}, storage={"path": str(tmp_path / "runs")})
    folder = big_ledger(config, config.folder.root, TRIALS, seed=3)
    rows = rows_of(folder)
    study = fold(rows, live=False)
    best = rank(study.trials)[0].trial
    for kimg in (0, best.kimg):
        file = picture_file(folder.samples(best.number), kimg)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (40, 40), color=kimg).save(file)

    def of_study() -> dict[str, Any]:
        (experiment,) = [
            one
            for one in ask(server, "experiments/search", max_results=100)["experiments"]
            if one["name"] == f"ganstudy/{folder.name}"
        ]
        query = f"tags.`{KIND}` = 'study'"
        (run,) = ask(server, "runs/search", experiment_ids=[experiment["experiment_id"]], filter=query)["runs"]
        return {"experiment": experiment, **run}

    # A driver that was killed half-way: MLflow shows RUNNING, as nobody was left to say otherwise; sync mends it.
    half = rows[: len(rows) // 2]
    MlflowProjection(server, folder, folder.name).project(half)
    assert of_study()["info"]["status"] == "RUNNING"
    assert "is running" in plain(of_study()["data"]["tags"])["mlflow.note.content"]
    place = tmp_path / "ending"
    place.mkdir()
    end = final_state(fold(half, live=False), folder, place)
    sync(lambda after: [row for row in half if row.seq > after], MlflowProjection(server, folder, folder.name), end)
    assert of_study()["info"]["status"] == "KILLED"
    assert "was interrupted" in plain(of_study()["data"]["tags"])["mlflow.note.content"]

    end = final_state(study, folder, place)
    sync(lambda after: [row for row in rows if row.seq > after], MlflowProjection(server, folder, folder.name), end)
    parent = of_study()
    run_id, experiment_id = parent["info"]["run_id"], parent["info"]["experiment_id"]
    tags = plain(parent["data"]["tags"])
    assert parent["info"]["status"] == "FINISHED"
    assert tags["ganstudy.best_trial"] == str(best.number)
    assert tags["mlflow.note.content"].startswith(f"**{folder.name}** is finished. {TRIALS} of {TRIALS} trials: ")
    (data,) = parent["inputs"]["dataset_inputs"]
    assert (data["dataset"]["name"], data["dataset"]["digest"]) == ("digits", study.fingerprint)

    # One run for each trial with all its points, in the order of the ranking; those that are not ranked come last.
    counts = Counter[str]()
    assert check_mlflow(folder, study, lambda: rows, live=False, counts=counts) is None
    assert counts["runs"] == 1 + TRIALS
    query = trials_filter(study.uid)
    trials = ask(server, "runs/search", experiment_ids=[experiment_id], filter=query, order_by=[f"{SORT_BY} ASC"])[
        "runs"
    ]
    numbers = [int(plain(run["data"]["tags"])["ganstudy.trial"]) for run in trials]
    ranked = [r.trial.number for r in rank(study.trials)]
    assert numbers[: len(ranked)] == ranked
    assert sorted(numbers) == list(range(TRIALS))
    values = plain(trials[0]["data"]["metrics"])
    last = best.reports[-1].metrics
    assert values["scores/fid"] == best.fid
    assert values["cpu_seconds"] == last["train_seconds"] + last["eval_seconds"]  # one CPU for each trial
    assert f"/runs/{trials[0]['info']['run_id']}" in tags["mlflow.note.content"]
    client = open_client(server)
    assert logged_pictures(client, trials[0]["info"]["run_id"]) == {(SAMPLES, 0), (SAMPLES, best.kimg)}

    # The files, among them the table of trials.
    with urlopen(f"{server}/get-artifact?path=trials.csv&run_uuid={run_id}", timeout=60) as answer:
        table = pd.read_csv(answer)
    assert list(table.dropna(subset="rank").sort_values("rank")["trial"]) == ranked
    files = {file.path for file in client.list_artifacts(run_id)}
    assert files == {"best.yaml", "report.html", "study.yaml", "trials.csv", "trials.parquet"}
    assert view_id(study.uid) in find_study(server, folder.name)

    again = MlflowProjection(server, folder, folder.name)
    assert sync(lambda after: [row for row in rows if row.seq > after], again, end) == Counts()
    assert of_study() == parent
