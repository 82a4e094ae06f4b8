"""`ganstudy list`: what each study has come to, the newest first."""

import json
from pathlib import Path

import pytest
import yaml
from toys import drive, open_study, toy_config
from typer.testing import CliRunner

from study.cli import app
from study.study_file.config import StudyConfig


def begun(root: Path, name: str, trials: int = 3) -> StudyConfig:
    config = toy_config(name=name, storage={"path": str(root)}, trials=trials)
    config.folder.path.mkdir(parents=True)
    config.folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    open_study(config.folder.ledger, config, schema=name)
    return config


def listed(root: Path) -> list[dict[str, object]]:
    result = CliRunner().invoke(app, ["list", "--storage", str(root), "--json"])
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.output)
    return found


def test_studies_are_listed_with_what_they_came_to(tmp_path: Path) -> None:
    first = begun(tmp_path, "first")
    study = drive(first.folder.ledger, first, schema="first")
    begun(tmp_path, "second")
    second, one = listed(tmp_path)
    assert (second["name"], second["state"], second["trials"]) == ("second", "interrupted", [0, 3])
    assert (one["name"], one["state"], one["trials"]) == ("first", "finished", [3, 3])
    longest = max(trial.kimg for trial in study.trials)
    fids = [trial.fid_best for trial in study.trials if trial.kimg == longest and trial.state != "diverged"]
    assert one["fid_best"] == min(fid for fid in fids if fid is not None)
    assert sum(one["states"].values()) == 3  # type: ignore[attr-defined]
    assert one["data"] == "digits"


def test_a_study_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    begun(tmp_path, "good")
    begun(tmp_path, "bad").folder.ledger.write_bytes(b"no database" * 100)
    good, bad = listed(tmp_path)
    assert (good["state"], bad["state"]) == ("interrupted", "unreadable")
    text = CliRunner().invoke(app, ["list", "--storage", str(tmp_path)]).output
    assert "good" in text
    assert "bad: " in text


def test_an_empty_folder_says_how_to_begin(tmp_path: Path) -> None:
    assert listed(tmp_path) == []
    assert "ganstudy init" in CliRunner().invoke(app, ["list", "--storage", str(tmp_path)]).output


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_best_fid_is_never_cut(tmp_path: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = begun(tmp_path, "a-study-with-a-long-name")
    drive(config.folder.ledger, config, schema=config.name)
    monkeypatch.setattr("study.cli.console.width", width)
    (one,) = listed(tmp_path)
    assert f"{one['fid_best']:.2f}" in CliRunner().invoke(app, ["list", "--storage", str(tmp_path)]).output
