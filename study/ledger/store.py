"""The database under a ledger: its tables, how each kind of server is opened, and its errors in one line."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

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


class NoLedger(InvalidInput):
    """There is none at that place."""


class Locking(Protocol):
    """How a kind of database takes its locks, all at the beginning of a transaction, and who else holds them."""

    def read(self, connection: sa.Connection, tables: bool) -> None:
        """Begin to read; `tables` tells whether the ledger's are there."""

    def write(self, connection: sa.Connection, tables: bool) -> None:
        """Begin to write."""

    def is_busy(self, error: BaseException) -> bool:
        """Whether `error` only says that another process holds the lock."""

    def holders(self, engine: sa.Engine) -> list[str]:
        """Name those that hold it."""


@dataclass(frozen=True)
class Store:
    """An open database: its engine, its name for people (never with a password), and the owner's lock.

    `wait` is asked whenever another process holds what a transaction needs (see `study.ledger.busy`).
    """

    engine: sa.Engine = field(repr=False)  # it would show a password in the URL's query
    place: str
    lock: OwnerLock
    locking: Locking
    wait: Wait
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the driver raises into one line that names the place."""
        try:
            yield
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            raise self._translated(error) from error
        except UnicodeDecodeError as error:  # from sqlite3, of its own message about a name that is damaged
            raise CorruptFile(f"ledger {self.place} is damaged: {error}; {RESTORE}") from error

    def _translated(self, error: sa.exc.SQLAlchemyError | sqlite3.Error) -> GanStudyError:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
        text = reason_of(cause)
        for secret in self.secrets:
            text = text.replace(secret, "***")
        result = getattr(cause, "sqlite_errorname", "")
        kind = "_".join(result.split("_")[:2])
        if kind in _SQLITE_REFUSED and on_read_only(Path(self.place)):
            undo = " and must be brought back from within a commit" if Path(f"{self.place}-journal").exists() else ""
            return GanStudyError(
                f"ledger {self.place}: is on a read-only file system{undo}; make that writable, or copy the study"
            )
        if isinstance(cause, sqlite3.Error) and kind in _SQLITE_CORRUPT:
            return CorruptFile(f"ledger {self.place} is damaged or no ledger: {text}; {RESTORE}")
        return GanStudyError(f"ledger {self.place}: {text}")

    @contextmanager
    def reading(self, tables: bool = True) -> Iterator[sa.Connection]:
        """A transaction that only reads, to be left within milliseconds: a driver waits for its end."""
        with self.errors(), self._begun(self.locking.read, tables) as connection:
            yield connection

    @contextmanager
    def writing(self, tables: bool = True) -> Iterator[sa.Connection]:
        """A transaction that writes; committed, and on disk, once the block is left without an error."""
        with self.errors(), self._begun(self.locking.write, tables) as connection:
            yield connection

    @contextmanager
    def _begun(self, lock: Callable[[sa.Connection, bool], None], tables: bool) -> Iterator[sa.Connection]:
        with self._connection(lock, tables) as connection:
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
                if error.orig is None or not self.locking.is_busy(error.orig):
                    raise
            self.wait(time.monotonic() - began, self._held)
            time.sleep(_PAUSE)

    def _held(self) -> str:
        held = self.locking.holders(self.engine) or ["a process that cannot be seen from here"]
        return f"the ledger {self.place} is locked by {', '.join(held)}"

    def check_file(self) -> None:
        """Have SQLite look through a copy of its whole file, indexes included; a server looks after its own.

        Raises:
            CorruptFile: with the first thing that SQLite found.
        """
        if self.engine.dialect.name == "sqlite":
            with self.errors(), closing(sqlite3.connect("")) as copy:  # a temporary file
                with self.reading() as connection:  # milliseconds, which the check itself is not
                    connection.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
                found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                text = " ".join(str(found).split())
                raise CorruptFile(f"ledger {self.place} is damaged: {text}; {RESTORE}")


class _SqliteLocking:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, connection: sa.Connection, tables: bool) -> None:
        del tables
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT 1 FROM sqlite_schema LIMIT 1")  # takes the lock, which BEGIN does not

    def write(self, connection: sa.Connection, tables: bool) -> None:
        del tables
        # All that it needs, at once: whoever reads is waited for here, and never in the commit.
        connection.exec_driver_sql("BEGIN EXCLUSIVE")

    def is_busy(self, error: BaseException) -> bool:
        return str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))

    def holders(self, engine: sa.Engine) -> list[str]:
        del engine
        return file_holders(self._path, "POSIX")


def _sqlite(path: Path, create: bool, mode: int, wait: Wait) -> Store:
    """One file, rollback journal, every commit on disk before it returns."""

    def connect() -> sqlite3.Connection:
        # "rw" never makes an empty file where a ledger is missing.
        mode = "rwc" if create else "rw"
        uri = f"file:{quote(os.fspath(path.absolute()))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=_TRY_SECONDS, check_same_thread=False)
        connection.isolation_level = None  # `_SqliteLocking` begins the transactions
        # A byte that flipped may leave no UTF-8: let the checksum find it, and name the row.
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
            f"ledger {path} may not be read by you: its owner can share it with storage.readers: group, or everyone"
        )
    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)
    lock = FileLock(path.with_suffix(".lock"), mode)
    return Store(engine, os.fspath(path), lock, _SqliteLocking(path), wait)


class _PostgresqlLocking:
    # The server cancels a statement that waits longer for a lock, or at its own limit, or to end a deadlock.
    _BUSY = frozenset({"55P03", "57014", "40P01"})

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def _lock_tables(self, connection: sa.Connection, mode: str) -> None:
        quoted = connection.dialect.identifier_preparer.quote_identifier(self._schema)
        connection.exec_driver_sql(f"LOCK TABLE {quoted}.owner, {quoted}.events IN {mode} MODE")

    def _limit(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_TRY_SECONDS * 1000:.0f}ms'")

    def read(self, connection: sa.Connection, tables: bool) -> None:
        self._limit(connection)
        if tables:
            self._lock_tables(connection, "ACCESS SHARE")

    def write(self, connection: sa.Connection, tables: bool) -> None:
        self._limit(connection)
        if tables:
            self._lock_tables(connection, "ROW EXCLUSIVE")
            connection.execute(sa.select(owner.c.id).with_for_update())
        else:  # CREATE ... IF NOT EXISTS of two drivers at once fails in one of them: let them go one by one
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("ganstudy create"))))

    def is_busy(self, error: BaseException) -> bool:
        return getattr(error, "sqlstate", None) in self._BUSY

    def holders(self, engine: sa.Engine) -> list[str]:
        query = sa.text(
            "SELECT DISTINCT a.pid, a.usename, a.application_name, host(a.client_addr), a.state"
            " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            " JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE l.granted AND n.nspname = :schema AND l.mode <> 'AccessShareLock' AND a.pid <> pg_backend_pid()"
        )
        with engine.connect() as connection:
            found = connection.execute(query, {"schema": self._schema}).all()
        return [
            f"the server's process {pid} of {user} from {host or 'its own machine'} ({name or 'no name'}, {state})"
            for pid, user, name, host, state in found
        ]


def _postgresql(url: sa.URL, schema: str, wait: Wait) -> Store:
    """A server; the study's tables lie in the schema of its name."""
    if len(schema.encode()) > 63:
        raise InvalidInput(f"study name {schema!r}: PostgreSQL takes at most 63 bytes; choose a shorter name")
    url = url.set(drivername="postgresql+psycopg")
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": "10"})
    if "application_name" not in url.query:
        url = url.update_query_dict({"application_name": "ganstudy"})
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
    given = (url.password, url.query.get("password"))
    shown = url.set(query={}).render_as_string(hide_password=True)
    return Store(
        engine=engine,
        place=f"{shown} (schema {schema!r})",
        lock=AdvisoryLock(engine, schema),
        locking=_PostgresqlLocking(schema),
        wait=wait,
        secrets=tuple(secret for secret in given if isinstance(secret, str) and secret),
    )


