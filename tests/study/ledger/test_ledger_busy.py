"""Others hold the ledger: its driver waits without limit and says for whom, readers wait for a while."""

import logging
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest
from ledgers import OPENED, Place, PostgresqlPlace, SqlitePlace, proposed, write
from psycopg import sql

from study.exit_codes import Interrupted
from study.ledger import busy
from study.ledger.busy import Endless, Locked
from study.ledger.ledger import Ledger
from study.ledger.modes import MODES
from study.running.halt import Halt
from trainables.errors import GanStudyError

NOBODY = 65534
STOPPED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2].split(";"):
    connection.execute(statement).fetchone()
os.kill(os.getpid(), signal.SIGSTOP)
"""
READING, WRITING = "BEGIN; SELECT * FROM events", "BEGIN EXCLUSIVE"


@contextmanager
def stopped(path: Path, statements: str) -> Iterator[psutil.Popen]:
    """A process that is stopped in the middle of a transaction."""
    process = psutil.Popen([sys.executable, "-c", STOPPED, str(path), statements])
    try:
        while process.status() != psutil.STATUS_STOPPED:
            assert process.poll() is None
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait(60)


@pytest.fixture
def sqlite(tmp_path: Path) -> SqlitePlace:
    place = SqlitePlace(tmp_path / "ledger.db", "s")
    write(place, OPENED)
    return place


def test_a_driver_outlasts_a_stopped_reader_and_names_it(
    sqlite: SqlitePlace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(busy, "_FIRST_WORD", 0.0)
    others: list[int] = []
    with (
        stopped(sqlite.url, READING) as reader,
        Ledger.open(sqlite.url, schema="s", create=False) as other,
        caplog.at_level(logging.WARNING),
    ):
        wait = Endless()

        def read_and_let_go(seconds: float, holder: object) -> None:
            wait(1e6, holder)  # type: ignore[arg-type]  # however long it has taken
            others.append(len(other.read()))  # for whoever waits leaves pauses
            if len(others) == 3:
                reader.send_signal(signal.SIGCONT)

        with (
            Ledger.open(sqlite.url, schema="s", create=False, wait=read_and_let_go) as ledger,
            ledger.own("here", 1) as writer,
        ):
            assert writer.append(proposed(0)) == [True]
            assert [row.event for row in ledger.read()] == [OPENED, proposed(0)]
    assert set(others) == {1}
    assert len(caplog.messages) == 1, "said once, not at each try"
    assert f"ledger {sqlite.url} is locked by process {reader.pid} (python" in caplog.messages[0]
    assert "stopped)" in caplog.messages[0]


def test_a_reader_gives_up_after_a_while_and_names_who_holds_it(
    sqlite: SqlitePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy, "READER_SECONDS", 0.1)
    with stopped(sqlite.url, WRITING) as writer, pytest.raises(Locked, match="is locked by process") as error:
        Ledger.open(sqlite.url, schema="s", create=False)
    assert f"process {writer.pid} (python" in str(error.value)


def test_who_is_asked_to_end_waits_no_longer_and_writes_no_more(sqlite: SqlitePlace) -> None:
    halt = Halt()
    with (
        Ledger.open(sqlite.url, schema="s", create=False, wait=Endless(lambda: halt.asked)) as ledger,
        ledger.own("here", 1) as writer,
    ):
        with stopped(sqlite.url, READING):
            halt.ask("interrupted by SIGINT", by_signal=True)
            with pytest.raises(Interrupted, match="interrupted while waiting for it"):
                writer.append(proposed(0))
            assert halt.guard(lambda: writer.append(proposed(0)), otherwise="given up") == "given up"
        assert halt.guard(lambda: writer.append(proposed(1)), otherwise="given up") == "given up", "it would follow"
        assert halt.error is None
        assert [row.event for row in ledger.read()] == [OPENED]


def test_a_long_ledger_is_read_in_short_transactions(sqlite: SqlitePlace) -> None:
    write(sqlite, *map(proposed, range(1200)))
    with (
        Ledger.open(sqlite.url, schema="s", create=False) as reader,
        Ledger.open(sqlite.url, schema="s", create=False) as ledger,
        ledger.own("here", 1) as writer,
    ):
        rows = reader._stored(0)
        next(rows)  # in the middle of the first part, and no lock is held
        writer.append(proposed(1200))
        assert sum(1 for _ in rows) == 1201
        reader.check_file()


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> PostgresqlPlace:
    place = PostgresqlPlace(request.getfixturevalue("postgresql").url, "Busy.x")
    with Ledger.open(place.url, schema=place.schema, create=True) as ledger, ledger.own("h", 1) as writer:
        writer.append(OPENED)
    return place


@pytest.mark.parametrize("mode", ["SHARE", "ACCESS EXCLUSIVE"])
def test_a_driver_on_postgresql_outlasts_who_locks_its_tables_and_names_them(
    postgres: PostgresqlPlace, mode: str
) -> None:
    said: list[str] = []
    number = len(postgres.raw("SELECT seq FROM events"))
    with psycopg.connect(postgres.url, application_name="a dump") as other:
        other.execute(sql.SQL("LOCK TABLE {}.events IN {} MODE").format(sql.Identifier("Busy.x"), sql.SQL(mode)))

        def wait(seconds: float, holder: object) -> None:
            said.append(holder())  # type: ignore[operator]
            if len(said) == 2:
                other.rollback()

        url = f"{postgres.url}&options=-cstatement_timeout=100"
        with (
            Ledger.open(url, schema=postgres.schema, create=False, wait=wait) as ledger,
            ledger.own("h", 1) as writer,
        ):
            assert writer.append(proposed(number)) == [True]
    assert len(said) == 2
    assert "is locked by the server's process" in said[0]
    assert "(a dump, idle in transaction)" in said[0]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("readers", list(MODES))
def test_the_ledgers_files_are_for_whom_the_user_says(place_of: Place, readers: str) -> None:
    before = os.umask(0o077 if readers != "owner" else 0)
    try:
        with Ledger.open(place_of.url, schema="s", create=True, mode=MODES[readers]) as ledger, ledger.own("h", 1):
            files = [Path(place_of.url), Path(place_of.url).with_suffix(".lock")]
            assert {mode_of(file) for file in files} == {MODES[readers]}
    finally:
        os.umask(before)
    for file in files:
        file.chmod(0o664)  # by hand
    write(place_of, OPENED)
    assert {mode_of(file) for file in files} == {0o664}, "what the user set stays"


def test_a_study_can_be_shared_later(place_of: Place) -> None:
    write(place_of, OPENED)
    with Ledger.open(place_of.url, schema="s", create=True, mode=MODES["group"]) as ledger, ledger.own("h", 1):
        assert mode_of(Path(place_of.url)) == mode_of(Path(place_of.url).with_suffix(".lock")) == 0o640


@pytest.fixture
def place_of(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path / "ledger.db", "s")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_how_it_can_be_shared() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        place = SqlitePlace(Path(folder) / "ledger.db", "s")
        write(place, OPENED)
        child = os.fork()
        if not child:
            os.setuid(NOBODY)
            try:
                Ledger.open(place.url, schema="s", create=False)
            except GanStudyError as error:
                os._exit(7 if "storage.readers" in str(error) else 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_stopped_look_at_the_lock_is_named_beside_the_last_driver(sqlite: SqlitePlace) -> None:
    lock = sqlite.url.with_suffix(".lock")
    looking = "import fcntl, os, signal, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_SH); input()"
    with subprocess.Popen([sys.executable, "-c", looking, str(lock)], stdin=subprocess.PIPE) as process:
        try:
            with Ledger.open(sqlite.url, schema="s", create=False) as ledger:
                while not ledger._store.lock.holders():
                    time.sleep(0.01)
                with pytest.raises(GanStudyError, match=rf"its lock is held by process {process.pid} \(python"):
                    ledger.own("here", 1)
        finally:
            process.kill()
