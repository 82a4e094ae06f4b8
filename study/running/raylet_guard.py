"""Runs Ray's raylet, and kills what the raylet started when it or the driver ends. A program of its own, for Linux.

A raylet dies with its driver, but what it started does not: Ray's agents go on for a minute, and so does a worker that
is just starting (it waits for a GCS that is gone), longer on a busy machine. Those orphans become this process's
children, so it finds them all.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_DRIVER_DIED = signal.SIGUSR1


def guard(command: list[str]) -> int:
    """Run `command` to its end, then kill what is left of it; return its exit status."""
    driver = os.getppid()
    heard = {signal.SIGCHLD, signal.SIGTERM, _DRIVER_DIED}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, heard)  # they are waited for
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_PR_SET_PDEATHSIG, _DRIVER_DIED, 0, 0, 0)
    if os.getppid() != driver:
        return 1  # it died before that
    raylet = os.fork()
    if not raylet:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.execv(command[0], command)
    status = _wait(raylet, driver, heard)
    return _end_all(raylet, status)


def _wait(raylet: int, driver: int, heard: set[signal.Signals]) -> int | None:
    """Return the raylet's exit status, None when it is to be killed."""
    while sign := signal.sigwaitinfo(heard):
        if sign.si_signo == _DRIVER_DIED or (sign.si_signo == signal.SIGTERM and sign.si_pid == driver):
            return None  # others send SIGTERM for the driver, see `own_ray`
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == raylet:
                return ended[1]
    return None


def _end_all(raylet: int, status: int | None) -> int:
    """Kill every child until there is none: a dead child's children become ours."""
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