def _sqlite_by_url(url: sa.URL, schema: str, create: bool, mode: int, wait: Wait) -> Store:
    del schema
    if url.database in (None, "", ":memory:"):
        raise InvalidInput("a SQLite ledger needs a file: sqlite:///FOLDER/ledger.db, or just the path")
    return _sqlite(Path(str(url.database)), create, mode, wait)


def _postgresql_by_url(url: sa.URL, schema: str, create: bool, mode: int, wait: Wait) -> Store:
    del create, mode
    return _postgresql(url, schema, wait)


_DRIVERS: Mapping[str, Callable[[sa.URL, str, bool, int, Wait], Store]] = {
    "sqlite": _sqlite_by_url,
    "postgresql": _postgresql_by_url,
    "postgresql+psycopg": _postgresql_by_url,
    "postgres": _postgresql_by_url,
}


def open_store(
    url_or_path: str | Path, *, schema: str, create: bool, mode: int = PRIVATE, wait: Wait = for_a_while
) -> Store:
    """Open the database of the study `schema`, and create its tables if `create`.

    With `create` the files of an SQLite ledger get the permissions `mode`; those that are there get no less.

    Raises:
        NoLedger: there is none, and `create` is false.
        InvalidInput: the place cannot be one, or holds something else.
        CorruptFile: it is damaged, or of another format.
        GanStudyError: it cannot be reached or read, or others hold it for longer than `wait` allows.
    """
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        path = Path(url_or_path)
        if not create and not path.exists():
            raise _missing(os.fspath(path), schema)
        store = _sqlite(path, create, mode, wait)
    else:
        try:
            url = sa.make_url(url_or_path)
        except (sa.exc.ArgumentError, ValueError):  # which may quote the URL, password and all
            raise InvalidInput(
                "the ledger's URL does not parse: give postgresql://USER@HOST/DATABASE or a path"
            ) from None
        driver = _DRIVERS.get(url.drivername)
        if driver is None:
            raise InvalidInput(f"ledger URL with {quoted(url.drivername)}: use one of {', '.join(_DRIVERS)}, or a path")
        if url.drivername == "sqlite" and not create and url.database and not Path(url.database).exists():
            raise _missing(url.database, schema)
        store = driver(url, schema, create, mode, wait)
    try:
        _prepare(store, schema, create)
    except BaseException:
        store.engine.dispose()
        raise
    return store


