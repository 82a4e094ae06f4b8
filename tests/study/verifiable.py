"""Small studies for `ganstudy verify`: with checkpoints, in MLflow, and what it finds wrong with them."""

from pathlib import Path
from typing import Any

import torch
import yaml
from toys import open_study, toy_config
from typer.testing import CliRunner

from study.cli import app
from study.folder import StudyFolder
from study.ledger.ledger import Ledger
from study.ledger.records import fold
from study.ledger.rows import Row
from study.mlflow.projection import FinalState, MlflowProjection
from study.mlflow.thread import sync
from study.study_file.config import StudyConfig
from study.verify.verify import verify
from trainables.checkpoint import NETWORKS, Checkpoint, CheckpointStore


def ganstudy(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return result.exit_code, result.output


def rows_of(folder: StudyFolder) -> list[Row]:
    with Ledger.open(folder.ledger, schema=folder.name, create=False) as ledger:
        return ledger.read()


def write_checkpoints(folder: StudyFolder) -> None:
    """What each trial's worker would have left."""
    weights = {"weight": torch.zeros(3)}
    for trial in fold(rows_of(folder), live=False).trials:
        store = CheckpointStore(folder.checkpoints(trial.number))
        for report in trial.reports:
            state = dict.fromkeys(NETWORKS, weights) | {"kimg": report.kimg}
            store.save(report.kimg, Checkpoint(state, {**report.metrics, "kimg": report.kimg}))


def project(folder: StudyFolder, finish: FinalState | None = None) -> None:
    with Ledger.open(folder.ledger, schema=folder.name, create=False) as ledger:
        sync(ledger.read, MlflowProjection(None, folder, folder.name), finish)


def begin(root: Path, **changes: Any) -> StudyConfig:
    config = toy_config(storage={"path": str(root)}, **changes)
    config.folder.path.mkdir(parents=True)
    config.folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    open_study(config.folder.ledger, config)
    return config


def problems(folder: StudyFolder) -> dict[str, str]:
    """What verify finds wrong, by check; the command must agree, and name the first."""
    checks = verify(folder)
    found = {check.name: check.problem for check in checks if check.problem}
    code, text = ganstudy("verify", folder.name, "--storage", folder.root)
    assert code == (1 if found else 0), text
    if found:
        assert f"the first discrepancy: {next(iter(found.values()))}" in text
    return found
