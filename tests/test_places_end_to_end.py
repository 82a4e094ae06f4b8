"""A real study of images that its study file names by a relative path: used from another folder, its data gone."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import ganstudy

from trainables.data import Digits

pytestmark = pytest.mark.slow


def test_a_study_launched_by_relative_paths_is_used_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    digits = Digits().load()
    np.savez(home / "digits.npz", images=digits.train.images, labels=digits.train.labels)
    study = {
        "name": "npz",
        "data": {"name": "npz", "path": "digits.npz"},
        "space": {"base": "quick", "fix": {"model.name": "mlp"}, "baselines": False},
        "trials": 1,
        "schedule": {"grace_kimg": 1, "max_kimg": 1},
        "evaluation": {"count": 300},
        "storage": {"path": "runs"},
        "mlflow": {"uri": "sqlite:///store.db"},
    }
    (home / "study.yaml").write_text(yaml.safe_dump(study))
    monkeypatch.chdir(home)
    ganstudy("launch", "study.yaml")
    assert (home / "store.db").is_file()
    monkeypatch.chdir(elsewhere)
    storage = "--storage=../home/runs"
    ganstudy("export", "npz", "best.yaml", storage)
    assert "the same as in the study" in ganstudy("run-trial", "best.yaml", "--kimg", "1")
    (home / "digits.npz").rename(home / "moved.npz")
    assert json.loads(ganstudy("promote", "npz", storage, "--json", "--force"))["model"] == "npz", "it needs no data"
    assert list(elsewhere.iterdir()) == [elsewhere / "best.yaml"], "nothing else was made here"
    said = ganstudy("train", "best.yaml", "--kimg", "1", "--device", "cpu", code=2)
    assert f"no file {home}/digits.npz" in said
    assert "--data PATH" in said
    trained = ganstudy("train", "best.yaml", "--kimg", "1", "--device", "cpu", "--data", "../home/moved.npz")
    assert "the same as in the study" in trained
    monkeypatch.chdir(home)
    ganstudy("launch", "study.yaml", "--set", "data.path=moved.npz", "--set", "trials=2")
    assert "as the ledger says, all of it" in ganstudy("verify", "npz")
    ganstudy("export", "npz", "best.yaml", "--trial", "0")
    monkeypatch.chdir(elsewhere)
    again = ganstudy("train", home / "best.yaml", "--kimg", "2", "--device", "cpu", "--out", "best")
    assert "resumes at 1 kimg" in again, "the same training: only its data moved"
