"""What goes wrong with MLflow: it costs the study no result, and its end a minute at most."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from fault_studies import Driver, Record, Struck, check_promises, one_line_error, results, struck, wait_until
from test_mlflow_exchange import DRIPS, FLOODS, serving

from study.ledger.events import StudyOpened
from study.ledger.ledger import Ledger
from study.ledger.records import StudyRecord
from study.mlflow.database import sqlite_uri
from study.mlflow.store import open_client
from study.running.launch import _MLFLOW_SECONDS_AT_END
from study.study_file.config import StudyConfig

pytestmark = pytest.mark.slow

SLACK = 120.0  # for Ray to shut down on a busy machine


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of ours that nobody answers on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield one


@pytest.mark.parametrize("how", ["never up", "hung"])
def test_an_mlflow_that_does_not_answer(
    study: Struck, whole: StudyRecord, listener: socket.socket, record: Record, how: str
) -> None:
    if how == "hung":
        listener.listen(64)  # the kernel accepts; nothing is ever answered
    study.changes["mlflow"] = {"uri": f"http://127.0.0.1:{listener.getsockname()[1]}"}
    driver = study.start(MLFLOW_HTTP_REQUEST_TIMEOUT="5")
    assert driver.wait() == 0, driver.output
    delay = time.time() - study.rows()[-1].written_at
    assert delay < _MLFLOW_SECONDS_AT_END + SLACK
    assert "Traceback" not in driver.output, driver.output
    assert "MLflow is behind" in driver.output
    assert "ganstudy sync struck" in driver.output
    assert results(check_promises(study)) == results(whole)
    record(f"MLflow {how}", "exit 0 and 'MLflow is behind', end within a minute", "so; results equal", delay)


Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def server(tmp_path: Path, listener: socket.socket) -> Iterator[tuple[str, Start]]:
    """An address, and a function that starts an MLflow server there on the store of a name."""
    port = listener.getsockname()[1]
    listener.close()
    started: list[subprocess.Popen[bytes]] = []
    uri = f"http://127.0.0.1:{port}"

    def healthy() -> bool:
        assert started[-1].poll() is None, (tmp_path / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def start(name: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{tmp_path}/{name}.db"]
        command += ["--artifacts-destination", str(tmp_path / name)]
        with (tmp_path / "server.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)
        wait_until(healthy, "the MLflow server")
        return process

    yield uri, start
    for process in started:
        kill(process)


def kill(server: "subprocess.Popen[bytes]") -> None:
    """End the server and its workers."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)


def points(uri: str) -> tuple[dict[int, str], set[tuple[int, int, float]]]:
    """The state of each trial's run, and (trial, kimg, FID) of every point."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("ganstudy/struck")
    assert experiment is not None
    states: dict[int, str] = {}
    found: set[tuple[int, int, float]] = set()
    for run in client.search_runs([experiment.experiment_id]):
        if "ganstudy.trial" in run.data.tags:
            number = int(run.data.tags["ganstudy.trial"])
            assert number not in states, "two runs for one trial"
            states[number] = run.data.tags["ganstudy.state"]
            history = client.get_metric_history(run.info.run_id, "scores/fid")
            assert len(history) == len({point.step for point in history})
            found |= {(number, point.step, point.value) for point in history}
    return states, found


def test_an_mlflow_server_is_killed_and_restarted(study: Struck, server: tuple[str, Start], record: Record) -> None:
    uri, start = server
    driver = killed_server(study, uri, start("kept"))
    start("kept")
    before = time.monotonic()
    study.open()
    assert driver.wait() == 0, driver.output
    seconds = time.monotonic() - before
    found = check_promises(study)
    if "MLflow is behind" in driver.output:  # on a machine so busy that the last minute was too short for it
        sync = study.start(command="sync")
        assert sync.wait() == 0, sync.output
    check_shown(uri, found)
    record("MLflow killed and restarted", "the study catches up by itself", "every run and point, once", seconds)


def check_shown(uri: str, found: StudyRecord) -> None:
    """MLflow has one run of each trial, and each point once, as the ledger has them."""
    states, shown = points(uri)
    assert states == {trial.number: trial.state.value for trial in found.trials}
    assert shown == {(trial.number, kimg, fid) for trial in found.trials for kimg, fid in trial.curve.items()}


def test_an_mlflow_server_is_killed_and_replaced_by_an_empty_one(
    study: Struck, whole: StudyRecord, server: tuple[str, Start], record: Record
) -> None:
    uri, start = server
    driver = killed_server(study, uri, start("first"))
    study.open()
    assert driver.wait() == 0, driver.output
    assert "MLflow is behind" in driver.output
    found = check_promises(study)
    assert results(found) == results(whole)

    start("second")
    before = time.monotonic()
    sync = study.start(command="sync")
    assert sync.wait() == 0, sync.output
    seconds = time.monotonic() - before
    check_shown(uri, found)
    record("MLflow killed, then replaced by an empty one", "`sync` brings everything", "every run and point", seconds)


def killed_server(study: Struck, uri: str, server: "subprocess.Popen[bytes]") -> Driver:
    """The driver of a study whose gate is closed, and whose server was killed once it had shown something."""
    study.changes["mlflow"] = {"uri": uri}
    driver = study.start(faults=[study.closed()])
    study.wait_for(2, driver)
    wait_until(lambda: first_points(uri), "points in MLflow")
    kill(server)
    return driver


def first_points(uri: str) -> bool:
    """Whether the study has begun to be shown."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("ganstudy/struck")
    return bool(
        experiment and any("scores/fid" in r.data.metrics for r in client.search_runs([experiment.experiment_id]))
    )


