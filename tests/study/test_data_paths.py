"""Where a study's data and files lie: recorded as absolute paths when it is launched, and free to move."""

import hashlib
import io
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console
from toys import Crash, drive, open_study, toy_config
from trained_study import PLAIN

from study.commands import looking
from study.data_paths import AS_CONFIGURED, DataPaths
from study.ledger.events import StudyChanged
from study.ledger.ledger import Ledger
from study.ledger.records import Fold, fold
from study.mlflow.data import data_facts, known_data
from study.production.run_trial import Repeat, run_trial
from study.running.completed import completed_study
from study.study_file.addresses import located_uri
from study.study_file.config import StudyConfig, read_study, refuse_changes
from study.verify.decisions import Replay
from trainables.data import Digits, Npz
from trainables.errors import DataNotFound, InvalidInput
from trainables.evaluation.config import Evaluation
from trainables.evaluation.prepare import prepare
from trainables.gan.config import TrialConfig
from trainables.paths import with_paths_of

STUDY: dict[str, Any] = {
    "name": "toy",
    "data": {"name": "folder", "path": "photos", "size": 32},
    "schedule": {"max_kimg": 9, "grace_kimg": 1},
    "trials": 2,
    "evaluation": {"count": 3000, "extractor": {"name": "inception", "weights": "~/inception.pth"}},
    "mlflow": {"uri": "sqlite:///mlflow.db"},
    "storage": {"path": "runs"},
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def study_file(folder: Path, **changes: Any) -> Path:
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY | changes))
    return folder / "study.yaml"


def test_every_path_of_a_study_file_is_recorded_as_an_absolute_one(here: Path) -> None:
    known = read_study(study_file(here)).to_dict()
    assert known["data"]["path"] == str(here / "photos")
    assert known["evaluation"]["extractor"]["weights"] == "/home/me/inception.pth"
    assert known["mlflow"]["uri"] == f"sqlite:///{here}/mlflow.db"
    assert known["storage"]["path"] == str(here / "runs")
    root = read_study(study_file(here, data={"name": "mnist", "root": "~/mnist"})).to_dict()["data"]["root"]
    assert root == "/home/me/mnist"
    assert read_study(study_file(here, data={"name": "mnist"})).to_dict()["data"]["root"] is None


def test_an_address_of_a_file_is_made_absolute_and_another_stays(here: Path) -> None:
    assert located_uri("sqlite:///a/x.db?timeout=5") == f"sqlite:///{here}/a/x.db?timeout=5"
    assert located_uri("sqlite:///~/x.db") == "sqlite:////home/me/x.db"
    for uri in (
        "sqlite:////a/x.db",
        "http://h:5000/a",
        "postgresql://me@h/db",
        "sqlite:///",
        "sqlite:///file:x?uri=true",
    ):
        assert located_uri(uri) == uri


def test_a_home_of_nobody_and_a_folder_that_is_gone_are_one_line(here: Path) -> None:
    with pytest.raises(InvalidInput, match="no such user's home"):
        read_study(study_file(here, storage={"path": "~nobody-of-this-name/runs"}))
    file = study_file(here.parent)
    shutil.rmtree(here)
    with pytest.raises(InvalidInput, match="current folder was removed"):
        read_study(file)


def test_a_study_goes_on_whatever_way_its_paths_are_written_and_wherever_its_data_lies_now(here: Path) -> None:
    """That the images are the same the fingerprint tells."""
    before = StudyConfig.model_validate(STUDY).to_dict()  # as an older ganstudy recorded it
    assert before["data"]["path"] == "photos"
    refuse_changes(before, read_study(study_file(here)).to_dict(), here)
    moved = STUDY["data"] | {"path": "/elsewhere/photos"}
    refuse_changes(before, read_study(study_file(here, data=moved)).to_dict(), here)
    with pytest.raises(InvalidInput, match=r"other settings.*data\.size: 32 -> 28"):
        refuse_changes(before, read_study(study_file(here, data=moved | {"size": 28})).to_dict(), here)


def test_an_older_study_that_moves_on_to_absolute_paths_stays_verifiable(here: Path) -> None:
    """Trials keep the configuration that they were proposed with, and so their checkpoints."""
    data = {"name": "npz", "path": "x.npz"}
    old = toy_config(data=data, storage={"path": "runs"})
    old.folder.path.mkdir(parents=True)
    ledger = old.folder.ledger
    old.folder.study_file.write_text(yaml.safe_dump(old.to_dict()))
    open_study(ledger, old)
    with pytest.raises(Crash):
        drive(ledger, old, crash_after=12)
    new = old.located()
    with Ledger.open(ledger, schema="toy", create=False) as opened, opened.own("host", 1) as writer:
        writer.append(StudyChanged(1, new.to_dict()))
    study = drive(ledger, new)
    places = [trial.config["data"]["path"] for trial in study.trials]
    assert places[0] == "x.npz"
    assert places[-1] == str(here / "x.npz")
    with Ledger.open(ledger, schema="toy", create=False) as opened:
        rows = opened.read()
    Replay(new.folder, Counter()).take(rows)
    assert fold(rows, live=False).config["data"]["path"] == str(here / "x.npz")
    assert completed_study(old.located(), Fold()) is not None, "a relaunch from the same folder finds it ended"
    assert DataPaths.of(study.config) == DataPaths(here / "x.npz")


