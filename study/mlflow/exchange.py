"""HTTP exchanges with a limit on their whole time, and on the size of the answer.

The timeout of `requests` is for each read from the socket: a server that sends a byte now and then holds its client
for ever. And `requests` takes an answer of any size, also one that is small until it is unpacked.
"""

import io
import socket
import time
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager
from urllib3.util import Retry

SECONDS = 20.0
"""The limit of an exchange whose caller gives no timeout."""

MOST_BYTES = 16 * 2**20
"""The largest answer, before and after unpacking; a page of 200 runs is some 2 MB, and 20 times that when parsed."""

_MOST_OF_AN_ERROR = 2**20
_SLOWEST = 100_000  # bytes per second: what is sent has time in proportion
_BLOCK = 2**16


class LimitExceeded(Exception):
    """An exchange took longer, or an answer is larger, than it may."""


class _Exchange:
    """One request and its answer, redirections included."""

    def __init__(self, seconds: float = SECONDS, most: int = MOST_BYTES) -> None:
        self.seconds, self.most = seconds, most
        self.began = time.monotonic()
        self.received = self.unpacked = 0

    def left(self) -> float:
        """Seconds that are left, more than 0.

        Raises:
            LimitExceeded: if there are none.
        """
        left = self.began + self.seconds - time.monotonic()
        if left <= 0:
            raise self.too_long()
        return left

    def too_long(self) -> LimitExceeded:
        return LimitExceeded(f"the exchange took longer than {self.seconds:g} s")

    def check_size(self) -> None:
        if max(self.received, self.unpacked) > self.most:
            raise LimitExceeded(f"the answer has more than {self.most / 2**20:g} MiB")


_current: ContextVar[_Exchange | None] = ContextVar("exchange", default=None)


class LimitedSession(requests.Session):
    """A session whose `timeout` is for the whole of a request, with a second more for each 100 kB that is sent.

    Raises `LimitExceeded` besides the errors of `requests`.
    """

    def __init__(self, retries: Retry | int = 0, most: int = MOST_BYTES) -> None:
        """Open nothing yet.

        Args:
            retries: of a failed exchange, all within its time.
            most: bytes of the largest answer.
        """
        super().__init__()
        self._most = most
        for prefix in ("https://", "http://"):
            self.mount(prefix, _Adapter(max_retries=retries))

    def request(self, *request: Any, **how: Any) -> requests.Response:
        """As `requests.Session.request`."""
        timeout = how.get("timeout")
        seconds = max((t for t in (timeout if isinstance(timeout, tuple) else (timeout,)) if t), default=SECONDS)
        size = requests.utils.super_len(how.get("data") or b"")
        token = _current.set(_Exchange(seconds + size // _SLOWEST, self._most))
        try:
            return super().request(*request, **how)
        finally:
            _current.reset(token)


class _Received(io.RawIOBase):
    """What a socket receives, within an exchange's limits."""

    def __init__(self, source: io.RawIOBase, sock: socket.socket, exchange: _Exchange) -> None:
        self._source, self._sock, self._exchange = source, sock, exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(self._exchange.left())
        try:
            count = self._source.readinto(buffer)
        except TimeoutError:
            raise self._exchange.too_long() from None
        self._exchange.received += count or 0
        self._exchange.check_size()
        return count

    def close(self) -> None:
        self._source.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *rest: Any, exchange: _Exchange, **named: Any) -> None:
        super().__init__(sock, *rest, **named)
        assert isinstance(self.fp, io.BufferedReader)
        self.fp = io.BufferedReader(_Received(self.fp.detach(), sock, exchange))


class _Limited(HTTPConnection):
    """A connection that keeps to the limits of the current exchange."""

    _exchange: _Exchange

    def connect(self) -> None:
        self._begin()
        super().connect()

    def request(self, *request: Any, **how: Any) -> None:
        self._begin()
        super().request(*request, **how)

    def send(self, data: Any) -> None:
        if not isinstance(data, bytes):
            self._send(data)
            return
        for start in range(0, len(data), _BLOCK):
            self._send(data[start : start + _BLOCK])

    def _begin(self) -> None:
        self._exchange = _current.get() or _Exchange()
        self.response_class = partial(_Answer, exchange=self._exchange)  # type: ignore[assignment]

    def _send(self, data: Any) -> None:
        left = self._exchange.left()
        if self.sock is not None:
            self.sock.settimeout(left)
        try:
            super().send(data)
        except TimeoutError:
            raise self._exchange.too_long() from None


class _LimitedSecure(_Limited, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Limited


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _LimitedSecure


_POOLS = {"http": _PlainPool, "https": _SecurePool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *pool: Any, **how: Any) -> None:
        super().init_poolmanager(*pool, **how)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **how: Any) -> PoolManager:
        manager: PoolManager = super().proxy_manager_for(proxy, **how)
        if proxy.startswith("http"):  # a SOCKS proxy has connections of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def build_response(self, request: requests.PreparedRequest, answer: Any) -> requests.Response:
        response: requests.Response = super().build_response(request, answer)
        response.encoding = response.encoding or "utf-8"  # else it is guessed from the text, which is slow
        if exchange := _current.get():
            if not response.ok:
                exchange.most = min(exchange.most, _MOST_OF_AN_ERROR)
            answer.stream = partial(_unpacked, answer.stream, exchange)
        return response


def _unpacked(stream: Any, exchange: _Exchange, *how: Any, **named: Any) -> Iterator[bytes]:
    for part in stream(*how, **named):
        exchange.unpacked += len(part)
        exchange.check_size()
        yield part
