"""What the environment says to Ray, and who answers at an address: looked at before Ray is started or joined."""

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.running import ray_start
from study.running.ray_environment import prepare_ray_environment
from trainables.errors import GanStudyError, InvalidInput

NAMES = ("RAY_TMPDIR", "TMPDIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "RAY_USE_TLS")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    before = dict(os.environ)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    yield monkeypatch
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("/tmp/" + "d" * 150, "its 155 bytes are too long for Ray's sockets, 39 at most"),
        ("/proc", "cannot be written below /proc"),
        ("/dev/null", "cannot be written below /dev/null: Not a directory"),
    ],
)
def test_a_temporary_folder_that_ray_cannot_use(
    name: str, folder: str, says: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(name, folder)
    with pytest.raises(InvalidInput) as told:
        prepare_ray_environment(local=True)
    assert str(told.value).startswith(f"{name} {folder}")
    assert says in str(told.value)
    assert "set RAY_TMPDIR to a short path" in str(told.value)
    prepare_ray_environment(local=False)  # a cluster has folders of its own


def test_a_relative_or_empty_folder_is_made_absolute(environment: pytest.MonkeyPatch) -> None:
    """Ray's raylet works elsewhere, and would never be found there."""
    environment.chdir("/tmp")
    environment.setenv("RAY_TMPDIR", "t")
    prepare_ray_environment(local=True)
    assert os.environ["RAY_TMPDIR"] == "/tmp/t"
    environment.setenv("RAY_TMPDIR", "")
    prepare_ray_environment(local=True)
    assert os.environ["RAY_TMPDIR"] == "/tmp"


@pytest.mark.parametrize("local", [True, False])
def test_a_token_that_is_not_there(local: bool, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RAY_AUTH_MODE", "token")
    for path, says in (("/nosuch/token", "No such file"), ("/tmp", "Is a directory"), ("file", "is empty")):
        environment.setenv("RAY_AUTH_TOKEN_PATH", path)
        with pytest.raises(InvalidInput, match=f"RAY_AUTH_TOKEN_PATH {path}: .*{says}.*; name the file of Ray's token"):
            prepare_ray_environment(local)
    environment.setenv("RAY_AUTH_TOKEN", "t" * 64)  # which counts more
    prepare_ray_environment(local)


def test_a_mode_that_ray_does_not_know_would_turn_authentication_off(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RAY_AUTH_MODE", "tokens")
    with pytest.raises(InvalidInput, match="RAY_AUTH_MODE 'tokens': use one of token, disabled"):
        prepare_ray_environment(local=True)


def test_an_empty_token_is_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RAY_AUTH_TOKEN", "")
    prepare_ray_environment(local=True)
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64


def test_where_no_ray_listens(environment: pytest.MonkeyPatch) -> None:
    environment.setattr(ray_start, "_GREETING_SECONDS", 0.1)
    web = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as silent, web:
        ports = web.server_port, silent.getsockname()[1]
        for port, says in zip(ports, ("is not Ray; give the port of its GCS", "says nothing for 0.1 s"), strict=True):
            address = f"127.0.0.1:{port}"
            with pytest.raises(GanStudyError, match=f"no Ray at {address}: what listens there {says}"):
                ray_start._refuse_other(address)
            environment.setenv("RAY_ADDRESS", address)
            with pytest.raises(GanStudyError, match=rf"no Ray at {address} \(from RAY_ADDRESS\): "):
                ray_start._refuse_other(address)
            environment.delenv("RAY_ADDRESS")
