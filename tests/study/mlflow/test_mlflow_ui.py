"""`ganstudy ui`: a real server on the study's store, and the address that opens the leaderboard."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import psutil
import pytest

from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Reported, StudyOpened, TrialProposed
from study.ledger.rows import Row
from study.mlflow.projection import MlflowProjection
from study.mlflow.ui import HOST, find_study, free_port, serve
from study.mlflow.view import SORT_BY, trials_filter, view_id, view_url
from trainables.errors import GanStudyError, InvalidInput

UID = "0a1b2c3d"
SERVE = """
import sys
from pathlib import Path
import typer
from study.terminal.errors import run
from study.folder import StudyFolder
from study.mlflow.ui import serve
app = typer.Typer()
@app.command()
def ui(root: Path, port: int) -> None:
    serve(StudyFolder(root, "digits"), None, port, echo=lambda line: print(line, flush=True))
sys.exit(run(app))
"""


def query_of(address: str) -> dict[str, list[str]]:
    """The query after the `#`, where MLflow's pages read it."""
    return parse_qs(urlsplit(urlsplit(address).fragment).query)


def test_the_address_opens_the_saved_view_or_filters_by_itself() -> None:
    saved = view_url("http://me:hunter2@host:5000/mlflow/", "3", UID, saved=True)
    assert saved.startswith("http://host:5000/mlflow/#/experiments/3/runs?")
    assert query_of(saved) == {"workflowType": ["machine_learning"], "viewStateShareKey": [view_id(UID)]}
    plain = query_of(view_url("http://host:5000", "3", UID, saved=False))
    assert plain["searchFilter"] == [trials_filter(UID)]
    assert (plain["orderByKey"], plain["orderByAsc"]) == ([SORT_BY], ["true"])


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_taken_port_is_passed_over(taken_port: int) -> None:
    assert free_port(taken_port) > taken_port


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_no_port(port: int) -> None:
    with pytest.raises(InvalidInput, match=f"port {port}: use 1 to 65535"):
        free_port(port)


def test_a_study_that_was_never_projected_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GanStudyError, match="run `ganstudy sync digits`"):
        serve(StudyFolder(tmp_path, "digits"), None)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        closed = probe.getsockname()[1]
    with pytest.raises(GanStudyError, match="check the address") as failure:
        serve(StudyFolder(tmp_path, "digits"), f"http://me:hunter2@{HOST}:{closed}")
    assert "hunter2" not in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.fixture
def projected(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path, "digits")
    config = {"name": "digits", "trials": 1, "schedule": {"grace_kimg": 5, "max_kimg": 10}}
    events = [
        StudyOpened(UID, config, "sha256:abc", 1.5, 800.0, {}),
        TrialProposed(0, {"loss": "hinge"}, {}, "sampler", {}),
        AttemptStarted(0, 1),
        Reported(0, 5, 1, {"fid": 90.0}),
    ]
    rows = [Row(seq, 1.76e9 + seq, 1, event) for seq, event in enumerate(events, start=1)]
    MlflowProjection(None, folder, "digits").project(rows)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_serve_starts_shows_and_ends_a_server(projected: StudyFolder, taken_port: int, how: signal.Signals) -> None:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-c", SERVE, str(projected.root), str(taken_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            parts = urlsplit(address)
            server = f"http://{parts.netloc}"
            assert parts.hostname == HOST
            assert parts.port != taken_port
            listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
            assert {c.laddr.ip for c in listening if c.laddr.port == parts.port} == {HOST}
            assert find_study(server, "digits") == find_study(server, "digits", UID) == address
            assert query_of(address)["viewStateShareKey"] == [view_id(UID)]
            with urlopen(f"{server}/api/2.0/mlflow/experiments/get-by-name?experiment_name=ganstudy/digits") as answer:
                experiment = json.load(answer)["experiment"]
            assert f"/experiments/{experiment['experiment_id']}/runs?" in address
            with pytest.raises(GanStudyError, match="run `ganstudy sync other`"):
                find_study(server, "other")
        finally:
            process.send_signal(how)
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert code == 0
    with pytest.raises(URLError):
        urlopen(f"{server}/health", timeout=5)
