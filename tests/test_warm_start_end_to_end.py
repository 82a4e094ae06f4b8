"""A study that begins with another's results, with real processes: killed, and without that other study, it goes on."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PATIENCE, command, ganstudy

from study.running.sampling import Sampling
from study.study_file.config import read_study

pytestmark = pytest.mark.slow

STUDY: dict[str, Any] = {
    "seed": 3,
    "data": {"name": "digits"},
    "space": {
        "base": "quick",
        "baselines": False,
        "fix": {"model.name": "mlp", "batch_size": 32},
        "narrow": {"mlp.width": {"low": 128, "high": 192}},
    },
    "sampler": {"startup_trials": 4},
    "trials": 4,
    "concurrency": 1,
    "schedule": {"grace_kimg": 1, "max_kimg": 3, "reduction_factor": 3},
    "evaluation": {"count": 200},
}


def written(folder: Path, name: str, **changes: Any) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"name": name, "storage": {"path": str(folder / "runs")}} | changes))
    return file


def trials(folder: Path, name: str) -> list[dict[str, Any]]:
    text = ganstudy("status", name, "--storage", folder / "runs", "--json")
    found: list[dict[str, Any]] = json.loads(text)
    return found


def reports(folder: Path, name: str) -> int:
    try:
        with sqlite3.connect(f"file:{folder}/runs/{name}/ledger.db?mode=ro", uri=True, timeout=30) as ledger:
            return int(ledger.execute("SELECT count(*) FROM events WHERE kind = 'reported'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The studies `a`, and `b` that began with it, in one storage folder."""
    folder = tmp_path_factory.mktemp("both")
    ganstudy("launch", written(folder, "a"))
    text = ganstudy("launch", written(folder, "b", warm_start=["a"], seed=4))
    assert "warm start: 4 of 4 finished trials of a" in text
    return folder


def test_the_sampler_knows_more_than_chance_and_the_study_shows_only_its_own(both: Path) -> None:
    found = trials(both, "b")
    assert [trial["trial"] for trial in found] == [0, 1, 2, 3]
    config = read_study(both / "b.yaml")
    space = config.space.resolve()
    cold = Sampling(space, "tpe", config.seed, config.sampler.startup_trials, ceiling=0.0)
    for trial in found:  # four startup trials: a cold study would draw all of them
        drawn = space.build(cold.propose(trial["trial"]).params, data={"name": "digits"}, evaluation={}, seed=0)
        assert drawn.to_dict()["generator_optimiser"] != trial["config"]["generator_optimiser"]
    assert "earlier trials" in ganstudy("verify", "b", "--storage", both / "runs")
    assert "began with 4 of 4 finished trials of a" in (both / "runs/b/report.html").read_text()
    check_mlflow(both)


def check_mlflow(folder: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/runs/b/mlflow.db")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert (len(runs), len(parents)) == (5, 1)
    assert parents[0].data.tags["ganstudy.warm_start.a"] == "4 of 4 trials"


def test_killed_and_without_the_earlier_study_it_goes_on_to_the_same(both: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    shutil.copytree(both / "runs/a", tmp_path / "runs/a")
    file = written(tmp_path, "b", warm_start=["a"], seed=4)
    driver = subprocess.Popen(command("launch", file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while reports(tmp_path, "b") < 2:
        assert driver.poll() is None
        assert time.monotonic() < deadline, "no reports"
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    shutil.rmtree(tmp_path / "runs/a")
    ganstudy("launch", file)
    assert trials(tmp_path, "b") == trials(both, "b")


def test_another_number_of_images_is_another_fid(both: Path) -> None:
    text = ganstudy("launch", written(both, "c", warm_start=["a"], evaluation={"count": 300}), code=2)
    assert "warm_start a: its FIDs have fingerprint" in " ".join(text.split())
    assert not (both / "runs/c/ledger.db").exists()
