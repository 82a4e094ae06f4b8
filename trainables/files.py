"""Writes files: our own, so that a reader sees the old content or the new, and those that a user names."""

import errno
import logging
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainables.display import quoted
from trainables.errors import GanStudyError, InvalidInput
from trainables.paths import is_address

_log = logging.getLogger(__name__)

STANDARD_OUTPUT = Path("-")
"""What a user writes for it instead of a file."""

_MOST_LINKS = 40  # as Linux
_KINDS = {stat.S_IFDIR: "folder", stat.S_IFSOCK: "socket", stat.S_IFIFO: "pipe"}  # else a device
_LATER = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE}  # not the fault of the request
# Errors of a rename where the file itself can be written to: a folder that is not ours, a file mounted on its own.
_IN_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV}


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` through a temporary file beside it, fsync and rename; makes the folder.

    A link is followed, and a file that was there keeps its mode, and its owner where the system lets it.

    Raises:
        OSError: also if something other than a file is there: a study never waits for a pipe's reader.
    """
    target, found = _file(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, content, found)


def write_named(path: Path, content: bytes) -> None:
    """Write a command's result where the user wants it, as `cat > path` would.

    Links are followed, devices and pipes written to (a pipe waits for its reader); `-`, /dev/stdout and /dev/fd/N are
    the descriptors open there. A file is replaced as a whole and keeps mode and owner (another hard link keeps the old
    content); where that is impossible, it is written in place. Makes the folder.

    Raises:
        InvalidInput: if it is a folder or a socket, or cannot be written.
        GanStudyError: if the disk is full, or a pipe's reader goes away.
    """
    with _told(path):
        target = _destination(path)
        if isinstance(target, int):
            sys.stdout.flush()  # so that earlier output comes first
            _pour(target, content)
            return
        found = _status(target)
        if found is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, content, None)
            return
        _check_kind(found)
        with _opened(target, found) as descriptor:
            if stat.S_ISREG(found.st_mode):
                _overwrite(target, content, found, descriptor)
            else:
                _pour(descriptor, content)


def check_named(path: Path, option: str) -> None:
    """Refuse at once what `write_named` would refuse, as far as that is known without writing.

    Raises:
        InvalidInput: naming the option.
    """
    with _told(path, option):
        target = _destination(path)
        if isinstance(target, int):
            os.fstat(target)
            return
        found = _status(target)
        if found is None:
            check_writable(target.parent, option, "name another path")
            return
        _check_kind(found)
        if stat.S_ISREG(found.st_mode):
            os.close(os.open(target, os.O_WRONLY | os.O_CLOEXEC))


def check_file(path: Path, what: str) -> None:
    """Refuse a path that leads to something other than a file: for databases, and for a study's own files.

    Raises:
        InvalidInput: if it is a folder, a device, a pipe or a socket, or cannot be looked at.
    """
    with _told(path, what):
        _file(path)


def check_writable(folder: Path, what: str, remedy: str) -> None:
    """Make and remove a folder in the nearest existing one at or above `folder`.

    Only trying tells: no permission stops root, but a read-only file system or a file in the way does.

    Raises:
        InvalidInput: if it cannot be made, or is an address.
    """
    if is_address(folder):
        raise InvalidInput(
            f"{what} {quoted(str(folder))}: an address, but it must be a folder on this machine; {remedy}"
        )
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            folder.lstat()  # the name may be too long
        Path(tempfile.mkdtemp(prefix=".ganstudy-", dir=nearest)).rmdir()
    except OSError as error:
        raise InvalidInput(f"{what} {folder}: cannot be written below {nearest}: {error.strerror}; {remedy}") from None


def is_stream(path: Path) -> bool:
    """Whether `path` leads to an open descriptor, a device or a pipe, not to a file that keeps what is written."""
    with suppress(OSError, ValueError):
        target = _destination(path)
        if isinstance(target, int):
            return True
        found = _status(target)
        return found is not None and not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
    return False


def is_standard_output(path: Path) -> bool:
    """Whether what is written to `path` is this process's standard output."""
    with suppress(OSError, ValueError):
        return _destination(path) == 1
    return False


def on_read_only(path: Path) -> bool:
    """Whether the file system that `path` is on, or would be, is mounted read-only."""
    nearest = next(path for path in (path, *path.absolute().parents) if os.path.lexists(path))
    try:
        return bool(os.statvfs(nearest).f_flag & os.ST_RDONLY)
    except OSError:
        return False


@contextmanager
def _told(path: Path, what: str = "") -> Iterator[None]:
    """Turn the system's errors into one line that names the path."""
    before = f"{what} " if what else ""
    try:
        yield
    except ValueError as error:  # an impossible path
        raise InvalidInput(f"{before}{quoted(str(path))}: cannot be written: {error}; name another path") from None
    except OSError as error:
        kind = GanStudyError if error.errno in _LATER else InvalidInput
        raise kind(f"{before}{path}: cannot be written: {error.strerror}; name another path") from None


def _destination(path: Path) -> Path | int:
    """Where a path leads through its links: a path that is not a link, or an open descriptor of this process.

    A descriptor is not opened anew: that would cut off the file behind it, and fails for a socket.
    """
    if path == STANDARD_OUTPUT:
        return 1
    for _ in range(_MOST_LINKS):
        path = Path(os.path.realpath(path.parent)) / path.name
        if path.parent == Path(f"/proc/{os.getpid()}/fd") and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _status(path: Path) -> os.stat_result | None:
    """The system's status of a path, None if nothing is there."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _file(path: Path) -> tuple[Path, os.stat_result | None]:
    """The file that a path leads to, and its status if it exists; OSError if it is something else."""
    target = _destination(path)
    if isinstance(target, int):
        raise OSError(errno.EINVAL, "is an open descriptor, not a file")
    found = _status(target)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise _no_file(found)
    return target, found


def _check_kind(found: os.stat_result) -> None:
    """OSError if nothing can be written to what is there."""
    if stat.S_IFMT(found.st_mode) in (stat.S_IFDIR, stat.S_IFSOCK):
        raise _no_file(found)


def _no_file(found: os.stat_result) -> OSError:
    return OSError(errno.EINVAL, f"is a {_KINDS.get(stat.S_IFMT(found.st_mode), 'device')}, not a file")


@contextmanager
def _opened(target: Path, found: os.stat_result) -> Iterator[int]:
    """A descriptor to write to what is there; for a pipe, once it has a reader."""
    flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY
    pipe = stat.S_ISFIFO(found.st_mode)
    try:
        descriptor = os.open(target, flags | (os.O_NONBLOCK if pipe else 0))
    except OSError as error:
        if not (pipe and error.errno == errno.ENXIO):
            raise
        _log.warning("%s: a pipe that nobody reads yet; waiting for its reader", target)
        descriptor = os.open(target, flags)
    try:
        os.set_blocking(descriptor, True)
        yield descriptor
    finally:
        os.close(descriptor)


def _overwrite(target: Path, content: bytes, found: os.stat_result, descriptor: int) -> None:
    """Replace a file that is open for writing; in place where a new file cannot replace it, or keep its owner."""
    try:
        _replace(target, content, found, same_owner=True)
    except OSError as error:
        if error.errno not in _IN_PLACE:
            raise
        os.ftruncate(descriptor, 0)
        _pour(descriptor, content)
        os.fsync(descriptor)


def _replace(target: Path, content: bytes, found: os.stat_result | None, same_owner: bool = False) -> None:
    """Write a new file over the one `found` there, with its mode; with `same_owner` only if it can keep the owner."""
    temporary = target.with_name(f".ganstudy-{secrets.token_hex(8)}")  # a suffix could make the name too long
    try:
        with temporary.open("xb") as file:
            if found is not None:
                with suppress(*() if same_owner else (PermissionError,)):
                    os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode))
                    os.fchown(file.fileno(), found.st_uid, found.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _pour(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
