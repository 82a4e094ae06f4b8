"""Ray's start in a thread of its own, so that a driver prepares its data meanwhile."""

import logging
import socket
import threading
from contextlib import nullcontext
from types import TracebackType
from typing import Any, Self

import ray

from study.running.ray_internals import without_api_server
from trainables.errors import GanStudyError

_CONNECT_SECONDS = 5.0
_START_SECONDS = 10.0


class RayStart:
    """Connects to a cluster or starts a local Ray (on loopback, see `study.running.ray_environment`).

    Its thread lives until the end: Linux ends Ray's servers with the thread that started them. It also keeps Ray from
    setting handlers of signals, and a Ctrl-C from breaking into Ray's own code.
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
        self._options: dict[str, Any] = {"address": address} if address else own
        self._error: BaseException | None = None
        self._settled = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, name="ganstudy-ray-start", daemon=True)

    def begin(self) -> None:
        """Begin, if that has not happened, and return at once."""
        if not self._begun:
            self._thread.start()

    def wait(self) -> None:
        """Return when Ray is there.

        Raises:
            GanStudyError: if there is no Ray at `address`, or none starts.
        """
        self.begin()
        self._settled.wait()
        if isinstance(self._error, ConnectionError | RuntimeError | ValueError | TimeoutError):
            place = f"Ray at {self.address}" if self.address else "a local Ray"
            said = str(self._error).strip().splitlines()
            reason = said[0] if said else type(self._error).__name__
            raise GanStudyError(f"cannot reach {place}: {reason}; check `ray status`, or leave --address out") from None
        if self._error:
            raise self._error

    def end(self) -> None:
        """Disconnect, and end a Ray of our own; one that is still starting, or hangs, is left after some seconds."""
        self._over.set()
        if self._begun:
            self._thread.join(None if self._settled.is_set() else _START_SECONDS)

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        """End what has begun."""
        self.end()

    @property
    def _begun(self) -> bool:
        return self._thread.ident is not None

    def _live(self) -> None:
        try:
            _refuse_dead(self.address)
            with nullcontext() if self.address else without_api_server():
                ray.init(**self._options, log_to_driver=False, logging_level=logging.ERROR)
        except BaseException as error:
            self._error = error
        self._settled.set()
        self._over.wait()
        ray.shutdown()


def _refuse_dead(address: str | None) -> None:
    """Refuse an address where nobody listens: Ray itself would go on trying for minutes.

    Raises:
        GanStudyError: naming the address.
    """
    host, _, port = (address or "").rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise GanStudyError(f"no Ray at {address}: {reason}; check `ray status`, or leave --address out") from None
