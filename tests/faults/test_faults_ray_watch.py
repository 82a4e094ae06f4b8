"""The watch over Ray's servers, without Ray."""

import socket
import threading
from collections.abc import Iterator

import pytest

from study.running import ray_watch
from study.running.ray_watch import RayWatch


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as one:
        yield one


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reasons for which the process would have ended."""
    reasons: list[str] = []
    monkeypatch.setattr(ray_watch, "_leave", reasons.append)
    return reasons


def test_a_server_that_accepts_and_never_answers_is_alive(server: socket.socket, left: list[str]) -> None:
    lost = threading.Event()
    with RayWatch({"GCS": (server.getsockname(), 0.0)}, lambda reason: lost.set()):
        assert not lost.wait(3 * ray_watch._PERIOD)
    assert left == []


def test_a_server_that_is_gone_is_told_once_and_ends_the_process(server: socket.socket, left: list[str]) -> None:
    told: list[str] = []
    lost = threading.Event()

    def tell(reason: str) -> None:
        told.append(reason)
        lost.set()

    host, port = server.getsockname()
    with RayWatch({"GCS": ((host, port), 0.0)}, tell):
        server.close()
        assert lost.wait(60)
    assert told == left == [f"GCS at {host}:{port} is gone; nothing is lost: the same command goes on"]


def test_a_block_that_is_not_left_does_not_hold_the_end_up(
    server: socket.socket, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_watch, "_TIME_TO_END", 0.0)
    ended = threading.Event()
    monkeypatch.setattr(ray_watch, "_leave", lambda reason: ended.set())
    with RayWatch({"GCS": (server.getsockname(), 0.0)}, lambda reason: None):
        server.close()
        assert ended.wait(60)
