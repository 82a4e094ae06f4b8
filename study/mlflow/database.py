"""MLflow's stores in SQLite files: their addresses, and how a file is always whole or absent.

MLflow makes its tables in some fifty steps, each committed. A process that ends between two of them leaves a file that
no MLflow can open again. So a store is made under another name first, and a half-made one is replaced.
"""

import fcntl
import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from glob import escape
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from study.mlflow.private import forget_connections, make_store, makes_stores, newest_schema
from study.mlflow.settings import prepare_environment
from study.study_file.addresses import database_file
from trainables.display import quoted
from trainables.errors import CorruptFile, GanStudyError, InvalidInput
from trainables.files import check_file, on_read_only

_WAIT = 30.0  # seconds for another process to finish its transaction
_TRIES = 3
_BESIDE = ("-journal", "-wal", "-shm")
_FIRST_TABLES = {"alembic_version", "experiments", "runs", "tags", "params", "metrics"}
_HELD = {"runs": "", "registered_models": "", "model_versions": "", "experiments": " WHERE experiment_id <> 0"}
_log = logging.getLogger(__name__)


def sqlite_uri(file: Path) -> str:
    """Return the address of an SQLite file.

    Raises:
        InvalidInput: if the path is not UTF-8.
    """
    try:
        text = sa.URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)
    except UnicodeEncodeError:
        raise InvalidInput(f"{quoted(str(file))}: an MLflow store needs a path in UTF-8; rename the folder") from None
    # What follows `sqlite:///` MLflow takes for a path, and makes its folder.
    return text if text.endswith(f"///{file}") else text.replace("sqlite:", "sqlite+pysqlite:", 1)


def check_database_folder(uri: str) -> None:
    """Refuse a database file that can never be made.

    Raises:
        InvalidInput: if `uri` (as from `resolve_uri`) is a file in a missing or read-only folder, or not a file.
    """
    if (file := database_file(uri)) is None:
        return
    what = f"MLflow URI {quoted(uri)}"
    if not file.parent.is_dir():
        raise InvalidInput(f"{what}: there is no folder {file.parent}; make it, or correct mlflow.uri")
    check_file(file, what)
    if on_read_only(file):
        raise InvalidInput(f"{what}: {file.parent} is on a read-only file system; choose another folder")


def check_database(uri: str, advice: str) -> None:
    """Refuse to read a store that is not whole: MLflow would make tables in it.

    Args:
        uri: as from `resolve_uri`; a server's is not checked.
        advice: how to get a whole store.

    Raises:
        GanStudyError: if it is a file, but not a store of this MLflow.
    """
    if (file := database_file(uri)) is None:
        return
    found = _examine(file)
    if found.standing in (_Standing.DAMAGED, _Standing.HALF_MADE, _Standing.ABSENT):
        raise CorruptFile(f"MLflow's store {file} cannot be read: it {found.detail}; {advice}")
    if found.standing is not _Standing.WHOLE:
        raise _unusable(file, found)


def ready_database(uri: str, artifacts: str, ours: bool) -> None:
    """Make sure that a store is whole before it is written to, also while other processes make it.

    Args:
        uri: as from `resolve_uri`; nothing is done for a server.
        artifacts: URI where its first experiment keeps artifacts.
        ours: whether it is a study's embedded store, a projection: if damaged, it is set aside and made again.

    Raises:
        GanStudyError: if the file is something else; it is left as it is.
    """
    if (file := database_file(uri)) is None:
        return
    check_database_folder(uri)
    for _ in range(_TRIES):
        found = _examine(file, thorough=ours)
        if found.standing is _Standing.WHOLE or (found.standing is _Standing.ABSENT and not makes_stores()):
            return
        if found.standing is _Standing.ABSENT:
            _make(file, artifacts, _put)
        elif found.standing is _Standing.HALF_MADE:
            _make(file, artifacts, _replace_half_made)
            _log.warning("MLflow's store %s was half made, and held nothing: made it anew", file)
        elif found.standing is _Standing.DAMAGED and ours:
            aside = _set_aside(file)
            _log.warning(
                "MLflow's store %s %s: set aside as %s, and made anew from the ledger; models registered in the old "
                "one are not in the new one",
                *(file, found.detail, aside.name),
            )
        else:
            raise _unusable(file, found)
        forget_connections(uri)
    raise GanStudyError(f"MLflow's store {file} could not be made: another process is changing it; try again")


class _Standing(Enum):
    ABSENT = "is not there"
    HALF_MADE = "is half made"
    DAMAGED = "is damaged"
    FOREIGN = "is another program's database"
    OTHER = "is of another MLflow"
    WHOLE = "is whole"


