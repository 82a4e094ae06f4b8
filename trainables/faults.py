"""What a trial does about failures: a typed cause, a fence against earlier attempts, a deadline."""

import ctypes
import errno
import faulthandler
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from trainables.display import one_line
from trainables.errors import CorruptFile, GanStudyError, InvalidInput

DIVERGED, FAILED, HALT = "diverged", "failed", "halt"
"""How a result says that it is the last: the end of the trial, or (for faults of its node) of the study."""

OUT_OF_MEMORY, DEADLINE, CHECKPOINT, INVALID, ERROR = "out_of_memory", "deadline", "checkpoint", "invalid", "error"
WORKER_LOST = "worker_lost"
"""Types of failure: the word before the colon of a failed trial's cause."""

_TYPES: tuple[tuple[type[BaseException], str], ...] = (
    (MemoryError, OUT_OF_MEMORY),
    (torch.OutOfMemoryError, OUT_OF_MEMORY),
    (CorruptFile, CHECKPOINT),
    (InvalidInput, INVALID),
    (Exception, ERROR),
)
_SHUT = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_ALMOST_FULL = 1 << 20  # bytes
_PR_SET_PDEATHSIG = 1


class StaleAttempt(GanStudyError):
    """A later attempt at the same trial has begun: this one must leave its files alone."""


def cause_of(error: Exception) -> str:
    """Return `type: ErrorClass: message` in one line."""
    kind = next(kind for cls, kind in _TYPES if isinstance(error, cls))
    return f"{kind}: {type(error).__name__}: {one_line(str(error), 500)}"


def end_with_raylet() -> None:
    """Have Linux end this Ray worker when its raylet ends, even in code that holds Python's lock.

    (Ray 2.60: a busy worker goes on without a raylet until its task is done.) Elsewhere nothing happens.
    """
    raylet = int(os.environ.get("RAY_RAYLET_PID", 0))
    if sys.platform == "linux" and os.getppid() == raylet:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != raylet:  # it has just ended
            os._exit(1)


def is_disk_shut(error: Exception, folder: Path) -> bool:
    """Tell whether `error` is due to a disk under `folder` that is full or has become read-only.

    Not every library passes the errno on.
    """
    if isinstance(error, OSError) and error.errno in _SHUT:
        return True
    if any(os.strerror(number) in str(error) for number in _SHUT):
        return True
    return isinstance(error, RuntimeError) and shutil.disk_usage(folder).free < _ALMOST_FULL


def disk_remedy(cause: str) -> str:
    """What to do about such an error, chosen by its text."""
    return "make that writable" if os.strerror(errno.EROFS) in cause else "free space"


class Fence:
    """Says which attempt at a trial owns its folder: the one with the highest number."""

    def __init__(self, folder: Path, attempt: int) -> None:
        """Take the folder over.

        Raises:
            StaleAttempt: if a later attempt has it.
        """
        self._file = folder / "attempt"
        self._attempt = attempt
        self.check()
        folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(str(attempt))

    def check(self) -> None:
        """Refuse if a later attempt took over.

        Raises:
            StaleAttempt: naming both attempts.
        """
        try:
            newest = int(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return
        if newest > self._attempt:
            raise StaleAttempt(f"attempt {self._attempt} was given up: attempt {newest} has begun")


class Watchdog:
    """Ends the process if a trial is silent for too long; a thread in C watches, so that no hang can stop it.

    It leaves the stack of every thread in `overdue.txt` in the trial's folder. The next attempt finds that file and
    fails instead of hanging again.
    """

    def __init__(self, folder: Path, seconds: float | None) -> None:
        self._file = folder / "overdue.txt"
        self._seconds = seconds

    def overdue(self) -> str | None:
        """Return the cause to fail with, if an earlier attempt was ended here."""
        if self._file.exists() and self._file.stat().st_size:
            return f"{DEADLINE}: no report within the deadline; {self._file} shows where it hung"
        return None

    def forgive(self) -> None:
        """Let the next attempt try again."""
        self._file.unlink(missing_ok=True)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Exit the process unless the block ends in time."""
        if self._seconds is None:
            yield
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("w") as file:
            faulthandler.dump_traceback_later(self._seconds, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
        self._file.unlink(missing_ok=True)
