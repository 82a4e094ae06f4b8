"""The watch over Ray's servers, without Ray."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from study.running import ray_watch
from study.running.halt import Halt
from study.running.ray_watch import RayWatch
from trainables.errors import GanStudyError


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as one:
        yield one


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Whether the process would have ended."""
    ended = threading.Event()
    monkeypatch.setattr(ray_watch, "_leave", lambda halt: ended.set())
    return ended


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_server_that_accepts_and_never_answers_is_alive(server: socket.socket, left: threading.Event) -> None:
    halt = Halt()
    with RayWatch({"GCS": (server.getsockname(), 0.0)}, halt):
        time.sleep(3 * ray_watch._PERIOD)
    assert not halt.lost
    assert not left.is_set()


def test_a_server_that_is_gone_is_told_and_the_block_left(server: socket.socket, left: threading.Event) -> None:
    halt = Halt()
    host, port = server.getsockname()
    with RayWatch({"GCS": ((host, port), 0.0)}, halt):
        server.close()
        wait_for(lambda: halt.lost)
    assert halt.asked
    assert not left.is_set()
    with pytest.raises(GanStudyError, match=f"GCS at {host}:{port} is gone; nothing is lost: the same command goes on"):
        halt.check()


def test_what_a_signal_ends_is_not_lost(server: socket.socket, left: threading.Event) -> None:
    """Whatever dies first: a SIGTERM to a process group is for all of Ray, too."""
    halt = Halt()
    with RayWatch({"GCS": (server.getsockname(), 0.0)}, halt):
        server.close()
        wait_for(lambda: halt.lost)
        halt.ask("interrupted by SIGTERM", by_signal=True)
    halt.check()
    assert (halt.reason, halt.by_signal, halt.at_once) == ("interrupted by SIGTERM", True, True)


def test_after_another_failure_a_server_is_looked_for_at_once(server: socket.socket) -> None:
    halt = Halt()
    with RayWatch({"GCS": (server.getsockname(), 1e6)}, halt) as watch:
        watch.look()
        assert not halt.lost
        server.close()
        watch.look()
        assert halt.lost


def test_a_block_that_is_not_left_does_not_hold_the_end_up(
    server: socket.socket, left: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_watch, "_TIME_TO_END", 0.0)
    with RayWatch({"GCS": (server.getsockname(), 0.0)}, Halt()):
        server.close()
        assert left.wait(60)


@pytest.mark.parametrize(("by_signal", "code"), [(False, 1), (True, 130)])
def test_the_last_line_is_that_of_the_first_reason(by_signal: bool, code: int, capfd: Any, monkeypatch: Any) -> None:
    ended: list[int] = []
    monkeypatch.setattr(ray_watch.os, "_exit", ended.append)
    halt = Halt()
    halt.lose("Ray's GCS is gone; nothing is lost: the same command goes on")
    if by_signal:
        halt.ask("interrupted by SIGTERM", by_signal=True)
    ray_watch._leave(halt)
    what = "interrupted by SIGTERM" if by_signal else "Ray's GCS is gone"
    assert capfd.readouterr().err == f"ganstudy: {what}; nothing is lost: the same command goes on\n"
    assert ended == [code]
