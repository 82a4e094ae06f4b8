"""The report at the end of a launch: written, given to MLflow's parent run, and never a reason to fail."""

import logging
from pathlib import Path

import pytest
from made_up import big_ledger
from toys import toy_config

from study.ledger.catalogue import load_study
from study.running import final_state


def test_the_report_lies_in_the_studys_folder(tmp_path: Path) -> None:
    config = toy_config(storage={"path": str(tmp_path)})
    folder = big_ledger(config, tmp_path, trials=4)
    end = final_state.final_state(load_study(folder), folder, folder.path)
    assert end.artifacts["report.html"] == folder.report_file == folder.path / "report.html"
    assert folder.report_file.read_text().startswith("<!doctype html>")


def test_a_report_that_cannot_be_made_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("no ink")

    monkeypatch.setattr(final_state, "report", broken)
    config = toy_config(storage={"path": str(tmp_path)})
    record = load_study(big_ledger(config, tmp_path, trials=4))
    with caplog.at_level(logging.WARNING):
        end = final_state.final_state(record, config.folder, config.folder.path)
    assert {*end.artifacts} == {"study.yaml", "best.yaml", "trials.csv", "trials.parquet"}
    assert "the report could not be written (no ink); again: ganstudy report toy" in caplog.text
