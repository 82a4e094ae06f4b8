"""Every row of the ledger is folded once by a command that trains: to resume, to go on, to write what it leaves."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from confirmations import retrained
from rich.console import Console
from toys import CEILING, Crash, drive, open_study, result_of, toy_config

from study.ledger.catalogue import load_study, open_ledger
from study.ledger.records import Fold
from study.ledger.rows import Row
from study.mlflow.projection import MlflowProjection
from study.retraining import confirm, noise, run
from study.running import driver, launch, trials
from study.running.cluster import Slots
from study.running.completed import completed_study
from study.running.director import Director
from study.study_file.config import StudyConfig

QUIET = Console(quiet=True)


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each row is folded, but for MLflow's projection, which is a thread of its own behind the driver."""
    counts = Counter[int]()
    take = Fold.take

    def counted(fold: Fold, row: Row) -> None:
        if threading.current_thread() is threading.main_thread():
            counts[row.seq] += 1
        take(fold, row)

    monkeypatch.setattr(Fold, "take", counted)
    return counts


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyConfig:
    """A study that was cut off; what runs it does so here, without Ray, data and MLflow."""
    test = SimpleNamespace(fingerprint="test")
    prepared = SimpleNamespace(fingerprint="fingerprint", fid_floor=0.5, fid_ceiling=CEILING, on=lambda split: test)

    @contextmanager
    def no_ray(*_: object) -> Iterator[None]:
        yield

    def prepare(*_: object, **more: object) -> Any:
        return prepared

    for module in (launch, confirm, noise):
        monkeypatch.setattr(module, "prepare", prepare)
    monkeypatch.setattr(driver, "connected", no_ray)
    monkeypatch.setattr(driver, "plan_slots", lambda config: Slots(1, 0, 1, 1))
    monkeypatch.setattr(trials, "run_trainings", lambda director, *_: train(director, result_of))
    monkeypatch.setattr(run, "run_trainings", lambda director, *_: train(director, retrained))
    monkeypatch.setattr(MlflowProjection, "open", lambda projection: None)
    monkeypatch.setattr(MlflowProjection, "project", lambda *_, **more: None)
    config = toy_config(storage={"path": str(tmp_path / "runs")}).located()
    config.folder.path.mkdir(parents=True)
    config.folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    open_study(config.folder.ledger, config)
    with pytest.raises(Crash):
        drive(config.folder.ledger, config, crash_after=20)
    return config


def train(director: Director, result: Any) -> None:
    while running := director.next():
        kimg = running.kimg + 1
        while director.report(running.number, result(running.config, kimg)):
            kimg += 1


def once(config: StudyConfig) -> dict[int, int]:
    with open_ledger(config.folder) as ledger:
        return dict.fromkeys((row.seq for row in ledger.read()), 1)


def test_to_resume_is_to_fold_once(config: StudyConfig, folded: Counter[int]) -> None:
    known = Fold()
    assert completed_study(config, known) is None
    launched = launch.launch(config, None, QUIET, known)
    assert launched.study.complete
    assert folded == once(config)


def test_to_train_again_is_to_fold_once(config: StudyConfig, folded: Counter[int]) -> None:
    drive(config.folder.ledger, config)
    folded.clear()
    confirmed = confirm.confirm(config.folder, confirm.ConfirmRequest(2, 2), None, QUIET)
    assert confirmed.study.confirmation.complete
    assert folded == once(config)
    folded.clear()
    measured, _ = noise.measure(config.folder, noise.NoiseRequest(None, 0, 3), None, None, QUIET)
    assert len(measured.study.retrainings) == 5
    assert folded == once(config)
    assert measured.study == load_study(config.folder)
