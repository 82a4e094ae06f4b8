"""Tables of a study: what `ganstudy results` writes and `study.load` gives."""

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from made_up import OPENED_AT, big_ledger, study, trial
from toys import toy_config
from typer.testing import CliRunner

import study as package
from study.analysis.results import reports_frame, trials_frame, write_results
from study.cli import app
from trainables.errors import InvalidInput

MADE = study(
    trial(0, {1: 40.0, 3: 50.0, 9: 20.0}, params={"lr": 1e-3, "loss": "hinge"}),
    trial(1, {1: 30.0}, "stopped", rung=1, params={"lr": 1e-4}),
    trial(2, {}, "failed", cause="OSError: gone", params={"lr": 0.1}),
)


def test_a_row_per_trial() -> None:
    frame = trials_frame(MADE)
    assert list(frame["trial"]) == [0, 1, 2]
    assert frame["rank"].to_list() == [1, 2, pd.NA]
    assert frame["state"].to_list() == ["completed", "stopped", "failed"]
    assert frame["fid_best"].to_list()[:2] == [20.0, 30.0]
    assert frame["fid"].to_list()[:2] == [20.0, 30.0]
    # The best up to each rung: trial 0 was at 40 at 1 kimg, and no better at 3.
    assert frame["fid_at_1"].to_list()[:2] == [40.0, 30.0]
    assert frame["fid_at_3"].to_list()[0] == 40.0
    assert frame["fid_at_3"].isna().to_list() == [False, True, True]
    assert frame["params.lr"].to_list() == [1e-3, 1e-4, 0.1]
    assert frame["params.loss"].isna().to_list() == [False, True, True]
    assert frame["config.model.name"].to_list() == ["mlp"] * 3
    assert frame["started_at"][0] == pd.Timestamp(OPENED_AT, unit="s", tz="UTC")
    assert str(frame["rung"].dtype) == "Int64"
    assert str(frame["collapsed"].dtype) == "boolean"


def test_a_row_per_report() -> None:
    frame = reports_frame(MADE)
    assert list(zip(frame["trial"], frame["kimg"], frame["fid"], strict=True)) == [
        (0, 1, 40.0),
        (0, 3, 50.0),
        (0, 9, 20.0),
        (1, 1, 30.0),
    ]
    assert frame["train_seconds"].to_list() == [2.0, 6.0, 18.0, 2.0]


def test_a_study_without_trials_has_empty_tables() -> None:
    assert trials_frame(study()).empty
    assert "fid" in reports_frame(study())


@pytest.mark.parametrize(
    ("ending", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet), ("json", pd.read_json)]
)
def test_files_hold_what_the_frame_holds(ending: str, read: object, tmp_path: Path) -> None:
    frame, file = trials_frame(MADE), tmp_path / f"deep/x.{ending}"
    write_results(frame, file)
    back = read(file)  # type: ignore[operator]
    assert list(back.columns) == list(frame.columns)
    assert back["params.lr"].to_list() == frame["params.lr"].to_list()
    assert back["cause"].to_list()[2] == "OSError: gone"


def test_a_place_with_text_and_numbers_goes_into_parquet(tmp_path: Path) -> None:
    mixed = study(trial(0, {1: 4.0}, params={"x": 1}), trial(1, {1: 5.0}, params={"x": "auto"}))
    write_results(trials_frame(mixed), tmp_path / "x.parquet")
    assert pd.read_parquet(tmp_path / "x.parquet")["params.x"].to_list() == ["1", "auto"]


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"\.csv, \.json, \.parquet"):
        write_results(trials_frame(MADE), tmp_path / "x.xlsx")


def test_from_a_ledger_by_command_and_by_name(tmp_path: Path) -> None:
    big_ledger(toy_config(storage={"path": str(tmp_path)}), tmp_path, trials=8)
    loaded = package.load("toy", storage=tmp_path)
    frame = loaded.trials_frame()
    assert len(frame) == 8
    assert loaded.ranking()[0].trial.number == frame.set_index("rank")["trial"][1]
    run = CliRunner().invoke(app, ["results", "toy", "--storage", str(tmp_path)], catch_exceptions=False)
    assert run.exit_code == 0
    assert pd.read_csv(io.StringIO(run.stdout))["trial"].to_list() == list(range(8))
    out = tmp_path / "reports.json"
    command = ["results", "toy", "--table", "reports", "--out", str(out), "--storage", str(tmp_path)]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    assert len(json.loads(out.read_text())) == len(loaded.reports_frame())
    page = tmp_path / "r.html"
    command = ["report", "toy", "--out", str(page), "--storage", str(tmp_path)]
    assert "one file" in CliRunner().invoke(app, command, catch_exceptions=False).output
    assert page.read_text().startswith("<!doctype html>")
