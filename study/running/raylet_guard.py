"""Runs Ray's raylet, and ends with it, or with the driver, whatever it started. A program of its own, for Linux.

A raylet dies with its driver, but what it started does not: Ray's agents go on for a minute, and so does a worker that
is just starting (it waits for a GCS that is gone), on a busy machine for longer. Those orphans become this process's
children, so it finds every one.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_DRIVER_DIED = signal.SIGUSR1
_TIME_TO_END = 0.8  # seconds; after one second Ray kills what it has asked to end


def guard(command: list[str]) -> int:
    """Run `command` to its end, then kill what is left of it; return its exit status."""
    heard = {signal.SIGCHLD, signal.SIGTERM, _DRIVER_DIED}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, heard)  # they are waited for
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, _DRIVER_DIED, 0, 0, 0)
    raylet = os.fork()
    if not raylet:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.execv(command[0], command)
    status = _wait(raylet, heard)
    return _end_all(raylet, status)


def _wait(raylet: int, heard: set[signal.Signals]) -> int | None:
    """Return the raylet's exit status, None when it is to be killed."""
    seconds = 1e6
    while sign := signal.sigtimedwait(heard, seconds):
        if sign.si_signo == _DRIVER_DIED:
            return None
        if sign.si_signo == signal.SIGTERM:
            os.kill(raylet, signal.SIGTERM)
            seconds = _TIME_TO_END
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == raylet:
                return ended[1]
    return None


def _end_all(raylet: int, status: int | None) -> int:
    """Kill every child; those of a dead child are ours then, so until there is none."""
    while True:
        for child in _children():
            os.kill(child, signal.SIGKILL)
        try:
            pid, ended = os.waitpid(-1, 0)
        except ChildProcessError:
            return os.waitstatus_to_exitcode(status or 0)
        if pid == raylet:
            status = ended


def _children() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, UnicodeDecodeError):  # it has just ended
            continue
        if int(parent) == os.getpid():
            found.append(int(folder.name))
    return found


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
