"""An error that nobody foresaw, in one line: what it is, what to do about it, and the file that holds its traceback."""

import errno
import os
import platform
import tempfile
import traceback
from importlib.metadata import version

from trainables.display import shown
from trainables.errors import reason_of

_MOST = 300  # characters of what it says

_MEMORY = "there is not enough memory; free some, or raise its limit (ulimit -v)"
_FILES = "too many files are open; raise the limit (ulimit -n)"
_FULL = "make room; the same command goes on"
_OF_THE_MACHINE = {
    errno.ENOMEM: _MEMORY,
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "a file reached the limit of its size (ulimit -f); raise it",
    errno.EROFS: "the file system is read-only; name another path",
}


def unexpected(error: BaseException) -> str:
    """Return the line, and keep the traceback."""
    kept = _keep(error)
    traces = f"the traceback is in {kept}" if kept else f"the traceback ends at {_place(error)}"
    if advice := _advice(error):
        return f"{_reason(error)}: {advice}; {traces}"
    return f"unexpected {type(error).__name__}: {_reason(error)}; {traces}; please report it"


def _advice(error: BaseException) -> str | None:
    """What to do about the machine, where the error is of it."""
    said = str(error).lower()
    if isinstance(error, MemoryError) or "allocate memory" in said or "out of memory" in said:
        return _MEMORY
    return _OF_THE_MACHINE.get(error.errno or 0) if isinstance(error, OSError) else None


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return reason_of(error, most=_MOST)


def _keep(error: BaseException) -> str | None:
    """Write the traceback, without secrets, to a file of the user's alone, in the first temporary folder."""
    about = f"ganstudy {version('ganstudy')}, Python {platform.python_version()}, {platform.platform()}\n\n"
    try:
        number, path = tempfile.mkstemp(prefix="ganstudy-", suffix=".txt")
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(about + shown("".join(traceback.format_exception(error))))
    except (OSError, MemoryError):
        return None
    return path


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return ", ".join(f"{frame.filename}:{frame.lineno}" for frame in last) or "no place known"
