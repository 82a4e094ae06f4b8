"""A mark outside the ledger of the last row that was written, by which an older or another ledger is noticed.

It is written after each commit, so a crash leaves it where the ledger ends, or before: never ahead. The checksum of a
row is that of all rows up to it, so a ledger that has another one there tells another story.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(r"ledger row (\d{12}) checksum (\d{10})\n")


@dataclass(frozen=True)
class Head:
    """A ledger's last row, and its checksum."""

    seq: int
    crc: int


def read_head(path: Path) -> Head | None:
    """Return the mark; None if there is none, or none that can be read."""
    try:
        found = _MARK.fullmatch(path.read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    return Head(int(found[1]), int(found[2])) if found else None


def write_head(path: Path, head: Head) -> None:
    """Write the mark, in place: all of it, as it is shorter than a disk's sector.

    Where that is not possible the one before stays, which is as true.
    """
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(file, f"ledger row {head.seq:012d} checksum {head.crc:010d}\n".encode("ascii"), 0)
        finally:
            os.close(file)