def _missing(place: str, schema: str) -> NoLedger:
    return NoLedger(
        f"no study {schema!r}: there is no ledger at {place}; `ganstudy launch` starts one, `ganstudy list` "
        "shows those there are"
    )


def _prepare(store: Store, schema: str, create: bool) -> None:
    """Find the ledger's tables and check their format, or make them."""
    server = store.engine.dialect.name == "postgresql"
    names = _table_names(store, schema if server else None)
    if "meta" not in names:
        if not create:
            raise _missing(store.place, schema)
        if names:
            raise InvalidInput(
                f"{store.place} holds other tables ({', '.join(sorted(names)[:3])}) and no ledger: choose another place"
            )
        _create_tables(store, schema if server else None)
    with store.reading() as connection:
        found = connection.execute(sa.select(meta.c.format, meta.c.version)).first()
        if found is not None and found.format != FORMAT:
            raise InvalidInput(f"{store.place} is another program's database; choose another place")
        owners = connection.scalar(sa.select(sa.func.count()).select_from(owner))
    if found is None or owners != 1:
        raise CorruptFile(f"ledger {store.place} has lost its row in 'meta' or 'owner'; {RESTORE}")
    if found.version != VERSION:
        raise CorruptFile(
            f"ledger {store.place} has format version {found.version}, this ganstudy reads {VERSION}: "
            "use the ganstudy that wrote it"
        )


def _table_names(store: Store, schema: str | None) -> set[str]:
    with store.reading(tables=False) as connection:
        return set(sa.inspect(connection).get_table_names(schema=schema))


def _create_tables(store: Store, schema: str | None) -> None:
    with store.writing(tables=False) as connection:
        if schema is not None:
            connection.execute(sa.schema.CreateSchema(sa.quoted_name(schema, quote=True), if_not_exists=True))
        _metadata.create_all(connection)
        if connection.execute(sa.select(meta.c.id)).first() is None:
            values = {"id": 1, "format": FORMAT, "version": VERSION, "created_at": time.time()}
            connection.execute(sa.insert(meta).values(values))
            nobody = {"id": 1, "epoch": 0, "host": "", "pid": 0, "since": 0.0, "head": 0}
            connection.execute(sa.insert(owner).values(nobody))
