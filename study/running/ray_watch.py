"""Notices that Ray itself died. Ray tells a driver late, and by hanging or by ending its process without a word.

(Ray 2.60: a minute after the GCS is killed the process is ended from C++; after the node's raylet is killed Tune goes
on with the workers it has for half a minute and then waits for ever.)
"""

import os
import socket
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from study.exit_codes import FAILED, INTERRUPTED
from study.running.halt import Halt
from trainables.display import one_line

Address = tuple[str, int]

_PERIOD = 0.5
_CONNECT_TIMEOUT = 5.0
_TIME_TO_END = 10.0  # for the driver's main thread; what is in the ledger is safe anyway


class RayWatch:
    """A thread that asks every half second whether Ray's servers still accept connections.

    A server that is busy or stopped does (the kernel answers); one that is dead does not. When one is gone for its
    patience, the halt is told in one line. If the block has not been left 10 seconds later, the process ends with that
    line: what waits for a dead Ray can wait for ever.
    """

    def __init__(self, servers: Mapping[str, tuple[Address, float]], halt: Halt) -> None:
        """Prepare the watch.

        Args:
            servers: for each server's name its address and for how many seconds it may be gone.
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

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Tell the halt if a server is gone at this moment, whatever its patience: something has failed."""
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
    """End the process, for which a dead Ray's own threads would wait."""
    text, code = halt.lost, FAILED
    if halt.by_signal:
        text, code = f"{halt.reason}; nothing is lost: the same command goes on", INTERRUPTED
    print(f"ganstudy: {one_line(text or '')}", file=sys.stderr, flush=True)
    os._exit(code)
