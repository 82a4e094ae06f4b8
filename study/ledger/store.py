"""The database under a ledger: its tables, how each kind of server is opened, and its errors in one line."""

import os
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from study.ledger.busy import Wait, file_holders, for_a_while
from study.ledger.lock import AdvisoryLock, FileLock, OwnerLock
from study.ledger.modes import PRIVATE, have_file
from trainables.display import quoted
from trainables.errors import CorruptFile, GanStudyError, InvalidInput, reason_of
from trainables.files import check_file, on_read_only

FORMAT = "ganstudy-ledger"
VERSION = 1
RESTORE = "restore it from a copy (launch says what an older copy lacks)"
_TRY_SECONDS, _PAUSE = 0.25, 0.25  # of waiting for a lock, and between: in the pauses others have their turn

_metadata = sa.MetaData()
_big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

events = sa.Table(
    "events",
    _metadata,
    sa.Column("seq", _big, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("trial", sa.BigInteger),
    sa.Column("kimg", sa.BigInteger),
    sa.Column("attempt", sa.BigInteger),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("written_at", sa.Double, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("crc", sa.BigInteger, nullable=False),
)
meta = sa.Table(
    "meta",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
)
# One row: who owns the ledger, and `head`, the number of rows written, so that a cut-off end is noticed.
owner = sa.Table(
    "owner",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("head", sa.BigInteger, nullable=False),
)

# SQLite's results that say "this file is not what was written", rather than "not now" or "not you".
_SQLITE_CORRUPT = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT", "SQLITE_ERROR", "SQLITE_MISMATCH"})
_SQLITE_REFUSED = frozenset({"SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR"})

# The server cancels a statement that waits longer for a lock, or at its own limit, or to end a deadlock.
_POSTGRESQL_BUSY = frozenset({"55P03", "57014", "40P01"})

_DRIVERS = ("sqlite", "postgresql", "postgresql+psycopg", "postgres")


class NoLedger(InvalidInput):
    """There is no ledger there."""


@dataclass(frozen=True, repr=False)  # a repr would show a password in the URL's query
class Store(ABC):
    """An open database: its engine, its location for people (never with a password), and the owner's lock.

    A subclass knows how its kind of database takes its locks, all at the beginning of a transaction, and who else
    holds them. `wait` is asked whenever another process holds what a transaction needs (see `study.ledger.busy`).
    `schema` is where the tables are, None for the database's own.
    """

    engine: sa.Engine
    location: str
    lock: OwnerLock
    wait: Wait
    schema: str | None = None
    secrets: tuple[str, ...] = ()

    @abstractmethod
    def _lock_to_read(self, connection: sa.Connection, tables: bool) -> None:
        """Begin to read; `tables` tells whether the ledger's are there."""

    @abstractmethod
    def _lock_to_write(self, connection: sa.Connection, tables: bool) -> None:
        """Begin to write."""

    @abstractmethod
    def _is_busy(self, error: BaseException) -> bool:
        """Whether `error` only says that another process holds the lock."""

    @abstractmethod
    def _holders(self) -> list[str]:
        """Name the processes that hold it."""

    @abstractmethod
    def check_file(self) -> None:
        """Check the database's whole file, indexes included; a server looks after its own.

        Raises:
            CorruptFile: with the first fault.
        """

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the driver raises into one line that names the database."""
        try:
            yield
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
            text = reason_of(cause)
            for secret in self.secrets:
                text = text.replace(secret, "***")
            raise self._failure(cause, text) from error
        except UnicodeDecodeError as error:  # from sqlite3, of its own message about a name that is damaged
            raise CorruptFile(f"ledger {self.location} is damaged: {error}; {RESTORE}") from error

    def _failure(self, cause: BaseException, text: str) -> GanStudyError:
        """The error to raise for one of the driver's, which says `text`."""
        del cause
        return GanStudyError(f"ledger {self.location}: {text}")

    def reading(self, tables: bool = True) -> AbstractContextManager[sa.Connection]:
        """A transaction that only reads, to be left within milliseconds: a driver waits for its end."""
        return self._transaction(self._lock_to_read, tables)

    def writing(self, tables: bool = True) -> AbstractContextManager[sa.Connection]:
        """A transaction that writes; committed, and on disk, once the block is left without an error."""
        return self._transaction(self._lock_to_write, tables)

    @contextmanager
    def _transaction(self, lock: Callable[[sa.Connection, bool], None], tables: bool) -> Iterator[sa.Connection]:
        with self.errors(), self._connection(lock, tables) as connection:
            transaction = connection.get_transaction()
            assert transaction is not None
            with transaction:
                yield connection

    def _connection(self, lock: Callable[[sa.Connection, bool], None], tables: bool) -> sa.Connection:
        """A connection with its transaction begun and all locks taken that it needs."""
        began = time.monotonic()
        while True:
            try:
                connection = self.engine.connect()
                try:
                    connection.begin()
                    lock(connection, tables)
                except BaseException:
                    connection.close()
                    raise
                return connection
            except sa.exc.DBAPIError as error:
                if error.orig is None or not self._is_busy(error.orig):
                    raise
            self.wait(time.monotonic() - began, self._held)
            time.sleep(_PAUSE)

    def _held(self) -> str:
        held = self._holders() or ["a process that cannot be seen from here"]
        return f"the ledger {self.location} is locked by {', '.join(held)}"


class _SqliteStore(Store):
    """One file, rollback journal, every commit on disk before it returns."""

    @classmethod
    def open(cls, path: Path, schema: str, create: bool, mode: int, wait: Wait) -> Self:
        if not create and not path.exists():
            raise _missing(os.fspath(path), schema)
        if create:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise GanStudyError(f"cannot create the folder {path.parent}: {error.strerror}") from error
        check_file(path, "ledger")
        if create:
            have_file(path, mode)
        elif not os.access(path, os.R_OK):
            raise GanStudyError(
                f"you may not read the ledger {path}: its owner can share it with storage.readers: group, or everyone"
            )
        connect = partial(_connect_sqlite, path, create)
        engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)
        return cls(engine, os.fspath(path), FileLock(path.with_suffix(".lock"), mode), wait)

    def check_file(self) -> None:
        with self.errors(), closing(sqlite3.connect("")) as copy:  # a temporary file
            with self.reading() as connection:  # milliseconds, which the check itself is not
                connection.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise CorruptFile(f"ledger {self.location} is damaged: {' '.join(str(found).split())}; {RESTORE}")

    def _failure(self, cause: BaseException, text: str) -> GanStudyError:
        kind = "_".join(getattr(cause, "sqlite_errorname", "").split("_")[:2])
        if kind in _SQLITE_REFUSED and on_read_only(Path(self.location)):
            undo = " and an interrupted commit must be undone" if Path(f"{self.location}-journal").exists() else ""
            return GanStudyError(
                f"ledger {self.location}: is on a read-only file system{undo}; make that writable, or copy the study"
            )
        if isinstance(cause, sqlite3.Error) and kind in _SQLITE_CORRUPT:
            return CorruptFile(f"ledger {self.location} is damaged or not a ledger: {text}; {RESTORE}")
        return super()._failure(cause, text)

    def _lock_to_read(self, connection: sa.Connection, tables: bool) -> None:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT 1 FROM sqlite_schema LIMIT 1")  # takes the lock, which BEGIN does not

    def _lock_to_write(self, connection: sa.Connection, tables: bool) -> None:
        # All that it needs, at once: whoever reads is waited for here, and never in the commit.
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    def _is_busy(self, error: BaseException) -> bool:
        return str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))

    def _holders(self) -> list[str]:
        return file_holders(Path(self.location), "POSIX")


