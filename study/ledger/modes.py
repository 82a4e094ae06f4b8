"""Who may read the files of an SQLite ledger: whoever may read one can lock it, and hold its driver up."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from trainables.errors import GanStudyError

PRIVATE = 0o600
MODES: Mapping[str, int] = {"owner": PRIVATE, "group": 0o640, "everyone": 0o644}
"""Permissions by who may read."""


def have_file(path: Path, mode: int) -> None:
    """Make the file, empty, with the permissions `mode`; one that is there keeps its own, and gets those it lacks.

    Raises:
        GanStudyError: if that is not possible.
    """
    try:
        with suppress(FileExistsError):
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            os.fchmod(made, mode)  # whatever the umask
            os.close(made)
        found = stat.S_IMODE(path.stat().st_mode)
        if mode & ~found:
            path.chmod(found | mode)
    except FileNotFoundError:
        raise GanStudyError(f"cannot create {path}: its folder is gone") from None
    except OSError as error:
        raise GanStudyError(f"cannot create {path}: {error.strerror}") from error
