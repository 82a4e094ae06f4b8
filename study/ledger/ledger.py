"""The ledger: the append-only record of a study, from which everything else can be rebuilt.

Anyone may read it at any time. To write it one owns it: `own` takes a lock that only one live process can
hold, and a new *epoch*; every write checks in its own transaction that the epoch is still the newest, so that
a driver that was taken for dead, and replaced, can never write again.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from study.ledger import store as tables
from study.ledger.busy import Wait, for_a_while
from study.ledger.events import Event, to_json
from study.ledger.head import Head, read_head, write_head
from study.ledger.modes import PRIVATE
from study.ledger.rows import FIRST_CRC, Row, StoredRow, store, verify
from study.ledger.store import NoLedger, Store, open_store
from trainables.errors import CorruptFile, GanStudyError

__all__ = ["Fenced", "Ledger", "NoLedger", "Owner", "Row", "Writer"]

_CHUNK = 500  # keys or rows per statement, far below the variables that SQLite and PostgreSQL take


class Fenced(GanStudyError):
    """Another driver has taken the study over: this one must stop. Nothing was written."""


@dataclass(frozen=True)
class Owner:
    """Who drives or last drove a study: host and process, since when (unix seconds), which take-over (epoch).

    `live` tells whether that driver holds the study now; a driver that ended or died does not. `command` is what it
    runs, None where that was not recorded.
    """

    host: str
    pid: int
    since: float
    epoch: int
    live: bool
    command: str | None = None

    def __str__(self) -> str:
        """For a message: process, host and since when (UTC)."""
        since = datetime.fromtimestamp(self.since, UTC)
        command = f" (ganstudy {self.command})" if self.command else ""
        return f"process {self.pid} on {self.host} since {since:%Y-%m-%d %H:%M:%S} UTC{command}"


class Ledger:
    """The ledger of one study, open for reading; safe to use from several threads."""

    def __init__(self, store: Store, schema: str) -> None:
        self._store = store
        self._schema = schema

    @classmethod
    def open(
        cls, url_or_path: str | Path, *, schema: str, create: bool, mode: int = PRIVATE, wait: Wait = for_a_while
    ) -> Self:
        """Open the ledger of the study `schema`.

        Args:
            url_or_path: the path of an SQLite file (or `sqlite:///PATH`), or `postgresql://USER@HOST/DATABASE`.
            schema: the study's name; on PostgreSQL the schema that holds its tables.
            create: make a ledger where there is none, its folder too.
            mode: with `create`, the permissions that an SQLite ledger's files are to have at least.
            wait: asked while another process holds it; a reader's patience is 30 s.

        Raises:
            NoLedger: none is there, and `create` is false.
            InvalidInput: a ledger cannot be there, or other data is.
            CorruptFile: the ledger is damaged or of another format.
            GanStudyError: it cannot be reached, or others hold it for too long.
        """
        return cls(open_store(url_or_path, schema=schema, create=create, mode=mode, wait=wait), schema)

    @property
    def location(self) -> str:
        """Where it is, for people: a path, or a URL without its password."""
        return self._store.location

    def read(self, after: int = 0) -> list[Row]:
        """All rows after row `after`, in order, each checked; rows once read never change.

        Raises:
            CorruptFile: names the ledger, the row, its key and what is wrong.
        """
        if after < 0:
            raise ValueError(f"after = {after}: rows are numbered from 1, 0 reads them all")
        with self._store.reading() as connection:
            # First the head: rows that are committed in between are more than it says, never fewer.
            head = connection.execute(sa.select(tables.owner.c.head)).scalar_one()
        stored = list(self._stored(after))
        try:
            return list(verify(stored, after=after, head=head))
        except CorruptFile as error:
            raise CorruptFile(f"ledger {self.location}: {error}; {tables.RESTORE}") from error

    def _stored(self, start: int) -> Iterator[StoredRow]:
        """The rows from `start` on, in transactions of a few milliseconds each: rows never change, so that is safe."""
        columns = tables.events.c
        while True:
            query = sa.select(tables.events).where(columns.seq >= start).order_by(columns.seq).limit(_CHUNK)
            with self._store.reading() as connection:
                found = connection.execute(query).all()
            yield from (StoredRow(*row) for row in found)
            if len(found) < _CHUNK or not isinstance(found[-1].seq, int):  # a damaged one ends it, and is found
                return
            start = found[-1].seq + 1

    def check_file(self) -> None:
        """Have SQLite look through its whole file, indexes too; a PostgreSQL server looks after its own.

        Raises:
            CorruptFile: with the first thing that SQLite found.
        """
        self._store.check_file()

    def owner(self) -> Owner | None:
        """Who drives the study (`live`), or drove it last; None if nobody ever did."""
        with self._store.errors():
            live = self._store.lock.is_held()
        with self._store.reading() as connection:
            owner = _owner(connection, live)
        return owner if owner.epoch else None

    def live_owner(self) -> Owner | None:
        """Who drives the study at this moment; None if nobody does."""
        owner = self.owner()
        return owner if owner and owner.live else None

    def own(self, host: str, pid: int, command: str | None = None, head: Path | None = None) -> "Writer":
        """Become the one driver of the study, until the writer is closed or this process ends.

        Args:
            host: this one's name.
            pid: of this process.
            command: what it runs, for whoever finds the study taken.
            head: the file that marks the last row (see `study.ledger.head`), None for none.

        Raises:
            GanStudyError: another live process owns it; names the process, its host and since when.
            CorruptFile: SQLite found its file damaged.
        """
        lock = self._store.lock
        with self._store.errors():
            acquired = lock.acquire()
        if not acquired:
            owner, held = self.owner(), lock.holders()
            known = owner is not None and any(f"{one} ".startswith(f"process {owner.pid} ") for one in held)
            others = "" if known else ", ".join(held)
            raise GanStudyError(
                f"study {self._schema!r} is being run by {owner or 'a process that just began'}"
                f"{f' (its lock is held by {others})' if others else ''}: wait for it or end it, then try again"
            )
        try:
            self._store.check_file()
            # A column of its own would make old ledgers unreadable to new drivers, and the reverse; no host has an @.
            who = f"{command}@{host}" if command else host
            values = {"epoch": tables.owner.c.epoch + 1, "host": who, "pid": pid, "since": time.time()}
            with self._store.writing() as connection:
                connection.execute(sa.update(tables.owner).values(values))
                epoch = connection.execute(sa.select(tables.owner.c.epoch)).scalar_one()
            if head is not None:
                self.mark(head)
        except BaseException:
            lock.release()
            raise
        return Writer(self._store, epoch, head)

    def head(self) -> int:
        """The number of the last row, 0 if there is none."""
        with self._store.reading() as connection:
            return int(connection.execute(sa.select(tables.owner.c.head)).scalar_one())

    def mark(self, path: Path) -> None:
        """Mark the last row in the file `path`."""
        with self._store.reading() as connection:
            seq = connection.scalar(sa.select(tables.owner.c.head))
            crc = _crc(connection, seq)
        if isinstance(seq, int) and isinstance(crc, int):
            write_head(path, Head(seq, crc))

    def differs(self, path: Path) -> str | None:
        """Say how this ledger differs from the one whose last row is marked in `path`; None if it goes on from it."""
        mark = read_head(path)  # before the ledger is read, which may go on meanwhile
        if mark is None:
            return None
        with self._store.reading() as connection:
            seq = connection.scalar(sa.select(tables.owner.c.head))
            crc = _crc(connection, mark.seq)
        if isinstance(seq, int) and seq < mark.seq:
            return f"row {mark.seq} was written, and it ends at row {seq}"
        return None if crc == mark.crc else f"its row {mark.seq} is not the one that was written"

    def close(self) -> None:
        """Close the connections; a writer still open keeps its own lock."""
        self._store.engine.dispose()

    def __enter__(self) -> Self:
        """The ledger itself; closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        """Close it."""
        self.close()


