"""One driver per study: a lock that the kernel or the server releases when its holder dies.

It keeps two drivers from starting; what keeps a driver that lost it from writing is the ledger's epoch.
"""

import fcntl
import hashlib
import os
import time
import weakref
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from study.ledger.busy import file_holders
from study.ledger.modes import PRIVATE, have_file
from trainables.errors import GanStudyError

# A probe holds the file's lock for microseconds, and a server notices the end of an owner that was killed within
# milliseconds: outlast these, not an owner.
_TRIES, _PAUSE = 10, 0.02


class OwnerLock(ABC):
    """What a ledger needs of a lock."""

    @abstractmethod
    def acquire(self) -> bool:
        """Take the lock and keep it until `release`; return False if somebody has it, within a fraction of a second."""

    @abstractmethod
    def release(self) -> None:
        """Give the lock back, if it is held by this object."""

    @abstractmethod
    def is_held(self) -> bool:
        """Whether anyone holds it now, in any process."""

    @abstractmethod
    def holders(self) -> list[str]:
        """Name the processes that hold it, as far as that is known."""

    @abstractmethod
    def _drop(self) -> None:
        """Let go of a forked child's copy of what holds the lock; the parent keeps it."""

    def _drop_in_children(self) -> None:
        """See to it that no forked child keeps the lock.

        An open file or socket is shared with a forked child, where the lock would outlive its owner. (A child
        that executes another program gets neither: both are close-on-exec.)
        """
        this = weakref.ref(self)

        def drop() -> None:
            if (lock := this()) is not None:
                lock._drop()

        os.register_at_fork(after_in_child=drop)


class FileLock(OwnerLock):
    """flock on a file that never goes away: released by the kernel when the holder ends, however it ends."""

    def __init__(self, path: Path, mode: int = PRIVATE) -> None:
        self._path, self._mode = path, mode
        self._fd: int | None = None

    def _open(self, flags: int) -> int:
        try:
            return os.open(self._path, flags | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise GanStudyError(f"cannot open the lock {self._path}: {error.strerror}") from error

    def acquire(self) -> bool:
        have_file(self._path, self._mode)
        fd = self._open(os.O_RDWR)
        for _ in range(_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE)
            except OSError as error:
                os.close(fd)
                raise GanStudyError(
                    f"cannot lock {self._path}: {error.strerror}; its file system must support flock"
                ) from error
            else:
                self._fd = fd
                self._drop_in_children()
                return True
        os.close(fd)
        return False

    def release(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    _drop = release

    def is_held(self) -> bool:
        try:
            fd = self._open(os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:  # a shared lock, for an instant: other probes do not see it
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def holders(self) -> list[str]:
        return file_holders(self._path, "FLOCK")


class AdvisoryLock(OwnerLock):
    """PostgreSQL's advisory lock, of a connection of its own: the server releases it when that ends."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        digest = hashlib.sha256(f"ganstudy ledger {name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big") >> 1  # a positive bigint
        self._engine = engine
        self._connection: sa.Connection | None = None
        self._fd = -1

    def acquire(self) -> bool:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.detach()  # never back into the pool: to close it is to release the lock
            # If this host vanishes without a word, the server finds out in about a minute.
            for setting, value in {"idle": 30, "interval": 10, "count": 3}.items():
                connection.exec_driver_sql(f"SET tcp_keepalives_{setting} = {value}")
            taken = any(self._try(connection) for _ in range(_TRIES))
            fd: int = connection.connection.dbapi_connection.fileno()  # type: ignore[union-attr]
        except BaseException:
            connection.close()
            raise
        if not taken:
            connection.close()
            return False
        self._connection, self._fd = connection, fd
        self._drop_in_children()
        return True

    def _try(self, connection: sa.Connection) -> bool:
        taken = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(self._key)))
        if not taken:
            time.sleep(_PAUSE)
        return bool(taken)

    def release(self) -> None:
        connection, self._connection = self._connection, None
        self._fd = -1
        if connection is not None:
            # Closing alone, the server notices only an instant later; the connection may have been cut before.
            with suppress(sa.exc.SQLAlchemyError):
                connection.scalar(sa.select(sa.func.pg_advisory_unlock(self._key)))
            connection.close()

    def is_held(self) -> bool:
        query = sa.text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND classid::bigint = :high AND objid::bigint = :low"
        )
        with self._engine.connect() as connection:
            found = connection.scalar(query, {"high": self._key >> 32, "low": self._key & 0xFFFFFFFF})
        return bool(found)

    def holders(self) -> list[str]:
        return []  # the ledger's word is enough: nobody else takes a lock of this name

    def _drop(self) -> None:
        if self._fd >= 0:  # without a word to the server
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(null, self._fd, inheritable=False)  # the number stays taken: nothing else can be written to
            os.close(null)
            self._fd = -1