def _connect_sqlite(path: Path, create: bool) -> sqlite3.Connection:
    # "rw" never makes an empty file where a ledger is missing.
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=_TRY_SECONDS, check_same_thread=False)
    connection.isolation_level = None  # `_SqliteStore` begins the transactions
    # A flipped byte may not be UTF-8: the checksum finds it, and names the row.
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        # FULL, and the folder too after the journal is removed: without that a commit can be undone by a
        # power cut (https://www.sqlite.org/pragma.html#pragma_synchronous).
        connection.execute("PRAGMA synchronous = EXTRA")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class _PostgresqlStore(Store):
    """A server; the study's tables are in the schema of its name."""

    @classmethod
    def open(cls, url: sa.URL, schema: str, wait: Wait) -> Self:
        if len(schema.encode()) > 63:
            raise InvalidInput(f"study name {schema!r}: PostgreSQL takes at most 63 bytes; choose a shorter name")
        defaults = {"connect_timeout": "10", "application_name": "ganstudy"}
        url = url.set(drivername="postgresql+psycopg", query={**defaults, **url.query})
        try:
            engine = sa.create_engine(
                url,
                pool_pre_ping=True,
                execution_options={"schema_translate_map": {None: sa.quoted_name(schema, quote=True)}},
            )
        except ImportError as error:
            raise InvalidInput(
                "a PostgreSQL ledger needs psycopg: pip install 'ganstudy[postgresql]', or give a path"
            ) from error
        location = f"{url.set(query={}).render_as_string(hide_password=True)} (schema {schema!r})"
        given = (url.password, url.query.get("password"))
        secrets = tuple(secret for secret in given if isinstance(secret, str) and secret)
        return cls(engine, location, AdvisoryLock(engine, schema), wait, schema, secrets)

    def check_file(self) -> None:
        pass

    def _lock_to_read(self, connection: sa.Connection, tables: bool) -> None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_TRY_SECONDS * 1000:.0f}ms'")
        if tables:
            self._lock_tables(connection, "ACCESS SHARE")

    def _lock_to_write(self, connection: sa.Connection, tables: bool) -> None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_TRY_SECONDS * 1000:.0f}ms'")
        if tables:
            self._lock_tables(connection, "ROW EXCLUSIVE")
            connection.execute(sa.select(owner.c.id).with_for_update())
        else:  # CREATE ... IF NOT EXISTS of two drivers at once fails in one of them: let them go one by one
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("ganstudy create"))))

    def _lock_tables(self, connection: sa.Connection, mode: str) -> None:
        name = connection.dialect.identifier_preparer.quote_identifier(str(self.schema))
        connection.exec_driver_sql(f"LOCK TABLE {name}.owner, {name}.events IN {mode} MODE")

    def _is_busy(self, error: BaseException) -> bool:
        return getattr(error, "sqlstate", None) in _POSTGRESQL_BUSY

    def _holders(self) -> list[str]:
        query = sa.text(
            "SELECT DISTINCT a.pid, a.usename, a.application_name, host(a.client_addr), a.state"
            " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            " JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE l.granted AND n.nspname = :schema AND l.mode <> 'AccessShareLock' AND a.pid <> pg_backend_pid()"
        )
        with self.engine.connect() as connection:
            found = connection.execute(query, {"schema": self.schema}).all()
        return [
            f"the server's process {pid} of {user} from {host or 'its own machine'} ({name or 'no name'}, {state})"
            for pid, user, name, host, state in found
        ]