@dataclass(frozen=True)
class _Found:
    standing: _Standing
    more: str = ""

    @property
    def detail(self) -> str:
        return self.standing.value + self.more


def _unusable(file: Path, found: _Found) -> GanStudyError:
    remedies = {
        _Standing.OTHER: "use the MLflow that made it, or take a copy and run `mlflow db upgrade` on it",
        _Standing.FOREIGN: "choose another file",
        _Standing.DAMAGED: "restore it from a copy, or move it away: then it is made anew from the ledger",
    }
    return CorruptFile(f"MLflow's store {file} {found.detail}; {remedies[found.standing]}")


def _examine(file: Path, thorough: bool = False) -> _Found:
    try:
        if not file.stat().st_size:
            return _Found(_Standing.ABSENT)
    except FileNotFoundError:
        return _Found(_Standing.ABSENT)
    except OSError as error:
        raise GanStudyError(f"MLflow's store {file} cannot be opened: {error.strerror}") from error
    try:
        with closing(_connected(file)) as connection:
            if thorough and (said := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                return _Found(_Standing.DAMAGED, f" ({' '.join(said.split())})")
            return _inspected(connection)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return _Found(_Standing.DAMAGED, f" ({error})")
        raise GanStudyError(f"MLflow's store {file} cannot be opened: {error}") from error


def _inspected(connection: sqlite3.Connection) -> _Found:
    prepare_environment()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "experiments" not in tables and tables - _FIRST_TABLES:
        return _Found(_Standing.FOREIGN, f" (it has a table {min(tables - _FIRST_TABLES)!r})")
    revision = _first(connection, "SELECT version_num FROM alembic_version", "alembic_version", tables)
    wanted = newest_schema()
    if wanted is None or revision == wanted:
        return _Found(_Standing.WHOLE)
    if any(_first(connection, f"SELECT 1 FROM {name}{where}", name, tables) for name, where in _HELD.items()):
        return _Found(_Standing.OTHER, f" (its schema is {revision}, this one's {wanted})")
    return _Found(_Standing.HALF_MADE)


def _first(connection: sqlite3.Connection, query: str, table: str, tables: set[str]) -> object:
    row = connection.execute(query).fetchone() if table in tables else None
    return None if row is None else row[0]


def _connected(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=_WAIT, isolation_level=None)


def _make(file: Path, artifacts: str, put: Callable[[Path, Path], None]) -> None:
    """Make a store under another name beside `file`, and `put` it there."""
    prepare_environment()
    for left in file.parent.glob(f".{escape(file.name)}.*.making"):
        with _held(left) as free:
            if free:  # its maker was killed
                _remove(left)
    for _ in range(_TRIES):
        new = file.with_name(f".{file.name}.{secrets.token_hex(8)}.making")
        new.touch(exist_ok=False)
        try:
            with _held(new) as ours:
                if ours and new.exists():  # no other process took it for a leftover before it was locked
                    make_store(sqlite_uri(new), artifacts)
                    put(new, file)
                    return
        finally:
            _remove(new)


@contextmanager
def _held(file: Path) -> Iterator[bool]:
    """Lock a file while the block runs; tell whether it was free. The kernel releases what a killed process held."""
    with ExitStack() as stack:
        free = False
        with suppress(FileNotFoundError, BlockingIOError):
            handle = stack.enter_context(file.open("r+b"))
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        yield free


def _put(new: Path, file: Path) -> None:
    """Give `new` its name, unless another process was faster: then its file stays."""
    if file.exists() and not file.stat().st_size:
        new.replace(file)
        return
    try:
        os.link(new, file)
    except OSError:
        if not file.exists():  # a file system without links
            new.rename(file)


def _replace_half_made(new: Path, file: Path) -> None:
    """Replace a half-made `file` by `new` once nobody writes to it, if it is still half made."""
    which = file.stat().st_ino
    with closing(_connected(file)) as connection:
        connection.execute("BEGIN EXCLUSIVE")  # waits for a process that is just making it
        if file.stat().st_ino == which and _inspected(connection).standing is _Standing.HALF_MADE:
            new.replace(file)


def _set_aside(file: Path) -> Path:
    names = (file.with_name(f"{file.name}.damaged-{n}") for n in count(1))
    aside = next(name for name in names if not name.exists())
    for beside in _BESIDE:  # first, for beside a new file they would be played back into that
        left = file.with_name(file.name + beside)
        if left.exists():
            left.rename(aside.with_name(aside.name + beside))
    file.rename(aside)
    return aside


def _remove(new: Path) -> None:
    for name in (new.name, *(new.name + beside for beside in _BESIDE)):
        new.with_name(name).unlink(missing_ok=True)
