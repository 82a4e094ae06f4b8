"""Notices that Ray itself died, which a driver otherwise learns late.

(Ray 2.60: a minute after the GCS is killed, the driver is ended from C++ without a word. After the node's raylet is
killed, Tune goes on with the workers it has for half a minute and then waits for ever.)
"""

import os
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Self

from study.exit_codes import FAILED, INTERRUPTED
from study.running.halt import Halt
from trainables.display import one_line

Address = tuple[str, int]

_PERIOD = 0.5
_CONNECT_TIMEOUT = 5.0
_TIME_TO_END = 5.0  # for the driver's main thread; what is in the ledger is safe anyway


class RayWatch:
    """A thread that checks every half second whether Ray's servers still accept connections.

    A busy or stopped server does (the kernel answers); a dead one does not. When one has been gone for its patience,
    the halt is told in one line. If the block has not been left 5 seconds later, the process ends with that line:
    waiting for a dead Ray can take for ever.
    """

    def __init__(self, servers: Mapping[str, tuple[Address, float]], halt: Halt) -> None:
        """Prepare the watch.

        Args:
            servers: by name, each server's address and the seconds for which it may be gone.
            halt: told once, from the watch's thread.
        """
        self._servers = servers
        self._halt = halt
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ganstudy-ray-watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Tell the halt if a server is gone now, whatever its patience: something has failed."""
        for name, (address, _) in self._servers.items():
            if not _accepts(address):
                self._lose(name)

    def _watch(self) -> None:
        misses = dict.fromkeys(self._servers, 0.0)
        while not self._ended.wait(_PERIOD):
            for name, (address, patience) in self._servers.items():
                misses[name] = 0.0 if _accepts(address) else misses[name] + _PERIOD
                if misses[name] > patience:
                    self._lose(name)
                    if not self._ended.wait(_TIME_TO_END):
                        _leave(self._halt)
                    return

    def _lose(self, name: str) -> None:
        host, port = self._servers[name][0]
        self._halt.lose(f"{name} at {host}:{port} is gone; nothing is lost: the same command goes on")


def _accepts(address: Address) -> bool:
    try:
        with socket.create_connection(address, _CONNECT_TIMEOUT):
            return True
    except OSError:
        return False


def _leave(halt: Halt) -> None:
    """End the process: a dead Ray's own threads would keep it."""
    text, code = halt.lost, FAILED
    if halt.by_signal:
        text, code = f"{halt.reason}; nothing is lost: the same command goes on", INTERRUPTED
    print(f"ganstudy: {one_line(text or '')}", file=sys.stderr, flush=True)
    os._exit(code)
