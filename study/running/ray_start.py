"""Starts Ray in a thread of its own, while the driver prepares its data."""

import ctypes
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Self

import ray

from study.running.own_ray import own_ray
from study.running.ray_environment import where_from
from study.running.ray_errors import ray_failed, refuse_small_address_space
from study.running.same_code import DriverPath, check_workers, driver_code
from trainables.errors import GanStudyError

_CONNECT_SECONDS = 5.0
_GREETING_SECONDS = 20.0  # a Ray may be busy
_PATIENCE = 240.0  # seconds for Ray and a worker; Ray itself gives up after 30 on most of what it waits for
_END_SECONDS = 10.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # HTTP/2's, and empty settings
_SETTINGS = b"\x04"


class RayStart:
    """Connects to a cluster or starts a local Ray (on loopback, see `study.running.ray_environment`).

    Its thread lives until the end: Linux ends Ray's servers with the thread that started them. In that thread Ray also
    sets no signal handlers, and no Ctrl-C breaks into its code.
    """

    def __init__(self, address: str | None, cpus: int | None = None) -> None:
        """Start nothing yet.

        Args:
            address: "auto", "HOST:PORT", or None for a local Ray.
            cpus: of a local Ray; None: those of this machine.
        """
        self.address = address
        # "local": ray.init() alone would join any cluster that a file on this machine still names.
        own = {"address": "local", "include_dashboard": False, "num_cpus": cpus}
        self._options: dict[str, Any] = {"job_config": DriverPath(), **({"address": address} if address else own)}
        driver_code()  # as it is now: it may be edited while the data are prepared
        self._error: BaseException | None = None
        self._left = False
        self._settled = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="ganstudy-ray-start", daemon=True)

    def begin(self) -> None:
        """Begin unless that has happened, and return at once."""
        if not self._begun:
            self._thread.start()

    def wait(self) -> None:
        """Return once Ray is up and its workers run the driver's code.

        Raises:
            GanStudyError: if there is no Ray at `address`, none starts, or its workers would run other code.
        """
        self.begin()
        if not self._settled.wait(_PATIENCE):
            self._error = TimeoutError(f"no answer within {_PATIENCE:g} s")
        if isinstance(self._error, GanStudyError):
            raise self._error
        if self._error:
            raise ray_failed(self.address, self._error) from self._error

    def end(self) -> None:
        """Disconnect, and end our own Ray; one that is still starting or hangs is left after some seconds."""
        self._over.set()
        if self._begun:
            self._thread.join(_END_SECONDS)

    def leave(self) -> None:
        """Let Ray end with this process: when Ray is dead or dying, its library ends a process that talks to it."""
        self._left = True

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """End what has begun; at an interrupt leave it."""
        if kind is KeyboardInterrupt:
            self.leave()
        if not self._left:
            self.end()

    @property
    def _begun(self) -> bool:
        return self._thread.ident is not None

    def _live(self) -> None:
        try:
            _refuse_other(self.address)
            if not self.address:
                refuse_small_address_space()
            with _sigterm_kept(), nullcontext() if self.address else own_ray():
                ray.init(**self._options, log_to_driver=False, logging_level=logging.CRITICAL)  # it is raised, too
            check_workers()
        except BaseException as error:
            self._error = error
        self._settled.set()
        self._over.wait()
        ray.shutdown()


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Restore the system's handling of SIGTERM: Ray's prints a stack. Python's own calls need the main thread."""
    libc = ctypes.CDLL(None)
    action = ctypes.create_string_buffer(1024)  # a `struct sigaction`, of whatever size
    libc.sigaction(signal.SIGTERM, None, action)
    try:
        yield
    finally:
        libc.sigaction(signal.SIGTERM, action, None)


def _refuse_other(address: str | None) -> None:
    """Refuse an address where no Ray listens: Ray itself would try for minutes.

    Raises:
        GanStudyError: naming the address.
    """
    host, _, port = (address or "").rpartition(":")
    if not host:
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                _greet(connection)
    except OSError as error:
        raise GanStudyError(
            f"no Ray at {address}{where_from(address)}: {error.strerror or error}; check `ray status`, or leave "
            "--address out"
        ) from None


def _greet(connection: socket.socket) -> None:
    """Refuse what does not greet as every gRPC server does, Ray's GCS among them."""
    connection.settimeout(_GREETING_SECONDS)
    connection.sendall(_PREFACE)
    try:
        head = connection.recv(9)  # of a frame: its length in three bytes, then its type
    except TimeoutError:
        raise ConnectionError(f"what listens there says nothing for {_GREETING_SECONDS:g} s") from None
    if head[3:4] != _SETTINGS:
        raise ConnectionError("what listens there is not Ray; give the port of its GCS (6379 by default)")
