"""The copy for optuna-dashboard is what the sampler was told, read back with Optuna's own tools."""

from datetime import datetime
from pathlib import Path

import optuna
import pytest
from made_up import big_ledger
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from toys import CEILING, toy_config
from typer.testing import CliRunner

from study.analysis.optuna_export import export_optuna
from study.cli import app
from study.ledger.catalogue import load_study
from study.running.sampling import Sampling
from trainables.errors import InvalidInput


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_the_copy_is_the_samplers_history(kind: str, tmp_path: Path) -> None:
    config = toy_config(storage={"path": str(tmp_path)})
    record = load_study(big_ledger(config, tmp_path, trials=12))
    target = f"sqlite:///{tmp_path}/x.db" if kind == "sqlite" else str(tmp_path / "x.log")
    command = ["export-optuna", "toy", target, "--storage", str(tmp_path)]
    assert "12 trials" in CliRunner().invoke(app, command, catch_exceptions=False).output
    storage = target if kind == "sqlite" else JournalStorage(JournalFileBackend(target))
    copied = optuna.load_study(study_name="toy", storage=storage)
    told = Sampling(config.space.resolve(), "random", 0, 1, CEILING)
    for trial in record.trials:
        told.restore(trial, finished=True)
    assert {trial.state for trial in record.trials} >= {"stopped", "diverged"}
    for copy, original, trial in zip(copied.trials, told.history.trials, record.trials, strict=True):
        assert (copy.number, copy.state, copy.value) == (original.number, original.state, original.value)
        assert (copy.params, copy.distributions) == (original.params, original.distributions)
        assert copy.intermediate_values == original.intermediate_values == trial.curve
        assert copy.user_attrs["state"] == trial.state
        assert bool(copy.constraints) == bool(original.constraints) == (trial.state == "diverged")
        assert copy.datetime_start == datetime.fromtimestamp(trial.started_at)
    with pytest.raises(InvalidInput, match="has a study 'toy' already"):
        export_optuna(record, target)


def test_a_place_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    record = load_study(big_ledger(toy_config(storage={"path": str(tmp_path)}), tmp_path, trials=1))
    for target in (f"sqlite:///{tmp_path}/no/x.db", "nonsense://x", str(tmp_path / "no" / "x.log")):
        with pytest.raises(InvalidInput, match="cannot be opened as an Optuna storage"):
            export_optuna(record, target)
