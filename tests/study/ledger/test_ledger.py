"""The ledger, on SQLite and PostgreSQL: nothing acknowledged is lost, no damage is believed, one driver writes."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ledgers import METRICS, OPENED, STORY, Backend, Place, opened, proposed, reported, write

from study.ledger.events import AttemptStarted, Ended, Reported
from study.ledger.ledger import Fenced, Ledger
from trainables.errors import CorruptFile, GanStudyError, InvalidInput

COLUMNS = ("seq", "key", "kind", "trial", "kimg", "attempt", "epoch", "written_at", "body", "crc")

# A driver: owns the ledger, tells each key after its commit, until it is killed.
DRIVER = """
import itertools, os, sys
from pathlib import Path
from study.ledger.events import AttemptStarted, Reported
from study.ledger.ledger import Ledger
place, schema, trial = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Ledger.open(place, schema=schema, create=False) as ledger, ledger.own("there", os.getpid()) as writer:
    print(writer.epoch, flush=True)
    for kimg in itertools.count(1):
        events = [Reported(trial, kimg * 10 + part, 1, {"fid": 1.0 / kimg}) for part in range(kimg % 3 + 1)]
        assert all(writer.append(*events))
        print(*(event.key for event in events), flush=True)
"""


@pytest.fixture
def place(backend: Backend) -> Place:
    return backend.fresh()


@contextmanager
def driver(place: Place, trial: int = 0, code: str = DRIVER) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", code, str(place.url), place.schema, str(trial)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_events_come_back_in_order(place: Place) -> None:
    with opened(place) as ledger:
        assert ledger.read() == []
        with ledger.own("here", 7) as writer:
            assert writer.append(*STORY[:4]) == [True] * 4
            assert writer.append() == []
            assert writer.append(*STORY[4:]) == [True] * (len(STORY) - 4)
        read = ledger.read()
    assert [row.event for row in read] == list(STORY)
    assert [row.seq for row in read] == list(range(1, len(STORY) + 1))
    assert {row.epoch for row in read} == {1}
    with Ledger.open(place.url, schema=place.schema, create=False) as again:
        assert again.read() == read
        for after in range(len(read) + 1):
            assert again.read(after) == read[after:]


def test_the_columns_can_be_queried(place: Place) -> None:
    write(place, *STORY)
    query = "SELECT key, trial, kimg, attempt FROM events WHERE kind IN ('reported', 'study_opened') ORDER BY seq"
    reports = [("report/0/10", 0, 10, 1), ("confirm-report/20/0/1/20", 0, 20, 1)]
    assert place.raw(query) == [("study", None, None, None), *reports]


def test_the_first_write_of_a_key_wins(place: Place) -> None:
    with opened(place) as ledger, ledger.own("here", 7) as writer:
        assert writer.append(reported(0, 10, 1.0), reported(0, 10, 2.0), reported(0, 20, 3.0)) == [True, False, True]
        before = ledger.read()
        assert writer.append(reported(0, 20, 9.0), reported(0, 10, 9.0, attempt=2)) == [False, False]
        assert ledger.read() == before
        assert writer.append(reported(0, 20, 9.0), reported(0, 30, 4.0)) == [False, True]
        fids = [row.event.metrics["fid"] for row in ledger.read() if isinstance(row.event, Reported)]
    assert fids == [1.0, 3.0, 4.0]


def test_a_long_append_is_one_transaction_too(place: Place) -> None:
    events = [reported(0, kimg) for kimg in range(1, 1204)]
    with opened(place) as ledger, ledger.own("here", 7) as writer:
        assert writer.append(*events[:700]) == [True] * 700
        assert writer.append(*events) == [False] * 700 + [True] * 503
        assert [row.event for row in ledger.read()] == events


def test_one_bad_event_keeps_all_of_its_transaction_out(place: Place) -> None:
    with opened(place) as ledger, ledger.own("here", 7) as writer:
        bad = Reported(0, 20, 1, {**METRICS})
        bad.metrics["d_real"] = float("nan")  # once it is built nobody looks
        with pytest.raises(ValueError, match=r"report/0/20: reported: metrics\.d_real"):
            writer.append(reported(0, 10), bad)
        assert ledger.read() == []
        assert writer.append(reported(0, 10)) == [True]


def test_an_append_that_the_database_refuses_leaves_nothing(place: Place) -> None:
    with opened(place) as ledger, ledger.own("here", 7) as writer:
        writer.append(reported(0, 10))
        place.raw("INSERT INTO events VALUES (3, 'x', 'x', 1, 1, 1, 1, 1.0, '{}', 0)")  # where the second would go
        with pytest.raises(GanStudyError) as caught:
            writer.append(reported(0, 20), reported(0, 30))
        assert "\n" not in str(caught.value)
        place.raw("DELETE FROM events WHERE seq = 3")
        assert [row.event.key for row in ledger.read()] == ["report/0/10"]
        assert writer.append(reported(0, 20), reported(0, 30)) == [True, True]


def test_another_ledger_reads_while_one_writes(place: Place) -> None:
    """Readers in other threads see whole transactions only, and each a longer part of the same rows."""
    seen: list[list[int]] = []
    problems: list[BaseException] = []
    stop = threading.Event()

    def follow() -> None:
        last, kimgs = 0, []
        try:
            with Ledger.open(place.url, schema=place.schema, create=False) as reader:
                finished = False
                while not finished:
                    finished = stop.is_set()  # then read once more
                    rows = reader.read(last)
                    assert len(rows) % 2 == 0
                    kimgs += [row.event.kimg for row in rows if isinstance(row.event, Reported)]
                    last += len(rows)
        except BaseException as error:
            problems.append(error)
        seen.append(kimgs)

    with opened(place) as ledger, ledger.own("here", 7) as writer:
        threads = [threading.Thread(target=follow) for _ in range(2)]
        for thread in threads:
            thread.start()
        for kimg in range(1, 60, 2):
            writer.append(reported(0, kimg), reported(0, kimg + 1))
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert seen == [list(range(1, 61))] * 2


# Damage


@pytest.fixture(scope="module")
def written(backend: Backend) -> Place:
    """A ledger with `STORY`, shared by the examples of a property: each repairs what it damaged."""
    place = backend.fresh()
    write(place, *STORY)
    return place


def changed(column: str, value: Any, data: st.DataObject) -> Any:
    """Another value of the same type; in a text one character is another one."""
    if isinstance(value, str):
        at = data.draw(st.integers(0, len(value) - 1))
        other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda c: c != value[at]))
        return value[:at] + other + value[at + 1 :]
    if column == "written_at":
        return value + data.draw(st.sampled_from([-1.0, 1e-6, 1.0]))
    return data.draw(st.integers(0, 2**31 - 1).filter(lambda number: number != value))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seq=st.integers(1, len(STORY)), column=st.sampled_from(COLUMNS[1:]))
def test_a_changed_column_is_found(written: Place, data: st.DataObject, seq: int, column: str) -> None:
    place = written
    [(value,)] = place.raw(f"SELECT {column} FROM events WHERE seq = ?", seq)
    damaged = changed(column, value, data)
    assume(column != "key" or damaged not in {event.key for event in STORY})  # the database refuses that itself
    place.raw(f"UPDATE events SET {column} = ? WHERE seq = ?", damaged, seq)
    try:
        with opened(place) as ledger, pytest.raises(CorruptFile) as caught:
            ledger.read()
        [(key,)] = place.raw("SELECT key FROM events WHERE seq = ?", seq)
        assert f"row {seq} ({key!r})" in str(caught.value)
        assert "\n" not in str(caught.value)
    finally:
        place.raw(f"UPDATE events SET {column} = ? WHERE seq = ?", value, seq)
    with opened(place) as ledger:
        assert [row.event for row in ledger.read()] == list(STORY)


@pytest.mark.parametrize("seq", range(1, len(STORY) + 1))
def test_a_deleted_row_is_found(place: Place, seq: int) -> None:
    write(place, *STORY)
    place.raw("DELETE FROM events WHERE seq = ?", seq)
    with opened(place) as ledger, pytest.raises(CorruptFile, match=rf"row {seq} is missing|follows row {seq - 1}:"):
        ledger.read()


def test_a_deleted_row_is_found_after_renumbering(place: Place) -> None:
    write(place, *STORY)
    place.raw("DELETE FROM events WHERE seq = 4")
    for seq in range(5, len(STORY) + 1):
        place.raw("UPDATE events SET seq = ? WHERE seq = ?", seq - 1, seq)
    place.raw("UPDATE owner SET head = head - 1")
    with opened(place) as ledger, pytest.raises(CorruptFile, match=rf"row 4 \({STORY[4].key!r}\) has checksum"):
        ledger.read()


def test_two_rows_that_changed_places_are_found(place: Place) -> None:
    write(place, *STORY)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        place.raw("UPDATE events SET seq = ? WHERE seq = ?", new, old)
    with opened(place) as ledger, pytest.raises(CorruptFile, match="row 2 "):
        ledger.read()


def test_a_row_too_many_is_found(place: Place) -> None:
    write(place, *STORY)
    place.raw(
        "INSERT INTO events SELECT seq + 1, 'trial/9', kind, 9, kimg, attempt, epoch, written_at, body, crc"
        " FROM events WHERE seq = ?",
        len(STORY),
    )
    with opened(place) as ledger, pytest.raises(CorruptFile, match=rf"row {len(STORY) + 1} \('trial/9'\)"):
        ledger.read()


def test_damage_before_the_part_read_is_not_looked_at_but_the_part_is(place: Place) -> None:
    """Reading on continues from the checksum of the row before, without reading all again."""
    write(place, *STORY)
    place.raw("UPDATE events SET kimg = 11 WHERE seq = 4")
    with opened(place) as ledger:
        assert [row.seq for row in ledger.read(4)] == list(range(5, len(STORY) + 1))
        with pytest.raises(CorruptFile, match="row 4 "):
            ledger.read(3)
        with pytest.raises(CorruptFile, match="row 99 is missing"):
            ledger.read(99)
        with pytest.raises(ValueError, match="after = -1"):
            ledger.read(-1)


def test_a_ledger_of_another_version_is_refused(place: Place) -> None:
    write(place, *STORY)
    place.raw("UPDATE meta SET version = 2")
    with pytest.raises(CorruptFile, match=r"format version 2, this ganstudy reads 1"), opened(place):
        pass
    place.raw("DELETE FROM meta")
    with pytest.raises(CorruptFile, match="lost its row"), opened(place):
        pass


# Owners


def test_a_second_owner_is_refused_at_once_and_told_who(place: Place) -> None:
    with opened(place) as ledger, opened(place) as other:
        assert ledger.owner() is None
        with ledger.own("node-a", 4711) as writer:
            for second in (ledger, other):
                with pytest.raises(GanStudyError, match=r"run by process 4711 on node-a since 20\d\d-\d\d-\d\d \d\d:"):
                    second.own("node-b", 1)
            owner = other.owner()
            assert owner is not None
            assert (owner.host, owner.pid, owner.epoch, owner.live) == ("node-a", 4711, writer.epoch, True)
            assert writer.append(OPENED) == [True]
        owner = other.owner()
        assert owner is not None
        assert (owner.host, owner.live) == ("node-a", False)
        with other.own("node-b", 1) as later:
            assert later.epoch == writer.epoch + 1


def test_to_ask_who_owns_it_does_not_disturb_the_next_owner(place: Place) -> None:
    stop = threading.Event()
    with opened(place) as ledger, opened(place) as other:

        def ask() -> None:
            while not stop.is_set():
                other.owner()

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for epoch in range(1, 21):
                with ledger.own("here", 1) as writer:
                    assert writer.epoch == epoch
        finally:
            stop.set()
            thread.join()


def test_a_stale_writer_is_fenced(place: Place) -> None:
    """A driver whose lock was lost without its notice (a server that restarted, a lock file removed by hand)."""
    with opened(place) as ledger, opened(place) as other:
        stale = ledger.own("node-a", 1)
        stale.append(OPENED)
        ledger._store.lock.release()
        with other.own("node-b", 2) as writer:
            with pytest.raises(Fenced, match="taken over by process 2 on node-b"):
                stale.append(proposed(0))
            with pytest.raises(Fenced):
                stale.append(OPENED)  # not even "it is there already"
            assert writer.append(proposed(0)) == [True]
        with pytest.raises(Fenced):
            stale.append(proposed(1))
        rows = ledger.read()
    assert [(row.event.key, row.epoch) for row in rows] == [("study", 1), ("trial/0", 2)]


def test_a_closed_writer_does_not_write_nor_release_what_is_not_its_own(place: Place) -> None:
    with opened(place) as ledger:
        first = ledger.own("here", 1)
        first.close()
        with ledger.own("here", 2):
            first.close()
            with pytest.raises(GanStudyError, match="closed"):
                first.append(OPENED)
            owner = ledger.owner()
            assert owner is not None
            assert owner.live


@pytest.mark.slow
def test_a_killed_driver_loses_nothing_it_acknowledged_and_its_place(place: Place) -> None:
    """SIGKILL at random moments: every key that was printed after its commit is there, and the next driver starts."""
    dice = random.Random(place.schema)
    told: list[str] = []
    with opened(place):
        pass
    for trial in range(4):
        with driver(place, trial) as process:
            assert int(line(process)) == trial + 1
            with opened(place) as ledger, pytest.raises(GanStudyError, match=f"process {process.pid} on there"):
                ledger.own("here", 1)
            for _ in range(dice.randint(0, 40)):
                told += line(process).split()
            threading.Event().wait(dice.random() * 0.01)
            process.send_signal(signal.SIGKILL)
            told += process.communicate()[0].split()
        wait_until_noticed(place)
        with opened(place) as ledger:
            owner = ledger.owner()
            assert owner is not None
            assert (owner.pid, owner.live) == (process.pid, False)
            rows = ledger.read()
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        keys = [row.event.key for row in rows]
        assert len(keys) == len(set(keys))
        # Nothing that was told is missing; at most the one append that was under way was not told.
        assert [key for key in keys if key in set(told)] == told
        untold = [key for key in keys if key not in set(told)]
        assert len(untold) <= 3 * (trial + 1)


def wait_until_noticed(place: Place) -> None:
    """Let the server notice the death of its client; the kernel, for a file, knows of it at once."""
    if isinstance(place.url, str):
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        for _ in range(1000):
            if place.raw(query) == [(0,)]:
                return
            threading.Event().wait(0.01)
        raise AssertionError("the lock outlived its owner")


FORKING = r"""
import os, sys, time
from study.ledger.ledger import Ledger
ledger = Ledger.open(sys.argv[1], schema=sys.argv[2], create=False)
writer = ledger.own("there", os.getpid())
child = os.fork()
if child == 0:
    from study.ledger.events import AttemptStarted
    from trainables.errors import GanStudyError
    try:
        writer.append(AttemptStarted(0, 1))
    except GanStudyError as error:
        refused = "refused" if "another process" in str(error) else "failed"
        os.write(1, f"{refused} {os.getpid()}\n".encode())
    writer.close()  # must not take the parent's lock away
    os.write(1, b"closed\n")
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_forked_child_neither_writes_nor_keeps_the_lock_of_its_dead_parent(place: Place) -> None:
    with opened(place) as ledger, driver(place, code=FORKING) as process:
        refused, child = line(process).split()
        assert line(process) == "closed"
        try:
            assert refused == "refused"
            owner = ledger.owner()
            assert owner is not None
            assert owner.live  # the child closed its copy, the parent still holds the lock
            process.kill()
            process.wait()
            wait_until_noticed(place)
            os.kill(int(child), 0)  # the child lives on
            with ledger.own("here", 1) as writer:
                assert writer.append(AttemptStarted(0, 1)) == [True]
        finally:
            os.kill(int(child), signal.SIGKILL)


