"""A training that is interrupted, fails or diverges: how its run stands in MLflow; SIGTERM to real commands."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PATIENCE, command
from rich.console import Console

from study.production.recorder import EXPERIMENT
from study.production.train import Order, train
from trainables.checkpoint import Checkpoint, CheckpointStore
from trainables.errors import Diverged
from trainables.gan.session import Session

TRIAL: dict[str, Any] = {
    "data": {"name": "digits"},
    "model": {"name": "mlp", "width": 24},
    "latent": {"name": "normal", "dimension": 8},
    "batch_size": 64,
    "ema_kimg": 1,
    "seed": 5,
    "evaluation": {"count": 300},
}


def exported(folder: Path) -> Path:
    file = folder / "best.yaml"
    file.write_text(yaml.safe_dump({"trial": TRIAL, "origin": {"report_kimg": 2, "threads": 1}}))
    return file


def stands(uri: str) -> tuple[str, dict[str, float], set[str]]:
    """The run's status, last metrics and artifacts."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    return found.info.status, found.data.metrics, {item.path for item in client.list_artifacts(found.info.run_id)}


@pytest.mark.parametrize(
    ("error", "status"),
    [(KeyboardInterrupt(), "KILLED"), (RuntimeError("of torch"), "FAILED")],
    ids=["interrupted", "failed"],
)
def test_a_training_that_ends_early_leaves_no_run_running(
    error: BaseException, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = CheckpointStore.save

    def save(self: CheckpointStore, kimg: int, checkpoint: Checkpoint) -> None:
        if kimg == 4:
            raise error
        saved(self, kimg, checkpoint)

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    order = Order(exported(tmp_path), 6, device="cpu", mlflow=uri)
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save", save)
        with pytest.raises(type(error)):
            train(order, Console(quiet=True))
    found, metrics, files = stands(uri)
    assert (found, metrics["kimg"]) == (status, 2)
    assert "generator.safetensors" not in files
    train(order, Console(quiet=True))
    found, metrics, files = stands(uri)
    assert (found, metrics["kimg"]) == ("FINISHED", 6)
    assert "generator.safetensors" in files


def test_a_diverged_training_is_failed_with_its_best_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = Session.train

    def wild(self: Session, kimg: int) -> Any:
        if self.kimg >= 2:
            raise Diverged("loss_d became non-finite by 3 kimg")
        return trained(self, kimg)

    monkeypatch.setattr(Session, "train", wild)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(Diverged, match="the generator of 2 kimg is kept"):
        train(Order(exported(tmp_path), 6, device="cpu", mlflow=uri), Console(quiet=True))
    found, metrics, files = stands(uri)
    assert (found, metrics["kimg"]) == ("FAILED", 2)
    assert "generator.safetensors" in files


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "run-trial"])
def test_sigterm_ends_a_command_as_ctrl_c_does(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = command(name, exported(tmp_path), "--kimg", "2000", "--device", "cpu", "--out", out)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE
    while not [*out.rglob("kimg-*")]:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.terminate()
    said, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert errors == "ganstudy: interrupted\n"
    if name == "train":
        assert "interrupted; the same command goes on from its last report" in said
