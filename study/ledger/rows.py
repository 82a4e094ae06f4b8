"""The ledger's rows and their checksums: a CRC-32 over a row's columns, chained to the row before it.

The chain finds what a database does not look for: a flipped byte, or a row that was edited, deleted, inserted or moved.
It is no signature: it protects against accidents, not against someone who recomputes it.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from study.ledger.events import Event, canonical_json, from_json
from trainables.errors import CorruptFile

FIRST_CRC = 0  # the crc "before" row 1


@dataclass(frozen=True)
class Row:
    """An event in the ledger: its number (from 1), when (unix seconds) and by which owner (epoch)."""

    seq: int
    written_at: float
    epoch: int
    event: Event


class StoredRow(NamedTuple):
    """The columns of table `events`, in order."""

    seq: int
    key: str
    kind: str
    trial: int | None
    kimg: int | None
    attempt: int | None
    epoch: int
    written_at: float
    body: str
    crc: int


def row_crc(previous: int, row: StoredRow) -> int:
    """The CRC-32 of all other columns of `row`, continued from the CRC of the row before."""
    return zlib.crc32(canonical_json(row[:-1]).encode("ascii"), previous)


def store(event: Event, *, body: str, seq: int, epoch: int, at: float, previous: int) -> StoredRow:
    """Return the row for `event`, whose JSON is `body`, after a row with the CRC `previous`."""
    row = StoredRow(
        seq=seq,
        key=event.key,
        kind=event.kind,
        trial=getattr(event, "trial", None),
        kimg=getattr(event, "kimg", None),
        attempt=getattr(event, "attempt", None),
        epoch=epoch,
        written_at=at,
        body=body,
        crc=0,
    )
    return row._replace(crc=row_crc(previous, row))


def verify(stored: Iterable[StoredRow], *, after: int, head: int) -> Iterator[Row]:
    """Check the rows after row `after`, and yield them as events.

    Args:
        stored: rows in order, from row `after` itself (from row 1 if `after` is 0), whose CRC continues the chain.
        after: the last row that was checked before, 0 for none.
        head: the number of rows that were committed when `stored` was read, or fewer.

    Raises:
        CorruptFile: names the row, its key and what is wrong with it.
    """
    if not isinstance(head, int):
        raise CorruptFile(f"the number of rows in 'owner' is {head!r:.20}, not a number")
    rows = iter(stored)
    crc, last = FIRST_CRC, 0
    if after:
        first = next(rows, None)
        if first is None or first.seq != after:
            raise CorruptFile(f"row {after} is missing, the last one read; the ledger ends at row {head}")
        crc, last = first.crc, after
    for row in rows:
        where = f"row {row.seq} ({row.key!r:.60})"
        if row.seq != last + 1:
            raise CorruptFile(f"{where} follows row {last}: a row was removed, moved or inserted")
        try:
            expected = row_crc(crc, row)
        except (TypeError, ValueError) as error:  # a column of another type, as SQLite allows
            raise CorruptFile(f"{where} has a value of the wrong type: {error}") from error
        if row.crc != expected:
            raise CorruptFile(f"{where} has checksum {row.crc!r:.20}, its content gives {expected}: it was changed")
        try:
            event = from_json(row.kind, row.body)
        except CorruptFile as error:
            raise CorruptFile(f"{where}: {error}") from error
        if event.key != row.key:
            raise CorruptFile(f"{where} holds the event {event.key!r}")
        yield Row(seq=row.seq, written_at=row.written_at, epoch=row.epoch, event=event)
        crc, last = row.crc, row.seq
    if last < head:
        raise CorruptFile(f"row {last + 1} is missing: {head} rows were written, the ledger ends at row {last}")