@pytest.fixture
def images(here: Path) -> Path:
    digits = Digits().load()
    np.savez(here / "digits.npz", images=digits.train.images, labels=digits.train.labels)
    return here / "digits.npz"


def test_a_file_says_where_its_data_was_and_an_option_where_it_is(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(places: DataPaths = AS_CONFIGURED, path: str = str(images)) -> list[str]:
        output = io.StringIO()
        file = images.parent.parent / "trial.yaml"
        file.write_text(yaml.safe_dump(PLAIN | {"data": {"name": "npz", "path": path}}))
        run_trial(Repeat(file, 1, None, None, "cpu", places), Console(file=output, width=200))
        return output.getvalue().split()

    at_home = run()
    moved = images.rename(images.parent.parent / "moved.npz")
    with pytest.raises(DataNotFound) as told:
        run()
    assert str(images) in str(told.value)
    assert "--data PATH" in str(told.value)
    assert run(DataPaths(moved))[:4] == at_home[:4], "the same FID to the last bit"
    with pytest.raises(DataNotFound, match=str(images)):  # a relative one is meant from the current folder
        run(path="digits.npz")
    monkeypatch.chdir(moved.parent)
    assert run(path="moved.npz")[:4] == at_home[:4]


def test_a_trial_is_the_same_wherever_its_data_lies() -> None:
    """Its checkpoints are found again, those of an older ganstudy too, and the exported one names the newest place."""
    source = {"name": "npz", "path": "/a/x.npz"}
    weights = {"extractor": {"name": "inception", "weights": "/a/w.pth"}}
    trial = TrialConfig.from_dict(PLAIN | {"data": source, "evaluation": weights})
    study = {"data": source | {"path": "/b/x.npz"}, "evaluation": {"extractor": {"name": "inception", "weights": None}}}
    moved = with_paths_of(trial.to_dict(), study)
    assert (moved["data"]["path"], moved["evaluation"]["extractor"]["weights"]) == ("/b/x.npz", None)
    again = TrialConfig.from_dict(moved)
    assert again.digest == trial.digest
    assert again.has_digest(trial.digest)
    older = hashlib.sha256(json.dumps(_as_before(trial.to_dict()), sort_keys=True).encode()).hexdigest()
    assert trial.has_digest(older)
    assert not again.has_digest(older)
    assert not trial.has_digest(trial.model_copy(update={"seed": 6}).digest)
    assert with_paths_of({"seed": 1}, {}) == with_paths_of({"seed": 1}, None) == {"seed": 1}


def _as_before(config: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that came later."""
    del config["data"]["splits"]
    del config["reuse_fakes"], config["evaluation"]["precision"], config["evaluation"]["rung_count"]
    return config


def test_places_that_nothing_lies_at_are_refused() -> None:
    trial = TrialConfig.from_dict(PLAIN)
    with pytest.raises(InvalidInput, match="digits comes with a library"):
        DataPaths(data=Path("x")).applied(trial)
    with pytest.raises(InvalidInput, match="extractor classifier reads none"):
        DataPaths(weights=Path("x")).applied(trial)
    inception = Evaluation.model_validate({"extractor": {"name": "inception"}})
    data, evaluation = DataPaths(weights=Path("x")).applied(trial.model_copy(update={"evaluation": inception}))
    assert evaluation.extractor.model_dump()["weights"] == Path("x")
    assert data == trial.data


def test_the_ledger_knows_of_the_data_what_a_promotion_needs(images: Path) -> None:
    prepared = prepare(Npz(path=images), Evaluation(count=300))
    assert known_data({"data": data_facts(prepared)}) == prepared.dataset.facts
    assert known_data({"data": {"shape": [1, 8, 8], "images": {}, "classes": 10}}) is None, "an older ganstudy's"
    assert known_data({}) is None


def test_data_describe_takes_a_path_from_the_home(images: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("HOME", str(images.parent))
    options = looking.Describe("npz", Path("~/digits.npz"), None, None, None, as_json=True)
    looking.describe(options, Console())
    assert '"name": "npz"' in capsys.readouterr().out