# Opening


def test_a_missing_ledger_names_the_place_and_the_next_step(place: Place) -> None:
    with pytest.raises(InvalidInput) as caught:
        Ledger.open(place.url, schema=place.schema, create=False)
    text = str(caught.value)
    assert "ganstudy launch" in text
    assert "ganstudy list" in text
    assert repr(place.schema) in text
    assert "\n" not in text
    if isinstance(place.url, Path):
        assert str(place.url) in text
        assert not place.url.parent.exists()


def test_another_programs_tables_are_left_alone(place: Place) -> None:
    if isinstance(place.url, Path):
        place.url.parent.mkdir()
    else:
        place.raw(f'CREATE SCHEMA "{place.schema}"')
    place.raw("CREATE TABLE experiments (id INTEGER)")
    with pytest.raises(InvalidInput, match=r"other tables \(experiments\)"), opened(place):
        pass


def test_many_can_create_it_at_once(place: Place) -> None:
    problems: list[BaseException] = []
    start = threading.Barrier(4)

    def create() -> None:
        start.wait()
        try:
            with opened(place) as ledger:
                assert ledger.read() == []
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


# SQLite's file


def test_sqlite_keeps_one_file_and_syncs_every_commit(tmp_path: Path) -> None:
    path = tmp_path / "a b?%41#c" / "ledger.db"  # a path is not a URL
    with Ledger.open(path, schema="s", create=True) as ledger:
        with ledger.own("here", 1) as writer:
            writer.append(OPENED)
            assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.db", "ledger.lock"]
        with ledger._store.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 3  # EXTRA: FULL and the folder
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"
    path.with_name("ledger.lock").unlink()
    with Ledger.open(str(path), schema="s", create=False) as ledger:
        owner = ledger.owner()
        assert owner is not None
        assert not owner.live
        assert not path.with_name("ledger.lock").exists()  # to ask leaves no trace
        assert len(ledger.read()) == 1
    with Ledger.open(f"sqlite:///{tmp_path}/url.db", schema="s", create=True) as ledger:
        assert ledger.location == f"{tmp_path}/url.db"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_byte_of_the_file_that_flips_is_found_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    """Wherever in the file it is: the rows are those that were written, or an error in one line says what is wrong."""
    path = tmp_path / "ledger.db"
    if not path.exists():
        with Ledger.open(path, schema="s", create=True) as ledger, ledger.own("here", 1) as writer:
            writer.append(*STORY)
    intact = path.read_bytes()
    used = [at for at, byte in enumerate(intact) if byte]  # the empty room of a page says nothing
    at, bit = data.draw(st.sampled_from(used)), data.draw(st.integers(0, 7))
    copy = tmp_path / "copy.db"
    copy.write_bytes(intact[:at] + bytes([intact[at] ^ (1 << bit)]) + intact[at + 1 :])
    found, said = None, ""
    try:
        with Ledger.open(copy, schema="s", create=False) as ledger:
            found = [row.event for row in ledger.read()]
    except GanStudyError as error:
        said = str(error)
    assert found == list(STORY) or (found is None and str(copy) in said and "\n" not in said)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seq=st.integers(1, len(STORY)), column=st.sampled_from(["key", "kind", "body"]))