def open_store(
    url_or_path: str | Path, *, schema: str, create: bool, mode: int = PRIVATE, wait: Wait = for_a_while
) -> Store:
    """Open the database of the study `schema`, and create its tables if `create`.

    With `create` the files of an SQLite ledger get the permissions `mode`; those that are there get no less.

    Raises:
        NoLedger: there is none, and `create` is false.
        InvalidInput: no ledger can be there, or something else is.
        CorruptFile: it is damaged, or of another format.
        GanStudyError: it cannot be reached or read, or others hold it for longer than `wait` allows.
    """
    store: Store
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        store = _SqliteStore.open(Path(url_or_path), schema, create, mode, wait)
    else:
        try:
            url = sa.make_url(url_or_path)
        except (sa.exc.ArgumentError, ValueError):  # which may quote the URL, password and all
            raise InvalidInput(
                "the ledger's URL does not parse: give postgresql://USER@HOST/DATABASE or a path"
            ) from None
        if url.drivername not in _DRIVERS:
            raise InvalidInput(f"ledger URL with {quoted(url.drivername)}: use one of {', '.join(_DRIVERS)}, or a path")
        if url.drivername != "sqlite":
            store = _PostgresqlStore.open(url, schema, wait)
        elif url.database in (None, "", ":memory:"):
            raise InvalidInput("a SQLite ledger needs a file: sqlite:///FOLDER/ledger.db, or just the path")
        else:
            store = _SqliteStore.open(Path(str(url.database)), schema, create, mode, wait)
    try:
        _prepare(store, schema, create)
    except BaseException:
        store.engine.dispose()
        raise
    return store


def _missing(location: str, schema: str) -> NoLedger:
    return NoLedger(
        f"no study {schema!r}: there is no ledger at {location}; `ganstudy launch` starts one, `ganstudy list` "
        "shows those there are"
    )


def _prepare(store: Store, schema: str, create: bool) -> None:
    """Find the ledger's tables and check their format, or make them."""
    with store.reading(tables=False) as connection:
        names = sa.inspect(connection).get_table_names(schema=store.schema)
    if "meta" not in names:
        if not create:
            raise _missing(store.location, schema)
        if names:
            some = ", ".join(sorted(names)[:3])
            raise InvalidInput(f"{store.location} holds other tables ({some}) and no ledger: choose another database")
        _create_tables(store)
    with store.reading() as connection:
        found = connection.execute(sa.select(meta.c.format, meta.c.version)).first()
        if found is not None and found.format != FORMAT:
            raise InvalidInput(f"{store.location} is another program's database; choose another")
        owners = connection.scalar(sa.select(sa.func.count()).select_from(owner))
    if found is None or owners != 1:
        raise CorruptFile(f"ledger {store.location} has lost its row in 'meta' or 'owner'; {RESTORE}")
    if found.version != VERSION:
        raise CorruptFile(
            f"ledger {store.location} has format version {found.version}, this ganstudy reads {VERSION}: "
            "use the ganstudy that wrote it"
        )


def _create_tables(store: Store) -> None:
    with store.writing(tables=False) as connection:
        if store.schema is not None:
            connection.execute(sa.schema.CreateSchema(sa.quoted_name(store.schema, quote=True), if_not_exists=True))
        _metadata.create_all(connection)
        if connection.execute(sa.select(meta.c.id)).first() is None:
            values = {"id": 1, "format": FORMAT, "version": VERSION, "created_at": time.time()}
            connection.execute(sa.insert(meta).values(values))
            nobody = {"id": 1, "epoch": 0, "host": "", "pid": 0, "since": 0.0, "head": 0}
            connection.execute(sa.insert(owner).values(nobody))
