"""A crash within one commit of the ledger's SQLite file, at each of its write steps; its journal is there or gone.

SQLite writes the old pages to a journal, syncs it, overwrites the pages, and commits by removing the journal. What each
step leaves on disk is made up here of the real files, taken in the middle of a real append.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from study.ledger.events import AttemptStarted, Event, Reported, StudyOpened, TrialProposed
from study.ledger.ledger import Ledger
from trainables.errors import GanStudyError

PAGE = 4096
HEAD = 28  # bytes of the journal's head: https://www.sqlite.org/fileformat.html section 3
OPENED = StudyOpened("uid", {"name": "s", "text": "x" * 3 * PAGE}, "fingerprint", 0.5, 100.0, {})
FIRST: list[Event] = [OPENED, TrialProposed(0, {"seed": 1}, {"g.lr": 2e-4}, "sampler", {}), AttemptStarted(0, 1)]
SECOND: list[Event] = [Reported(0, kimg, 1, {"fid": 90.0 - kimg}) for kimg in range(1, 60)]


class Commit(NamedTuple):
    """The ledger's file before and after one append, and its journal just before the commit."""

    before: bytes
    journal: bytes
    after: bytes

    def __repr__(self) -> str:
        return "Commit(...)"

    @property
    def pages(self) -> list[int]:
        """Those that the append writes or adds."""
        return [n for n in range(len(self.after) // PAGE) if page(self.before, n) != page(self.after, n)]

    def written(self, pages: set[int]) -> bytes:
        """The file once `pages` of it are written."""
        end = max([len(self.before) // PAGE, *(n + 1 for n in pages)])
        return b"".join(page(self.after if n in pages else self.before, n) for n in range(end))


def page(raw: bytes, number: int) -> bytes:
    return raw[number * PAGE : (number + 1) * PAGE].ljust(PAGE, b"\0")


@pytest.fixture(scope="module")
def commit(tmp_path_factory: pytest.TempPathFactory) -> Commit:
    path = tmp_path_factory.mktemp("journal") / "ledger.db"
    journal = path.with_name("ledger.db-journal")
    heads: list[bytes] = []
    with Ledger.open(path, schema="s", create=True) as ledger, ledger.own("host", 1) as writer:
        writer.append(*FIRST)
        before = path.read_bytes()
        engine = ledger._store.engine
        settings = engine.raw_connection()
        settings.cursor().execute("PRAGMA cache_size = 1")  # pages are overwritten before the commit, too
        settings.cursor().execute("PRAGMA journal_mode = PERSIST")  # commits by blanking the journal's head alone
        settings.close()
        sa.event.listen(engine, "commit", lambda connection: heads.append(journal.read_bytes()[:HEAD]))
        writer.append(*SECOND)
        return Commit(before, heads[0] + journal.read_bytes()[HEAD:], path.read_bytes())


def read(folder: Path, database: bytes, journal: bytes | None) -> list[Event]:
    path = folder / "ledger.db"
    path.write_bytes(database)
    journal_file = path.with_name("ledger.db-journal")
    journal_file.unlink(missing_ok=True)
    if journal is not None:
        journal_file.write_bytes(journal)
    with Ledger.open(path, schema="s", create=False) as ledger:
        return [row.event for row in ledger.read()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return tmp_path_factory.mktemp("copies")


def test_the_journal_of_an_append_is_one_that_sqlite_rolls_back(commit: Commit, folder: Path) -> None:
    """Or the properties below would hold of nothing."""
    assert commit.journal.startswith(bytes.fromhex("d9d505f920a163d7"))
    assert len(commit.pages) > 3
    assert read(folder, commit.before, None) == FIRST
    assert read(folder, commit.after, None) == FIRST + SECOND
    assert commit.written(set(commit.pages)) == commit.after


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_journal_left_behind_takes_the_unfinished_append_back(
    commit: Commit, folder: Path, data: st.DataObject
) -> None:
    """Whichever pages were written before the crash: the append was not acknowledged, and is not there."""
    pages = data.draw(st.sets(st.sampled_from(commit.pages)))
    assert read(folder, commit.written(pages), commit.journal) == FIRST
    assert read(folder, (folder / "ledger.db").read_bytes(), None) == FIRST, "rolled back for good"


def check_no_other_study(folder: Path, database: bytes, journal: bytes | None) -> None:
    try:
        found = read(folder, database, journal)
    except GanStudyError as error:
        refusal = str(error)
        assert "\n" not in refusal
        return
    assert found[: len(FIRST)] == FIRST, "what was acknowledged is lost"
    assert found == (FIRST + SECOND)[: len(found)]


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_journal_deleted_by_hand_never_makes_another_study(commit: Commit, folder: Path, data: st.DataObject) -> None:
    """Nothing can bring back the pages that it held: what was acknowledged is all there, or the ledger is refused."""
    pages = data.draw(st.sets(st.sampled_from(commit.pages)))
    check_no_other_study(folder, commit.written(pages), None)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_damaged_journal_never_makes_another_study(commit: Commit, folder: Path, data: st.DataObject) -> None:
    """Cut off at any length, or with a byte flipped anywhere."""
    pages = data.draw(st.sets(st.sampled_from(commit.pages)))
    journal = bytearray(commit.journal)
    if data.draw(st.booleans()):
        journal[data.draw(st.integers(0, len(journal) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        del journal[data.draw(st.integers(0, len(journal) - 1)) :]
    check_no_other_study(folder, commit.written(pages), bytes(journal))