def test_any_byte_of_a_text_is_found_even_if_it_is_no_text_any_more(
    tmp_path: Path, data: st.DataObject, seq: int, column: str
) -> None:
    path = tmp_path / "ledger.db"
    if not path.exists():
        with Ledger.open(path, schema="s", create=True) as ledger, ledger.own("here", 1) as writer:
            writer.append(*STORY)
    connection = sqlite3.connect(path)
    [(value,)] = connection.execute(f"SELECT {column} FROM events WHERE seq = ?", (seq,)).fetchall()
    raw = bytearray(value.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assume(column != "key" or bytes(raw) not in {event.key.encode() for event in STORY})
    as_text = data.draw(st.sampled_from(["CAST(? AS TEXT)", "?"]))  # or a blob
    try:
        with connection:
            connection.execute(f"UPDATE events SET {column} = {as_text} WHERE seq = ?", (bytes(raw), seq))
        with Ledger.open(path, schema="s", create=False) as ledger, pytest.raises(CorruptFile, match=f"row {seq} "):
            ledger.read()
    finally:
        with connection:
            connection.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (value, seq))
        connection.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("trial,fid\n" * 100)
    for create in (True, False):
        with pytest.raises(CorruptFile, match=r"ledger\.db is damaged or not a ledger: file is not a database"):
            Ledger.open(path, schema="s", create=create)
    with pytest.raises(InvalidInput, match="is a folder"):
        Ledger.open(tmp_path, schema="s", create=True)
    with pytest.raises(GanStudyError, match="cannot create the folder"):
        Ledger.open(path / "under" / "ledger.db", schema="s", create=True)