def test_a_study_in_an_odd_folder_whose_store_was_half_made_and_whose_experiment_was_renamed(
    tmp_path: Path, record: Record
) -> None:
    """The whole road once; an earlier launch was killed while MLflow made its tables."""
    odd = tmp_path / "odd ?#%20 é"
    with struck(odd, trials=2) as study:
        study.path.mkdir(parents=True)
        with sqlite3.connect(study.path / "mlflow.db") as begun:
            begun.execute("CREATE TABLE experiments (experiment_id INTEGER)")
        driver = study.start()
        assert driver.wait() == 0, driver.output
        assert "MLflow is behind" not in driver.output, driver.output
        assert "half made" in driver.output
        found = check_promises(study)
        record("MLflow's store half made by a driver that was killed", "made anew", "so; MLflow complete")

        uri = sqlite_uri(study.path / "mlflow.db")
        check_shown(uri, found)
        client = open_client(uri)
        experiment = client.get_experiment_by_name("ganstudy/struck")
        assert experiment is not None
        client.rename_experiment(experiment.experiment_id, "for the paper")
        done = {name: ran(study, name) for name in ("sync", "verify", "best", "report")}
        assert "sent: 0 runs, 0 points" in done["sync"]
        assert "as the ledger says, all of it" in done["verify"]
        assert {e.name for e in client.search_experiments()} == {"Default", "for the paper"}
        record("experiment renamed by hand, then `sync`", "the same runs, no second experiment", "so; `verify` agrees")

        ran(study, "export-optuna", sqlite_uri(odd / "optuna.db"))
        here = {path.name for path in odd.iterdir()} - {log.log.name for log in study.drivers}
        assert here == {"runs", "study.yaml", "optuna.db"}
        assert [path.name for path in tmp_path.iterdir()] == [odd.name]
        record("`?`, `#`, `%20` in the storage path", "all in it, nothing beside it", "launch to export-optuna: so")


def ran(study: Struck, command: str, *arguments: str) -> str:
    """What a command that must succeed printed."""
    process = study.start(*arguments, command=command)
    assert process.wait() == 0, process.output
    return process.output


@pytest.mark.parametrize("how", ["drips", "floods"])
def test_an_mlflow_server_that_does_not_end(tmp_path: Path, record: Record, how: str) -> None:
    kind = DRIPS["body"] if how == "drips" else FLOODS["3 GB announced"]
    with serving(kind, 0.5 if how == "drips" else 0.0) as uri, struck(tmp_path, mlflow={"uri": uri}) as study:
        config = StudyConfig.model_validate(study.config)
        study.path.mkdir(parents=True)
        (study.path / "study.yaml").write_text(yaml.safe_dump(config.to_dict()))
        with Ledger.open(study.ledger, schema="struck", create=True) as ledger, ledger.own("host", 1) as writer:
            writer.append(StudyOpened("5f1c2d3e4f5a", config.to_dict(), "sha256:abc", 1.5, 800.0, {}))
        sync = study.start(command="sync", MLFLOW_HTTP_REQUEST_TIMEOUT="3")
        before = time.monotonic()
        code = sync.wait()
        seconds = time.monotonic() - before
        assert code == 1, sync.output
        line = one_line_error(sync.output)
        limit = "the exchange took longer than 3 s" if how == "drips" else "the answer has more than 16 MiB"
        assert limit in line
        record(f"MLflow server {how}, `sync`", "ends in one line at a stated limit", f"`{limit}`", seconds)
