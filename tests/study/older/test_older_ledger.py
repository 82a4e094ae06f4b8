"""An older ledger, or another one, is put back: who would go on from it refuses; the option sets the newer aside."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledgers import OPENED, Backend, Place, proposed
from toys import Crash, drive
from verifiable import begin, ganstudy, problems, project, rows_of, write_checkpoints

from study.folder import StudyFolder
from study.ledger.head import Head, read_head
from study.ledger.ledger import Ledger, Writer
from study.ledger.records import fold
from study.mlflow.projection import FinalState
from study.mlflow.store import open_client
from study.mlflow.tags import UID
from study.older.check import OlderLedger, check_not_older
from study.older.newer import newer_trainings
from study.study_file.config import StudyConfig
from trainables.errors import GanStudyError
from trainables.repeats import may_repeat

# ------------------------------------------------------------------------------------------- the mark of the last row


@contextmanager
def owned(place: Place, head: Path) -> Iterator[Writer]:
    with (
        Ledger.open(place.url, schema=place.schema, create=True) as ledger,
        ledger.own("here", 1, None, head) as writer,
    ):
        yield writer


def differs(place: Place, head: Path) -> str | None:
    with Ledger.open(place.url, schema=place.schema, create=False) as ledger:
        return ledger.differs(head)


def cut_off(place: Place, seq: int) -> None:
    """Put back the ledger as it was after row `seq`."""
    place.raw("DELETE FROM events WHERE seq > ?", seq)
    place.raw("UPDATE owner SET head = ?", seq)


def test_one_row_less_is_noticed_and_another_in_its_place_too(backend: Backend, tmp_path: Path) -> None:
    place, head = backend.fresh(), tmp_path / "ledger.head"
    with owned(place, head) as writer:
        assert read_head(head) == Head(0, 0)
        writer.append(OPENED, proposed(0))
        writer.append(proposed(1))
    assert differs(place, head) is None
    cut_off(place, 2)
    assert differs(place, head) == "row 3 was written, and it ends at row 2"
    with owned(place, tmp_path / "elsewhere") as writer:
        writer.append(proposed(7), proposed(8))
    assert differs(place, head) == "its row 3 is not the one that was written"


def test_a_crash_between_a_row_and_its_mark_is_no_difference(backend: Backend, tmp_path: Path) -> None:
    place, head = backend.fresh(), tmp_path / "ledger.head"
    with owned(place, head) as writer:
        writer.append(OPENED)
        before = head.read_bytes()
        writer.append(proposed(0), proposed(1))
    for content in (before, b"", before[:9], b"\xff" * 40):
        head.write_bytes(content)
        assert differs(place, head) is None
    head.unlink()
    assert differs(place, head) is None


def test_a_mark_that_cannot_be_written_costs_nothing(backend: Backend, tmp_path: Path) -> None:
    with owned(backend.fresh(), tmp_path / "no folder" / "ledger.head") as writer:
        assert writer.append(OPENED) == [True]


# --------------------------------------------------------------------------------------------------- a study's folder


@pytest.fixture
def config(tmp_path: Path) -> StudyConfig:
    """A finished study of 4 trials with its checkpoints, and its ledger as it was in the middle, in older.db."""
    config = begin(tmp_path, trials=4, schedule={"grace_kimg": 1, "max_kimg": 3, "reduction_factor": 3})
    with pytest.raises(Crash):
        drive(config.folder.ledger, config, crash_after=11)
    shutil.copyfile(config.folder.ledger, tmp_path / "older.db")
    drive(config.folder.ledger, config)
    write_checkpoints(config.folder)
    return config


def put_back(config: StudyConfig) -> StudyFolder:
    folder = config.folder
    shutil.copyfile(folder.root / "older.db", folder.ledger)
    return folder


def refusal(folder: StudyFolder) -> str | None:
    study = fold(rows_of(folder), live=False)
    with Ledger.open(folder.ledger, schema=folder.name, create=False) as ledger:
        try:
            check_not_older(folder, ledger, study)
        except OlderLedger as error:
            return str(error)
    return None


def test_newer_trials_are_set_aside_and_made_again(config: StudyConfig, tmp_path: Path) -> None:
    project(config.folder, FinalState("finished"))
    whole = fold(rows_of(config.folder), live=False)
    folder = put_back(config)
    older = fold(rows_of(folder), live=False)
    cut = older.trials[-1]
    assert cut.unfinished
    assert cut.kimg
    (folder.trial(cut.number) / "attempt").write_text("3")
    told = refusal(folder)
    assert told is not None
    lost = f"trial {cut.number} after {cut.kimg} kimg, " + ", ".join(
        f"trial {t.number}" for t in whole.trials[cut.number + 1 :]
    )
    assert f"to go on from it would lose {lost}; put the newest copy back" in told
    code, text = ganstudy("sync", folder.name, "--storage", folder.root, "--from-older-ledger")
    assert code == 0, text
    aside = next(folder.set_aside.iterdir()) / "trials"
    assert {place.name for place in aside.iterdir()} == {f"{t.number:05d}" for t in whole.trials[cut.number :]}
    assert (aside / f"{cut.number:05d}" / "attempt").read_text() == "3"
    assert may_repeat(folder.trial(cut.number)) == cut.kimg
    assert refusal(folder) is None
    assert problems(folder) == {}
    client = open_client(f"sqlite:///{folder.mlflow_db}")
    experiment = client.get_experiment_by_name("ganstudy/toy")
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    kept = [run for run in runs if run.data.tags[UID].startswith("set-aside/")]
    assert len(kept) == len(whole.trials) + 1
    assert all("(set aside " in run.info.run_name for run in kept)
    assert len(runs) == len(kept) + len(older.trials) + 1
    drive(folder.ledger, config)
    write_checkpoints(folder)
    code, text = ganstudy("sync", folder.name, "--storage", folder.root)
    assert code == 0, text
    assert problems(folder) == {}
    again = fold(rows_of(folder), live=False)
    assert [trial.curve for trial in again.trials] == [trial.curve for trial in whole.trials]


def test_mlflow_alone_may_tell(config: StudyConfig, tmp_path: Path) -> None:
    project(config.folder, FinalState("finished"))
    head = len(rows_of(config.folder))
    folder = put_back(config)
    shutil.rmtree(folder.trials)
    refused = refusal(folder)
    assert refused is not None
    assert f"MLflow has its row {head}" in refused
    with Ledger.open(folder.ledger, schema=folder.name, create=False) as ledger:
        ledger.mark(folder.head)  # with a mark MLflow in the folder is not looked at, until it is written to
    with pytest.raises(GanStudyError, match=f"has row {head} of toy, whose ledger ends at row {len(rows_of(folder))}"):
        ganstudy("sync", folder.name, "--storage", folder.root)
    code, text = ganstudy("sync", folder.name, "--storage", folder.root, "--from-older-ledger")
    assert code == 0, text
    assert "5 runs in MLflow: set aside there" in text


def test_an_older_mlflow_beside_a_newer_ledger_is_brought_up_to_date(config: StudyConfig, tmp_path: Path) -> None:
    folder = config.folder
    newest = tmp_path / "newest.db"
    shutil.copyfile(folder.ledger, newest)
    put_back(config)
    project(folder, FinalState("interrupted"))
    store = folder.mlflow_db.read_bytes()
    shutil.copyfile(newest, folder.ledger)
    project(folder, FinalState("finished"))
    folder.mlflow_db.write_bytes(store)
    code, text = ganstudy("sync", folder.name, "--storage", folder.root)
    assert code == 0, text
    assert problems(folder) == {}


def test_what_a_crash_leaves_is_no_sign_and_what_it_cannot_is(config: StudyConfig) -> None:
    folder, study = config.folder, fold(rows_of(config.folder), live=False)
    assert list(newer_trainings(folder, study)) == []
    trial = study.trials[0]
    checkpoints = folder.checkpoints(0)
    (checkpoints / f"kimg-{trial.kimg + 1:06d}").mkdir()  # written, and the driver died before it knew
    (folder.trial(0) / "attempt").write_text(str(trial.attempts))
    seed = folder.path / "noise" / "trial-0000" / "seed-1" / "checkpoints" / f"kimg-{trial.kimg:06d}"
    seed.mkdir(parents=True)
    assert list(newer_trainings(folder, study)) == []
    (checkpoints / f"kimg-{trial.kimg + 2:06d}").mkdir()
    seed.rename(seed.with_name(f"kimg-{trial.kimg + 1:06d}"))
    (folder.path / "confirm" / "3-kimg" / "trial-00000-seed-1").mkdir(parents=True)
    report = next(folder.checkpoints(1).glob("kimg-*")) / "report.json"
    report.write_text(report.read_text().replace('"fid": ', '"fid": 9'))
    newer = {one.path.relative_to(folder.path).as_posix(): one for one in newer_trainings(folder, study, fids=True)}
    assert list(newer) == [
        "trials/00000",
        "trials/00001",
        "confirm/3-kimg/trial-00000-seed-1",
        "noise/trial-0000/seed-1",
    ]
    assert [one.whole for one in newer.values()] == [False, True, True, True]


def test_another_studys_ledger_is_refused(config: StudyConfig, tmp_path: Path) -> None:
    folder = config.folder
    with Ledger.open(folder.ledger, schema="toy", create=False) as ledger, ledger.own("h", 1, None, folder.head):
        assert refusal(folder) is None
    other = begin(tmp_path / "other", seed=8, trials=4, schedule={"grace_kimg": 1, "max_kimg": 3})
    drive(other.folder.ledger, other)
    shutil.copyfile(other.folder.ledger, folder.ledger)
    refused = refusal(folder)
    assert refused is not None
    assert "or another one" in refused
    folder.head.unlink()
    assert "report.json: fid is " in str(refusal(folder)), "without the mark the checkpoints tell"


def test_a_checkpoint_with_another_fid_is_no_sign_where_the_mark_agrees(config: StudyConfig) -> None:
    folder = config.folder
    report = next(folder.checkpoints(0).glob("kimg-*")) / "report.json"
    report.write_text(report.read_text().replace('"fid": ', '"fid": 9'))
    assert "report.json: fid is " in str(refusal(folder))
    with Ledger.open(folder.ledger, schema="toy", create=False) as ledger:
        ledger.mark(folder.head)
    assert refusal(folder) is None, "it is damaged, which who reads it says"
