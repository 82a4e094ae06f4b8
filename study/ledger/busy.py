"""A ledger that another process has locked: how long to wait for it, and which process that is."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from study.exit_codes import Interrupted
from trainables.errors import GanStudyError

READER_SECONDS = 30.0
"""How long a reader waits for a transaction of another process, which takes milliseconds."""

Wait = Callable[[float, Callable[[], str]], None]
"""`wait(seconds, holder)` is called after each try, `seconds` after the first: it returns to try again, or raises.

`holder()` names the ledger and who holds it.
"""

_FIRST_WORD, _NEXT_WORD = 5.0, 300.0  # seconds
_log = logging.getLogger(__name__)


class Locked(GanStudyError):
    """Another process held the ledger for too long."""


def for_a_while(seconds: float, holder: Callable[[], str]) -> None:
    """Wait as a reader does.

    Raises:
        Locked: after `READER_SECONDS`; says who holds it.
    """
    if seconds >= READER_SECONDS:
        raise Locked(f"{holder()}, for {seconds:.0f} s already: wait for it or end it, then try again")


@dataclass
class Endless:
    """Wait as a driver does, which has results to keep: as long as it takes, with a log line now and then.

    Attributes:
        asked: whether the run is to end; then it gives up, and the checkpoints still have what was not written.
    """

    asked: Callable[[], bool] = lambda: False
    _said: float = field(default=0.0, init=False)

    def __call__(self, seconds: float, holder: Callable[[], str]) -> None:
        """Return to try again.

        Raises:
            Interrupted: if the run is to end.
        """
        if self.asked():
            raise Interrupted(f"{holder()}; interrupted while waiting for it")
        if seconds < _FIRST_WORD:
            self._said = 0.0
        elif not self._said or time.monotonic() - self._said > _NEXT_WORD:
            self._said = time.monotonic()
            _log.warning("%s; nothing is lost, the study goes on when the lock is released", holder())


def file_holders(path: Path, kind: str) -> list[str]:
    """Name the processes, other than this one, that hold a lock on a file, as far as the kernel tells.

    It does not open the file: closing it again would drop this process's own locks on it.

    Args:
        path: the file.
        kind: "POSIX" (SQLite's) or "FLOCK".
    """
    pids = sorted(set(_locking(path, kind)) - {os.getpid()})
    return [f"process {pid}{_running(pid)}" for pid in pids]


def _locking(path: Path, kind: str) -> Iterator[int]:
    # As `1: POSIX  ADVISORY  WRITE 4711 fe:00:2146360 0 EOF`; one that waits has an arrow, `1: -> POSIX ...`.
    with suppress(OSError):  # no Linux, or the file is gone
        inode = path.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if len(words) > 5 and words[1] == kind and words[5].rpartition(":")[2] == str(inode) and int(words[4]) > 0:
                yield int(words[4])


def _running(pid: int) -> str:
    """Return what a process runs and whether it is stopped, in brackets; "" if that is not known."""
    parts = []
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        # No options and no addresses: they may hold secrets.
        words = [word for word in words if not any(c.isspace() for c in word)]
        plain = [Path(word).name for word in words if word[:1] not in ("", "-") and "://" not in word]
        if command := " ".join(word[:40] for word in plain[:4]):
            parts.append("".join(c if c.isprintable() else "?" for c in command))
    with suppress(OSError):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt":
            parts.append("stopped")
    return f" ({', '.join(parts)})" if parts else ""
