"""MLflow's SQLite stores: odd paths, and files that are half made, damaged, or another's."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from study.folder import StudyFolder
from study.ledger.events import StudyOpened
from study.ledger.rows import Row
from study.mlflow import private
from study.mlflow.database import check_database, check_database_folder, database_file, ready_database, sqlite_uri
from study.mlflow.projection import Finish, MlflowProjection
from study.mlflow.store import open_client, open_store, resolve_uri
from study.mlflow.thread import sync
from study.study_file.addresses import located_uri
from trainables.errors import GanStudyError, InvalidInput

UID = "5f1c2d3e4f5a"
CONFIG = {"name": "digits", "trials": 1, "schedule": {"grace_kimg": 5, "max_kimg": 10}}
ROWS = [Row(1, 1.76e9, 1, StudyOpened(UID, CONFIG, "sha256:abc", 1.5, 800.0, {}))]
ODD = "odd ?#%20 é'\"\n%"


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    ready_database(sqlite_uri(path), path.with_name("mlartifacts").as_uri(), ours=False)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    folder = StudyFolder(tmp_path, "digits")
    folder.path.mkdir()
    return folder


@pytest.fixture
def quickly(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new store is a copy: where it matters how one is put in place, and not how MLflow makes it."""
    monkeypatch.setattr(
        private, "make_store", lambda uri, artifacts: shutil.copyfile(empty_store, str(database_file(uri)))
    )


def project(folder: StudyFolder) -> None:
    MlflowProjection(None, folder, folder.name).project(ROWS)


def runs(folder: StudyFolder) -> int:
    connection = sqlite3.connect(folder.mlflow_db)
    count = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    connection.close()
    return int(count)


# Addresses


@pytest.mark.parametrize("name", ["plain", "with space", "a%20b", "a?b", "a#b", "é", "a'b\"c", "a\nb", "a%", ODD])
def test_an_address_leads_back_to_its_file(name: str, tmp_path: Path) -> None:
    for file in (tmp_path / name / "mlflow.db", Path(f"{name}.db")):
        uri = sqlite_uri(file)
        assert database_file(uri) == file
        assert resolve_uri(uri, StudyFolder(tmp_path, "digits")) == uri
        assert "\n" not in uri
    assert database_file(resolve_uri(None, StudyFolder(tmp_path / name, "x"))) == tmp_path / name / "x" / "mlflow.db"


def test_a_store_in_an_odd_folder_holds_all_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / ODD, "digits")
    sync(lambda after: ROWS[after:], MlflowProjection(None, folder, folder.name), Finish("interrupted"))
    client = open_client(resolve_uri(None, folder))
    (run,) = client.search_runs([str(e.experiment_id) for e in client.search_experiments()])
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"study.yaml"}
    assert [path.name for path in tmp_path.iterdir()] == [ODD]
    assert sorted(path.name for path in folder.path.iterdir()) == ["mlartifacts", "mlflow.db"]


def test_a_path_that_is_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a path in UTF-8") as failure:
        resolve_uri(None, StudyFolder(tmp_path / os.fsdecode(b"a\xff"), "digits"))
    str(failure.value).encode()


def test_a_relative_address_is_recorded_as_it_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert located_uri("sqlite:///x.db") == f"sqlite:///{tmp_path}/x.db"
    for same in ("http://host:1", "postgresql://host/db", f"sqlite:///{tmp_path}/x.db", "sqlite://", "ftp://x"):
        assert located_uri(same) == same
    check_database_folder(sqlite_uri(tmp_path / "x.db"))


# Files


def cut_off(file: Path, empty_store: Path) -> None:
    """As MLflow leaves it when it is killed between two steps."""
    shutil.copyfile(empty_store, file)
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '90e64c465722'")
        connection.execute("DROP TABLE model_versions")
    connection.close()


