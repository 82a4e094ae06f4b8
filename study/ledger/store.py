"""The database under a ledger: its tables, how each kind of server is opened, and its errors in one line."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from study.ledger.lock import AdvisoryLock, FileLock, OwnerLock
from trainables.display import quoted
from trainables.errors import CorruptFile, GanStudyError, InvalidInput, reason_of

FORMAT = "ganstudy-ledger"
VERSION = 1
BUSY_SECONDS = 30.0  # how long SQLite waits for another process's transaction, which takes milliseconds

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


class NoLedger(InvalidInput):
    """There is none at that place."""


@dataclass(frozen=True)
class Store:
    """An open database: its engine, its name for people (never with a password), and the owner's lock."""

    engine: sa.Engine = field(repr=False)  # it would show a password in the URL's query
    place: str
    lock: OwnerLock
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the driver raises into one line that names the place."""
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise self._translated(error) from error
        except UnicodeDecodeError as error:  # from sqlite3, of its own message about a name that is damaged
            raise CorruptFile(f"ledger {self.place} is damaged: {error}; restore it from a copy") from error

    def _translated(self, error: sa.exc.SQLAlchemyError) -> GanStudyError:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
        text = reason_of(cause)
        for secret in self.secrets:
            text = text.replace(secret, "***")
        result = getattr(cause, "sqlite_errorname", "")
        if isinstance(cause, sqlite3.Error) and "_".join(result.split("_")[:2]) in _SQLITE_CORRUPT:
            return CorruptFile(f"ledger {self.place} is damaged or no ledger: {text}; restore it from a copy")
        return GanStudyError(f"ledger {self.place}: {text}")

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self.errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes; committed, and on disk, once the block is left without an error."""
        with self.errors(), self.engine.connect() as connection:
            connection = connection.execution_options(ganstudy_writes=True)
            with connection.begin():
                yield connection

    def check_file(self) -> None:
        """Have SQLite look through its whole file, indexes included; a server looks after its own.

        Raises:
            CorruptFile: with the first thing that SQLite found.
        """
        if self.engine.dialect.name == "sqlite":
            with self.reading() as connection:
                found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
            if found != "ok":
                text = " ".join(str(found).split())
                raise CorruptFile(f"ledger {self.place} is damaged: {text}; restore it from a copy")


def _sqlite(path: Path, create: bool) -> Store:
    """One file, rollback journal, every commit on disk before it returns."""

    def connect() -> sqlite3.Connection:
        # "rw" never makes an empty file where a ledger is missing.
        mode = "rwc" if create else "rw"
        uri = f"file:{quote(os.fspath(path.absolute()))}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
        connection.isolation_level = None  # SQLAlchemy begins the transactions, below
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
    if path.is_dir():
        raise InvalidInput(f"ledger {path} is a folder; give the file")
    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)

    def begin(connection: sa.Connection) -> None:
        # A write takes its lock at once: never a read first that cannot become a write.
        writes = connection.get_execution_options().get("ganstudy_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    sa.event.listen(engine, "begin", begin)
    return Store(engine=engine, place=os.fspath(path), lock=FileLock(path.with_suffix(".lock")))


def _postgresql(url: sa.URL, schema: str) -> Store:
    """A server; the study's tables lie in the schema of its name."""
    if len(schema.encode()) > 63:
        raise InvalidInput(f"study name {schema!r}: PostgreSQL takes at most 63 bytes; choose a shorter name")
    url = url.set(drivername="postgresql+psycopg")
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": "10"})
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
        secrets=tuple(secret for secret in given if isinstance(secret, str) and secret),
    )


def _sqlite_by_url(url: sa.URL, schema: str, create: bool) -> Store:
    del schema
    if url.database in (None, "", ":memory:"):
        raise InvalidInput("a SQLite ledger needs a file: sqlite:///FOLDER/ledger.db, or just the path")
    return _sqlite(Path(str(url.database)), create)


def _postgresql_by_url(url: sa.URL, schema: str, create: bool) -> Store:
    del create
    return _postgresql(url, schema)


_DRIVERS: Mapping[str, Callable[[sa.URL, str, bool], Store]] = {
    "sqlite": _sqlite_by_url,
    "postgresql": _postgresql_by_url,
    "postgresql+psycopg": _postgresql_by_url,
    "postgres": _postgresql_by_url,
}


def open_store(url_or_path: str | Path, *, schema: str, create: bool) -> Store:
    """Open the database of the study `schema`, and create its tables if `create`.

    Raises:
        NoLedger: there is none, and `create` is false.
        InvalidInput: the place cannot be one, or holds something else.
        CorruptFile: it is damaged, or of another format.
        GanStudyError: it cannot be reached.
    """
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        path = Path(url_or_path)
        if not create and not path.exists():
            raise _missing(os.fspath(path), schema)
        store = _sqlite(path, create)
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
        store = driver(url, schema, create)
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
        raise CorruptFile(f"ledger {store.place} has lost its row in 'meta' or 'owner'; restore it from a copy")
    if found.version != VERSION:
        raise CorruptFile(
            f"ledger {store.place} has format version {found.version}, this ganstudy reads {VERSION}: "
            "use the ganstudy that wrote it"
        )


def _table_names(store: Store, schema: str | None) -> set[str]:
    with store.reading() as connection:
        return set(sa.inspect(connection).get_table_names(schema=schema))


def _create_tables(store: Store, schema: str | None) -> None:
    with store.writing() as connection:
        if schema is not None:
            # CREATE ... IF NOT EXISTS of two drivers at once fails in one of them: let them go one by one.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("ganstudy create"))))
            connection.execute(sa.schema.CreateSchema(sa.quoted_name(schema, quote=True), if_not_exists=True))
        _metadata.create_all(connection)
        if connection.execute(sa.select(meta.c.id)).first() is None:
            values = {"id": 1, "format": FORMAT, "version": VERSION, "created_at": time.time()}
            connection.execute(sa.insert(meta).values(values))
            nobody = {"id": 1, "epoch": 0, "host": "", "pid": 0, "since": 0.0, "head": 0}
            connection.execute(sa.insert(owner).values(nobody))
