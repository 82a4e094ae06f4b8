"""Who may talk to a local study's Ray, and that no password or token is where others can read it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from fault_studies import Driver, Record, Struck

from study.running.ray_environment import prepare_ray_environment

SECRET = "hunter2-of-the-tracking-server"
CLIENT = """
import sys
import ray
try:
    ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
    print("connected to", ray.cluster_resources()["CPU"], "CPUs")
except ConnectionError as error:
    print("refused:", error)
"""
OTHERS = {"no token": {}, "authentication off": {"RAY_AUTH_MODE": "disabled"}}


def test_every_local_ray_gets_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    for name in names:
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    prepare_ray_environment(local=False)
    assert not any(name in os.environ for name in names)
    prepare_ray_environment(local=True)
    assert os.environ["RAY_AUTH_MODE"] == "token"
    first = os.environ["RAY_AUTH_TOKEN"]
    assert len(bytes.fromhex(first)) == 32
    prepare_ray_environment(local=True)
    assert os.environ["RAY_AUTH_TOKEN"] == first, "the user's, or the one of before, stays"
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    prepare_ray_environment(local=True)
    assert os.environ["RAY_AUTH_TOKEN"] != first
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    (tmp_path / "mine").write_text(first)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "mine"))
    prepare_ray_environment(local=True)
    assert "RAY_AUTH_TOKEN" not in os.environ


def client(address: str, home: Path, **variables: str) -> "subprocess.Popen[str]":
    """A process of someone else on this machine: none of the study's variables, another home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ours = {"HOME": str(home), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    line = [sys.executable, "-c", CLIENT, address]
    return subprocess.Popen(
        line, env=kept | ours | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def command_lines(driver: Driver) -> str:
    """What `ps` shows of the driver and all that descends from it."""
    lines = []
    for process in driver.family():
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return "\n".join(lines)


def holders(folder: Path, *secrets: str) -> list[str]:
    """Files under a folder that hold one of these; links are not followed, sockets not read."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert files
    return [str(path) for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)]


@pytest.mark.slow
def test_a_local_ray_refuses_strangers_and_no_secret_is_to_be_seen(
    study: Struck, tmp_path: Path, record: Record
) -> None:
    passwords = dict.fromkeys(["MLFLOW_TRACKING_PASSWORD", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"], SECRET)
    # A home without a token of Ray's.
    driver = study.start(faults=[study.closed()], **passwords, MLFLOW_TRACKING_USERNAME="me", HOME=str(tmp_path))
    study.wait_for(4, driver)
    [raylet] = driver.raylets()
    token = raylet.environ()["RAY_AUTH_TOKEN"]
    logs = Path(next(word for word in raylet.cmdline() if word.startswith("--session_dir=")).partition("=")[2])
    address = next(word for word in raylet.cmdline() if word.startswith("--gcs-address=")).partition("=")[2]
    assert not (tmp_path / ".ray").exists(), "a token that others could read"
    assert SECRET not in command_lines(driver)
    assert token not in command_lines(driver)

    home = tmp_path / "home"
    home.mkdir()
    strangers = {name: client(address, home, **variables) for name, variables in OTHERS.items()}
    friend = client(address, home, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
    said = {name: " ".join(process.communicate()) for name, process in strangers.items()}
    for name, text in said.items():
        assert text.startswith("refused: "), (name, text)
        assert "InvalidAuthToken" in text
    text = " ".join(friend.communicate())
    assert text.startswith("connected"), text

    assert holders(logs, SECRET, token) == []
    study.open()
    assert driver.wait() == 0, driver.output
    assert SECRET not in driver.output
    assert token not in driver.output
    names = {path.name for path in study.path.iterdir()}
    assert {"ledger.db", "mlflow.db", "study.yaml", "best.yaml"} <= names
    assert holders(study.path, SECRET, token) == [], "ledger, MLflow's tags, files of the study"
    record("a client without the token", "refused by the local Ray", "refused; no token or password in ps, logs, files")
