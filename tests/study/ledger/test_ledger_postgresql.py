"""What is particular to PostgreSQL: schemas, names, passwords, a server that goes away."""

import socket
import threading
from pathlib import Path

import psycopg
import pytest
from ledgers import OPENED, Backend, Place, opened, proposed, write
from postgresql import USER, Server
from psycopg import sql

from study.ledger.ledger import Ledger
from trainables.errors import GanStudyError, InvalidInput

SECRET = "geh/eim&%2F"


@pytest.fixture
def place(postgresql: Server) -> Place:
    return Backend(Path(), postgresql.url).fresh()


def test_studies_on_one_server_do_not_see_each_other(postgresql: Server) -> None:
    names = ["a", "A", "a.b", "a-b", "select", "x" * 63]
    for number, name in enumerate(names):
        with Ledger.open(postgresql.url, schema=name, create=True) as ledger, ledger.own("h", number) as writer:
            writer.append(OPENED, *(proposed(trial) for trial in range(number)))
    for number, name in enumerate(names):
        with Ledger.open(postgresql.url, schema=name, create=False) as ledger:
            assert len(ledger.read()) == number + 1
            owner = ledger.owner()
            assert owner is not None
            assert (owner.pid, owner.epoch, owner.live) == (number, 1, False)
    with psycopg.connect(postgresql.url) as connection:
        found = connection.execute("SELECT table_schema FROM information_schema.tables WHERE table_name = 'events'")
        assert set(names) <= {name for (name,) in found}


def test_a_name_too_long_for_a_schema_is_refused(postgresql: Server) -> None:
    with pytest.raises(InvalidInput, match="at most 63"):
        Ledger.open(postgresql.url, schema="x" * 64, create=True)


def test_owners_of_two_studies_live_side_by_side(place: Place, postgresql: Server) -> None:
    other = Backend(Path(), postgresql.url).fresh()
    with opened(place) as one, opened(other) as two, one.own("h", 1), two.own("h", 2):
        for ledger, pid in ((one, 1), (two, 2)):
            owner = ledger.owner()
            assert owner is not None
            assert (owner.pid, owner.live) == (pid, True)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_way_to_write_the_url_works(place: Place, scheme: str) -> None:
    url = str(place.url).replace("postgresql", scheme, 1)
    with Ledger.open(url, schema=place.schema, create=True) as ledger:
        assert ledger.read() == []


def test_a_password_is_used_but_never_shown(postgresql: Server, place: Place) -> None:
    role = sql.Identifier(USER)
    with psycopg.connect(postgresql.url) as connection:
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(SECRET)))
    quoted = "geh%2Feim%26%252F"
    base = f"127.0.0.1:{postgresql.port}/postgres"
    for url in (f"postgresql://{USER}:{quoted}@{base}", f"postgresql://{USER}@{base}?password={quoted}"):
        with Ledger.open(url, schema=place.schema, create=True) as ledger:
            assert ledger.read() == []
            shown = f"{ledger.location} {ledger} {ledger._store}"
            assert SECRET not in shown
            assert quoted not in shown
    wrong = "wr0ng%2Fsecret"
    for url in (f"postgresql://{USER}:{wrong}@{base}", f"postgresql://{USER}@{base}?password={wrong}"):
        with pytest.raises(GanStudyError, match="password authentication failed") as caught:
            Ledger.open(url, schema=place.schema, create=True)
        assert "\n" not in str(caught.value)
        assert "wr0ng" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line(place: Place) -> None:
    with socket.socket() as taken:  # bound but not listening: refused
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://u:geheim@127.0.0.1:{taken.getsockname()[1]}/d"
        with pytest.raises(GanStudyError, match=r"u:\*\*\*@127\.0\.0\.1.*refused") as caught:
            Ledger.open(url, schema=place.schema, create=True)
    assert "\n" not in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_database_that_is_not_there_is_one_line(postgresql: Server) -> None:
    url = postgresql.url.replace("/postgres?", "/nosuch?")
    with pytest.raises(GanStudyError, match='database "nosuch" does not exist') as caught:
        Ledger.open(url, schema="s", create=True)
    assert "\n" not in str(caught.value)


def test_a_driver_goes_on_after_its_connections_were_cut(place: Place) -> None:
    """As when the server restarts: the lock is lost, and with nobody else there the epoch is still its own."""
    with opened(place) as ledger:
        writer = ledger.own("h", 1)
        writer.append(OPENED)
        place.raw(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert writer.append(OPENED, proposed(0)) == [False, True]
        with opened(place) as other, other.own("h", 2) as later:
            assert later.append(proposed(1)) == [True]
            with pytest.raises(GanStudyError, match="taken over by process 2"):
                writer.append(proposed(2))
        writer.close()  # its lock's connection is gone: no error
        assert [row.epoch for row in ledger.read()] == [1, 1, 2]


def test_the_fence_waits_for_an_append_under_way(place: Place) -> None:
    """A take-over during an append comes after it as a whole: the row of the owner is locked until the commit."""
    write(place, OPENED)
    with opened(place) as ledger, opened(place) as other, ledger.own("h", 1) as writer:
        done = threading.Event()
        with ledger._store.writing() as connection:
            writer._check_epoch(connection)
            ledger._store.lock.release()

            def take_over() -> None:
                with other.own("h", 2):
                    done.set()

            thread = threading.Thread(target=take_over)
            thread.start()
            assert not done.wait(0.3)  # it has the lock, but not the epoch
        thread.join()
        assert done.is_set()
