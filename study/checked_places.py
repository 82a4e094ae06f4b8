"""Whether the places that a study is told to write to can be written to: asked before any work, leaving no trace."""

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from trainables.display import quoted
from trainables.errors import InvalidInput

_ADDRESS = re.compile(r"(?:^|/)[A-Za-z][\w+.-]+:/")


def check_path(path: Path) -> Path:
    """Return `path` if the system can have a file of that name.

    Raises:
        ValueError: if it holds a null character, or one that no file name can be written with, or is an address.
    """
    if b"\0" in os.fsencode(path):
        raise ValueError("a path cannot hold a null character; correct it")
    if is_address(path):
        raise ValueError("an address, and a folder on this machine is wanted; mount it, and give its path")
    return path


def is_address(path: Path) -> bool:
    """Tell whether somebody who wrote this meant no path: `s3://bucket/x`, of which `Path` keeps one slash."""
    return _ADDRESS.search(str(path)) is not None


def check_writable(folder: Path, what: str, remedy: str) -> None:
    """Make and remove a folder in the nearest existing one at or above `folder`.

    Only that tells: root is refused by no permission, but by a read-only file system or a file in the way.

    Raises:
        InvalidInput: if it cannot be made, or is no folder but an address.
    """
    if is_address(folder):
        raise InvalidInput(
            f"{what} {quoted(str(folder))}: an address, and a folder on this machine is wanted; {remedy}"
        )
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            folder.lstat()  # its name may be too long
        Path(tempfile.mkdtemp(prefix=".ganstudy-", dir=nearest)).rmdir()
    except OSError as error:
        raise InvalidInput(f"{what} {folder}: cannot be written below {nearest}: {error.strerror}; {remedy}") from None