def first_tables(file: Path, empty_store: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE experiments (experiment_id INTEGER)")
    connection.close()


def nothing(file: Path, empty_store: Path) -> None:
    file.touch()


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("how", [cut_off, first_tables, nothing])
def test_a_half_made_store_is_made_anew(
    how: Callable[[Path, Path], None], folder: StudyFolder, empty_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    how(folder.mlflow_db, empty_store)
    with pytest.raises(GanStudyError, match="cannot be read"):
        check_database(resolve_uri(None, folder), "sync")
    project(folder)
    assert runs(folder) == 1
    assert ("half made" in caplog.text) == (how is not nothing)
    assert sorted(path.name for path in folder.path.iterdir()) == ["mlartifacts", "mlflow.db"]


def not_a_database(file: Path) -> None:
    file.write_bytes(b"not a database" * 100)


def torn(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 4 : len(raw) // 2] = os.urandom(len(raw) // 2 - len(raw) // 4)
    file.write_bytes(raw)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("how", [not_a_database, torn])
def test_a_damaged_embedded_store_is_set_aside_and_made_anew(
    how: Callable[[Path], None], folder: StudyFolder, empty_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copyfile(empty_store, folder.mlflow_db)
    how(folder.mlflow_db)
    damaged = folder.mlflow_db.read_bytes()
    journal = folder.mlflow_db.with_name("mlflow.db-journal")
    journal.write_bytes(b"of the damaged one")
    project(folder)
    assert runs(folder) == 1
    assert folder.mlflow_db.with_name("mlflow.db.damaged-1").read_bytes() == damaged
    assert not journal.exists()
    assert "set aside as mlflow.db.damaged-1" in caplog.text


@pytest.mark.usefixtures("quickly")
def test_a_store_that_goes_bad_under_a_driver_is_made_anew_by_it(folder: StudyFolder) -> None:
    projection = MlflowProjection(None, folder, "digits")
    projection.project(ROWS)
    not_a_database(folder.mlflow_db)
    projection.reset()  # as after any error
    projection.project(ROWS)
    assert runs(folder) == 1


def registered(file: Path, empty_store: Path) -> None:
    """Of another MLflow's schema, with a model in its registry."""
    shutil.copyfile(empty_store, file)
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        connection.execute("INSERT INTO registered_models (name, workspace) VALUES ('champion', 'default')")
    connection.close()


def optunas(file: Path, empty_store: Path) -> None:
    connection = sqlite3.connect(file)
    connection.executescript("CREATE TABLE studies (id INTEGER); CREATE TABLE alembic_version (version_num TEXT)")
    connection.close()


def garbled(file: Path, empty_store: Path) -> None:
    not_a_database(file)


@pytest.mark.parametrize(
    ("how", "ours", "said"),
    [
        (registered, True, "is of another MLflow (its schema is ffffffffffff, "),
        (optunas, True, "is another program's database (it has a table 'studies')"),
        (optunas, False, "is another program's database (it has a table 'studies')"),
        (garbled, False, "is damaged (file is not a database)"),
    ],
)
def test_what_is_no_projection_is_left_as_it_is(
    how: Callable[[Path, Path], None], ours: bool, said: str, tmp_path: Path, empty_store: Path
) -> None:
    folder = StudyFolder(tmp_path, "digits")
    folder.path.mkdir()
    file = folder.mlflow_db if ours else tmp_path / "x.db"
    how(file, empty_store)
    before = file.read_bytes()
    with pytest.raises(GanStudyError) as failure:
        open_store(resolve_uri(None if ours else sqlite_uri(file), folder), folder)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)
    assert file.read_bytes() == before


# Processes

MAKE = """
import os, sys
from pathlib import Path
from study.folder import StudyFolder
from study.mlflow import private
from study.mlflow.store import open_store, resolve_uri
from mlflow.store.tracking import sqlalchemy_store  # the imports take longest: only once
folder = StudyFolder(Path(sys.argv[1]), "digits")
while sys.stdin.readline():
    child = os.fork()
    if not child:
        open_store(resolve_uri(None, folder), folder).search_experiments()
        os._exit(0)
    print(child, flush=True)
    sys.stdin.readline()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def makers(folder: StudyFolder, count: int) -> "Iterator[list[subprocess.Popen[str]]]":
    """Processes that fork one that makes the study's store at a line that they read, and wait for it at the next."""
    command = [sys.executable, "-c", MAKE, str(folder.root)]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def told(maker: "subprocess.Popen[str]", line: str) -> None:
    assert maker.stdin is not None
    maker.stdin.write(f"{line}\n")
    maker.stdin.flush()


def answer(maker: "subprocess.Popen[str]") -> int:
    assert maker.stdout is not None
    return int(maker.stdout.readline())


@pytest.mark.slow
def test_whoever_is_killed_while_the_store_is_made_leaves_none_or_a_whole_one(folder: StudyFolder) -> None:
    """Each is killed at a random moment, from before it begins until it uses the store; the last may end."""
    rng = random.Random(1)
    with makers(folder, 1) as (maker,):
        for _ in range(8):
            told(maker, "go")
            child = answer(maker)
            time.sleep(rng.uniform(0.0, 4.0))
            os.kill(child, signal.SIGKILL)  # at worst a zombie, for nobody has waited for it
            told(maker, "wait")
            answer(maker)
            if folder.mlflow_db.exists():
                check_database(resolve_uri(None, folder), "it is not whole")
                folder.mlflow_db.unlink()
        told(maker, "go")
        answer(maker)
        told(maker, "wait")
        assert answer(maker) == 0
    check_database(resolve_uri(None, folder), "it is not whole")
    assert [path.name for path in folder.path.iterdir()] == ["mlflow.db"]  # and no leftovers


@pytest.mark.slow
def test_of_processes_that_make_it_at_once_all_use_the_same(folder: StudyFolder, empty_store: Path) -> None:
    cut_off(folder.mlflow_db, empty_store)
    with makers(folder, 3) as processes:
        for maker in processes:
            told(maker, "go")
        for maker in processes:
            answer(maker)
            told(maker, "wait")
            assert answer(maker) == 0
    assert [path.name for path in folder.path.iterdir()] == ["mlflow.db"]
    check_database(resolve_uri(None, folder), "it is not whole")