class Writer:
    """The right to append to a ledger; a context manager. For one thread of the process that got it."""

    def __init__(self, store: Store, epoch: int, head: Path | None = None) -> None:
        self._store = store
        self._head = head
        self._process = os.getpid()
        self._open = True
        self.epoch = epoch
        self.committed: Callable[[Row], None] = lambda row: None
        """Told of each new row once it is on disk."""

    def append(self, *events: Event) -> list[bool]:
        """Write events in one transaction: all or none, on disk when this returns.

        Returns:
            For each event whether it is new; False if its key was there before: then nothing changed.

        Raises:
            ValueError: a value in an event is not finite or not plain data; names the event's key.
            Fenced: another driver owns the study now.
            GanStudyError: the database refused or cannot be reached; a read shows what it took.
        """
        if not self._open or os.getpid() != self._process:
            raise GanStudyError(f"ledger {self._store.location}: this writer is closed, or of another process")
        bodies: dict[str, tuple[Event, str]] = {}  # the first event of each key
        firsts = []
        for event in events:
            firsts.append(event.key not in bodies)
            bodies.setdefault(event.key, (event, to_json(event)))
        if not bodies:
            return []
        with self._store.writing() as connection:
            head = self._check_epoch(connection)
            known = _known_keys(connection, list(bodies))
            new = [pair for key, pair in bodies.items() if key not in known]
            rows = list(self._rows(new, head, self._crc_of(connection, head)))
            for start in range(0, len(rows), _CHUNK):
                part = [row._asdict() for row in rows[start : start + _CHUNK]]
                connection.execute(sa.insert(tables.events), part)
            if rows:
                connection.execute(sa.update(tables.owner).values(head=rows[-1].seq))
        if rows and self._head is not None:
            write_head(self._head, Head(rows[-1].seq, rows[-1].crc))
        for row, (event, _) in zip(rows, new, strict=True):
            self.committed(Row(row.seq, row.written_at, row.epoch, event))
        return [first and event.key not in known for event, first in zip(events, firsts, strict=True)]

    def _check_epoch(self, connection: sa.Connection) -> int:
        """The number of rows written, the row of the owner locked (PostgreSQL) until the transaction ends."""
        query = sa.select(tables.owner.c.epoch, tables.owner.c.head).with_for_update()
        epoch, head = connection.execute(query).one()
        if epoch != self.epoch:
            now = _owner(connection, live=True)
            raise Fenced(
                f"ledger {self._store.location} was taken over by {now}: this driver stops, nothing was written"
            )
        return int(head)

    def _crc_of(self, connection: sa.Connection, head: int) -> int:
        """The checksum of the last row, from which the chain goes on."""
        crc = _crc(connection, head)
        if not isinstance(crc, int):
            raise CorruptFile(f"ledger {self._store.location}: row {head}, its last, is missing; {tables.RESTORE}")
        return crc

    def _rows(self, new: Sequence[tuple[Event, str]], head: int, crc: int) -> Iterator[StoredRow]:
        at = time.time()
        for seq, (event, body) in enumerate(new, start=head + 1):
            row = store(event, body=body, seq=seq, epoch=self.epoch, at=at, previous=crc)
            crc = row.crc
            yield row

    def close(self) -> None:
        """Give the ownership back."""
        if self._open and os.getpid() == self._process:
            self._store.lock.release()
        self._open = False

    def __enter__(self) -> Self:
        """The writer itself; closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        """Close it."""
        self.close()


def _owner(connection: sa.Connection, live: bool) -> Owner:
    columns = tables.owner.c
    query = sa.select(columns.host, columns.pid, columns.since, columns.epoch)
    who, pid, since, epoch = connection.execute(query).one()
    command, at, host = str(who).rpartition("@")
    return Owner(host, pid, since, epoch, live, command if at else None)


def _crc(connection: sa.Connection, seq: int | None) -> int | None:
    """The checksum of a row, of all up to it; None if it is missing."""
    if seq == 0:
        return FIRST_CRC
    return connection.scalar(sa.select(tables.events.c.crc).where(tables.events.c.seq == seq))


def _known_keys(connection: sa.Connection, keys: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(keys), _CHUNK):
        part = keys[start : start + _CHUNK]
        known.update(connection.scalars(sa.select(tables.events.c.key).where(tables.events.c.key.in_(part))))
    return known
