"""What a trial does when the world fails it: a cause with a type, a fence against its own past, a deadline."""

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
"""How a result says that there will be no other: the trial's end, or (for what ails its node) the study's."""

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
    """Have Linux end this worker of Ray's when its raylet ends, even in code that holds Python's lock.

    (Ray 2.60: a worker that is busy goes on without a raylet until its task is done.) Elsewhere nothing happens.
    """
    raylet = int(os.environ.get("RAY_RAYLET_PID", 0))
    if sys.platform == "linux" and os.getppid() == raylet:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != raylet:  # it ended just before
            os._exit(1)


def is_disk_shut(error: Exception, folder: Path) -> bool:
    """Tell whether `error` came of a disk under `folder` that takes no more: a full one, or one gone read-only.

    Not every library hands the errno on.
    """
    if isinstance(error, OSError) and error.errno in _SHUT:
        return True
    if any(os.strerror(number) in str(error) for number in _SHUT):
        return True
    return isinstance(error, RuntimeError) and shutil.disk_usage(folder).free < _ALMOST_FULL


def disk_remedy(cause: str) -> str:
    """What to do about such an error, by its text."""
    return "make that writable" if os.strerror(errno.EROFS) in cause else "free space"


class Fence:
    """Says which attempt at a trial owns its folder: the one with the greatest number."""

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
    """Ends the process if a trial is silent for too long; a thread in C watches, so no hang can hold it up.

    What every thread was doing is left in `overdue.txt` in the trial's folder. The next attempt finds it there and
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
