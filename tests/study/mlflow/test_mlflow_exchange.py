"""Servers that drip or flood: whatever they do, an exchange ends, at a stated limit of time or size."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path

import pytest

from study.doctor.mlflow_store import _server
from study.folder import StudyFolder
from study.ledger.events import StudyOpened
from study.ledger.rows import Row
from study.mlflow.exchange import LimitedSession, LimitExceeded
from study.mlflow.projection import MlflowProjection
from study.mlflow.thread import ProjectionThread, sync
from study.mlflow.ui import find_study
from trainables.errors import GanStudyError

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BLOCK = b" " * 2**20
MOST = 4 * 2**20
ROWS = [Row(1, 1.76e9, 1, StudyOpened("5f1c2d3e4f5a", {"name": "digits"}, "sha256:abc", 1.5, 800.0, {}))]

Answer = Iterator[bytes]


@contextmanager
def serving(answer: Callable[[], Answer], every: float = 0.0) -> Iterator[str]:
    """The address of a server that sends the parts of `answer` one by one, `every` so many seconds."""
    ended = threading.Event()

    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.recv(2**16)
            for part in answer():
                connection.sendall(part)
                if ended.wait(every):
                    return

    def accept() -> None:
        with suppress(OSError):
            while not ended.is_set():
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()


def byte_by_byte(text: bytes) -> Answer:
    return (text[n : n + 1] for n in range(len(text)))


def packed(times: int) -> bytes:
    """A body of kilobytes that unpacks to `times` blocks."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(BLOCK) for _ in range(times)) + packer.flush()


def answered(head: bytes, *body: bytes) -> Answer:
    yield OK + head + b"\r\n\r\n"
    yield from body


def endless(head: bytes, part: bytes) -> Answer:
    yield OK + head + b"\r\n\r\n"
    yield from repeat(part)


def redirected() -> Answer:
    """Each in time, and all together not."""
    time.sleep(0.4)
    yield b"HTTP/1.1 307 X\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
DRIPS: dict[str, Callable[[], Answer]] = {
    "headers": lambda: byte_by_byte(OK + b"X: " + b"a" * 10_000),
    "body": lambda: (part for part in [OK + b"Content-Length: 10000\r\n\r\n", *byte_by_byte(b" " * 10_000)]),
    "chunks": lambda: endless(CHUNKED, b"1\r\n \r\n"),
    "100 Continue": lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "redirections": redirected,
    "nothing": lambda: repeat(b""),
}
FLOODS: dict[str, Callable[[], Answer]] = {
    "3 GB announced": lambda: endless(b"Content-Length: 3000000000", BLOCK),
    "endless chunks": lambda: endless(CHUNKED, b"100000\r\n" + BLOCK + b"\r\n"),
    "until it closes": lambda: endless(b"Connection: close", BLOCK),
    "packed": lambda: answered(b"Content-Encoding: gzip\r\nConnection: close", packed(20)),
    "packed twice": lambda: answered(b"Content-Encoding: gzip, gzip\r\nConnection: close", gzip.compress(packed(20))),
    "an error's text": lambda: iter([b"HTTP/1.1 500 X\r\nConnection: close\r\n\r\n", *[b"\xff " * 2**19] * 3]),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_drip_ends_in_time(name: str) -> None:
    began = time.monotonic()
    with (
        serving(DRIPS[name], every=0.05) as address,
        pytest.raises(LimitExceeded, match="the exchange took longer than 1 s"),
    ):
        LimitedSession().get(address, timeout=1)
    assert time.monotonic() - began < 60  # and not 10,000 parts' time


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_at_its_limit(name: str) -> None:
    with serving(FLOODS[name]) as address, pytest.raises(LimitExceeded, match=r"the answer has more than [14] MiB"):
        LimitedSession(most=MOST).get(address, timeout=60)


def test_a_server_that_takes_nothing_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.mlflow.exchange._SLOWEST", 10**9)
    session = LimitedSession()
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel takes some, nobody reads
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(LimitExceeded, match="took longer than 1 s"):
            session.put(address, data=b"x" * 30_000_000, timeout=1)


def test_what_is_sound_passes() -> None:
    with serving(lambda: answered(b"Content-Length: 3000000", b" " * 3_000_000)) as address:
        assert len(LimitedSession(most=MOST).get(address, timeout=60).content) == 3_000_000
    with serving(lambda: answered(b"Content-Encoding: gzip\r\nConnection: close", packed(2))) as address:
        assert LimitedSession(most=MOST).get(address, timeout=60).content == 2 * BLOCK


@pytest.mark.parametrize("kind", [DRIPS["body"], FLOODS["endless chunks"]], ids=["drip", "flood"])
def test_sync_ui_and_doctor_end_in_one_line(
    kind: Callable[[], Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr("study.doctor.mlflow_store._SECONDS", 1.0)
    limit = r"the exchange took longer than 1 s|the answer has more than 16 MiB"
    with serving(kind, 0.05 if kind is DRIPS["body"] else 0.0) as address:
        projection = MlflowProjection(address, StudyFolder(tmp_path, "digits"), "digits")
        with pytest.raises(GanStudyError, match=limit) as failure:
            sync(lambda after: ROWS, projection)
        assert "\n" not in str(failure.value)
        with pytest.raises(GanStudyError, match=limit):
            find_study(address, "digits", "5f1c2d3e4f5a")
        (found,) = _server(address, address)
        assert any(text in found.value for text in limit.split("|"))
        thread = ProjectionThread(lambda after: ROWS, projection)
        assert not thread.close(60)
        assert any(text in str(thread.error) for text in limit.split("|"))