def test_an_empty_file_is_a_ledger_that_was_never_begun(tmp_path: Path) -> None:
    """What a driver leaves that dies between making the file and its tables."""
    path = tmp_path / "ledger.db"
    path.touch()
    with pytest.raises(InvalidInput, match="ganstudy launch"):
        Ledger.open(path, schema="s", create=False)
    with Ledger.open(path, schema="s", create=True) as ledger:
        assert ledger.read() == []


def test_a_damaged_index_is_found_before_anyone_writes(tmp_path: Path) -> None:
    """Reading does not use the index of keys, but writing believes it."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path, schema="s", create=True) as ledger, ledger.own("here", 1) as writer:
        writer.append(*STORY)
    data, key = path.read_bytes(), b"report/0/10"
    places = [at for at in range(len(data)) if data[at : at + len(key)] == key]
    [index] = [at for at in places if not data[at + len(key) :].startswith(b"reported")]  # in the table `kind` follows
    path.write_bytes(data[:index] + b"repord" + data[index + 6 :])
    with Ledger.open(path, schema="s", create=True) as ledger:
        assert [row.event for row in ledger.read()] == list(STORY)
        with pytest.raises(CorruptFile, match="is damaged"):
            ledger.own("here", 2)
        owner = ledger.owner()
        assert owner is not None
        assert not owner.live  # the lock was given back


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://u:geheim@h/d", "postgresql://u:geheim@h:x/d"]
)
def test_a_url_that_cannot_be_one_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Ledger.open(url, schema="s", create=True)
    assert "geheim" not in str(caught.value)
    assert "path" in str(caught.value)


def test_a_study_that_ended_is_no_obstacle(place: Place) -> None:
    """The next owner appends after what the one before wrote; the chain goes on across epochs."""
    write(place, *STORY[:4])
    assert write(place, STORY[3], *STORY[4:]) == [False] + [True] * len(STORY[4:])
    assert write(place, Ended(1, 1, 0, "completed", None, None)) == [False]
    with opened(place) as ledger:
        rows = ledger.read()
    assert [row.event for row in rows] == list(STORY)
    assert [row.epoch for row in rows] == [1] * 4 + [2] * (len(STORY) - 4)


def test_a_damaged_count_of_rows_is_found(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path, schema="s", create=True) as ledger, ledger.own("here", 1) as writer:
        writer.append(*STORY)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE owner SET head = 'x'")
    connection.close()
    with Ledger.open(path, schema="s", create=False) as ledger, pytest.raises(CorruptFile, match="'x', not a number"):
        ledger.read()
