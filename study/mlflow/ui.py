"""`ganstudy ui`: MLflow's own pages on a study's store, opened at its leaderboard."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from study.folder import StudyFolder
from study.mlflow.database import check_database
from study.mlflow.exchange import LimitedSession, LimitExceeded
from study.mlflow.experiment import holding_experiment
from study.mlflow.settings import prepare_environment
from study.mlflow.store import display_uri, experiment_name, is_server, one_line, open_client, resolve_uri
from study.mlflow.tags import KIND, STUDY, earlier, known
from study.mlflow.view import TAG_PREFIX, view_id, view_url
from study.study_file.addresses import database_file
from trainables.display import one_line as shown_line
from trainables.errors import GanStudyError, InvalidInput

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

HOST = "127.0.0.1"
_START_SECONDS = 90.0
_STOP_SECONDS = 5.0
_PORTS_TRIED = 50


def serve(
    folder: StudyFolder,
    uri: str | None,
    port: int = 5000,
    uid: str | None = None,
    echo: Callable[[str], None] = print,
) -> None:
    """Show the study in MLflow: serve until Ctrl-C, or just print the address if the store is a running server.

    Args:
        folder: the study's.
        uri: its MLflow store, None for the embedded one. For `http(s)://` no server is started.
        port: on the loopback address; if it is taken, the next free one.
        uid: of the study; None for the newest of this name in the store.
        echo: prints a line.

    Raises:
        InvalidInput: if `uri` or `port` is not valid.
        GanStudyError: if the study is not in MLflow, or the server does not answer or start.
    """
    prepare_environment()
    store = resolve_uri(uri, folder)
    if is_server(store):
        echo(find_study(store, folder.name, uid))
        return
    file = database_file(store)
    if file is not None and not file.exists():
        raise GanStudyError(f"study {folder.name!r} is not in MLflow yet: run `ganstudy sync {folder.name}`")
    check_database(store, f"run `ganstudy sync {folder.name}`, which makes it anew")
    port = free_port(port)
    with _server(store, folder, port) as server:
        try:
            echo(find_study(f"http://{HOST}:{port}", folder.name, uid))
            echo("Ctrl-C ends it.")
            server.wait()
            raise GanStudyError(f"MLflow's server ended with exit code {server.returncode}: start it again")
        except KeyboardInterrupt:
            echo("MLflow's server ended.")


def find_study(server: str, name: str, uid: str | None = None) -> str:
    """Return the address of the study's leaderboard on the MLflow server `server`.

    Raises:
        GanStudyError: if the server does not answer, or does not have the study.
    """
    client = open_client(server)
    shown = display_uri(server)
    try:
        experiment = None
        if uid is not None:
            experiment = holding_experiment(client, experiment_name(name), uid)
        elif (experiment := client.get_experiment_by_name(experiment_name(name))) is not None:
            uid = _newest_study(client, experiment.experiment_id)
    except Exception as error:
        raise GanStudyError(f"MLflow at {shown}: {one_line(error)}; check the address") from error
    if experiment is None or uid is None:
        raise GanStudyError(f"study {name!r} is not in MLflow at {shown}: run `ganstudy sync {name}`")
    return view_url(server, experiment.experiment_id, uid, saved=TAG_PREFIX + view_id(uid) in experiment.tags)


def _newest_study(client: "MlflowClient", experiment_id: str) -> str | None:
    """Return the uid of the newest study in an experiment."""
    for tag in (KIND, earlier(KIND)):
        query = f"tags.`{tag}` = 'study'"
        for run in client.search_runs([experiment_id], query, max_results=1, order_by=["start_time DESC"]):
            return known(run.data.tags, STUDY)
    return None


def free_port(first: int) -> int:
    """Return the first free port from `first` on, on the loopback address.

    Raises:
        InvalidInput: if `first` is not a port, or none is free.
    """
    if not 1 <= first <= 65535:
        raise InvalidInput(f"port {first}: use 1 to 65535")
    for port in range(first, min(first + _PORTS_TRIED, 65536)):
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise InvalidInput(f"port {first}: the {_PORTS_TRIED} ports from there on are all taken; choose another")


@contextmanager
def _server(store: str, folder: StudyFolder, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    command += ["--artifacts-destination", folder.mlflow_artifacts.absolute().as_uri()]
    command += ["--uvicorn-opts", "--log-level warning --timeout-graceful-shutdown 1"]
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": store,  # not an argument: `ps` would show a database's password
        "PYTHONSAFEPATH": "1",  # no file in the study's folder hides a module
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job processes are for language models
    }
    folder.path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            command,
            env=environment,
            cwd=folder.path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C comes to us alone, and we end the whole group
        )
        try:
            _await_health(server, port, log)
            yield server
        finally:
            _end(server)


def _await_health(server: "subprocess.Popen[bytes]", port: int, log: IO[bytes]) -> None:
    session = LimitedSession()
    session.trust_env = False  # the loopback address goes through no proxy
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if session.get(f"http://{HOST}:{port}/health", timeout=5).ok:
                return
        except (LimitExceeded, OSError):  # requests' errors are OSErrors
            pass
        time.sleep(0.1)
    log.seek(0)
    said = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    reason = shown_line(said[-1], 300) if said else "it said nothing"
    raise GanStudyError(f"MLflow's server did not start on port {port}: {reason}")


def _end(server: "subprocess.Popen[bytes]") -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(server.pid, how)
            server.wait(_STOP_SECONDS)
    server.wait()
