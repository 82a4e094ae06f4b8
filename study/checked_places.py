"""Whether the places that a study is told to write to can be written to: asked before any work, leaving no trace."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from trainables.errors import InvalidInput


def check_path(path: Path) -> Path:
    """Return `path` if the system can have a file of that name.

    Raises:
        ValueError: if it holds a null character, or one that no file name can be written with.
    """
    if b"\0" in os.fsencode(path):
        raise ValueError("a path cannot hold a null character; correct it")
    return path


def check_writable(folder: Path, what: str, remedy: str) -> None:
    """Make and remove a folder in the nearest existing one at or above `folder`.

    Only that tells: root is refused by no permission, but by a read-only file system or a file in the way.

    Raises:
        InvalidInput: if it cannot be made.
    """
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            folder.lstat()  # its name may be too long
        Path(tempfile.mkdtemp(prefix=".ganstudy-", dir=nearest)).rmdir()
    except OSError as error:
        raise InvalidInput(f"{what} {folder}: cannot be written below {nearest}: {error.strerror}; {remedy}") from None
