"""`ganstudy train --devices 2`: real processes under Ray Train, joined by gloo, against one; and over deaths.

That two processes train as one is held row by row, in float64, by tests/trainables/test_world.py; here it is the
product's own float32, whose rounding differs with the order of sums and grows from step to step.
"""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import yaml
from command_line import command
from rich.console import Console

from study.cli import main
from study.cores import usable_cores
from study.production.train import Order, train
from trainables.checkpoint import CheckpointStore, read_checkpoint

TRIAL: dict[str, Any] = {
    "data": {"name": "digits"},
    "model": {"name": "mlp", "width": 24},
    "normalisation": "layer",
    "latent": {"name": "normal", "dimension": 8},
    "loss": "nonsaturating",  # a relativistic one gives the last bias no gradient but rounding: Adam moves it by that
    "penalty": {"name": "gradient_penalty", "weight": 1},
    "batch_size": 64,
    "ema_kimg": 1,
    "seed": 5,
    "evaluation": {"count": 300},
}
TIMES = {"images_per_second", "train_seconds", "eval_seconds", "written_at"}
TOLERANCE = 1e-4
"""Relative, of every number in a report after 4 kimg: 63 steps of float32."""


def exported(folder: Path, **origin: Any) -> Path:
    file = folder / "best.yaml"
    file.write_text(yaml.safe_dump({"trial": TRIAL, "origin": {"report_kimg": 2, "threads": 1} | origin}))
    return file


def reports(folder: Path) -> list[dict[str, float]]:
    """Without what the machine's speed decides; none before the first."""
    file = folder / "metrics.json"
    found = json.loads(file.read_text())["reports"] if file.exists() else []
    return [{name: value for name, value in report.items() if name not in TIMES} for report in found]


@pytest.mark.parametrize(
    ("devices", "threads", "says"),
    [
        (0, 1, "--devices 0: each takes an equal part of batch_size 64; use one of 1, 2, 4, 8, 16, 32, 64"),
        (3, 1, "--devices 3: each takes an equal part"),
        (2, 4096, r"--devices 2: this machine has \d+ core\(s\) for 4096 thread\(s\) each; use at most 1"),
    ],
)
def test_devices_that_cannot_be_are_refused(
    devices: int,
    threads: int,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = exported(tmp_path, threads=threads)
    words = ["ganstudy", "train", str(file), "--kimg", "4", "--device", "cpu", "--devices", str(devices)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert re.search(says, capsys.readouterr().err)
    assert [found.name for found in tmp_path.iterdir()] == ["best.yaml"]


def start(file: Path, kimg: int, out: Path) -> "subprocess.Popen[str]":
    line = command("train", file, "--kimg", str(kimg), "--device", "cpu", "--devices", "2", "--out", out)
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(driver: "subprocess.Popen[str]") -> str:
    output, _ = driver.communicate(timeout=500)
    return output


def wait_for_reports(folder: Path, count: int, driver: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 400
    while len(reports(folder)) < count:
        assert time.monotonic() < deadline, "no reports"
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_two_devices_train_as_one_and_go_on_over_deaths_with_the_same_numbers(tmp_path: Path) -> None:
    file = exported(tmp_path)
    one, two, killed = (tmp_path / name for name in ("one", "two", "killed"))
    train(Order(file, 4, one, device="cpu"), Console(quiet=True))

    driver = start(file, 16, two)
    output = ended(driver)
    assert driver.returncode == 0, output
    assert output.startswith("2 devices, each with 32 images of every batch of 64\n")
    assert [report["kimg"] for report in reports(two)] == list(range(2, 18, 2))
    for alone, together in zip(reports(one), reports(two), strict=False):
        assert together == pytest.approx(alone, rel=TOLERANCE)
    assert {found.name for found in one.iterdir()} == {found.name for found in two.iterdir()}
    assert (two / "config.yaml").read_bytes() == (one / "config.yaml").read_bytes()

    driver = start(file, 16, killed)
    wait_for_reports(killed, 1, driver)
    names = {child: " ".join(child.cmdline()) for child in psutil.Process(driver.pid).children(recursive=True)}
    workers = [child for child, name in names.items() if "RayTrainWorker" in name]
    assert len(workers) == 2
    workers[1].kill()  # Ray Train starts both again
    wait_for_reports(killed, 3, driver)
    driver.send_signal(signal.SIGINT)
    output = ended(driver)
    assert driver.returncode == 130, output
    assert "all restart from the last report" in output
    assert "interrupted; the same command goes on" in output
    assert "Traceback" not in output
    driver = start(file, 16, killed)
    output = ended(driver)
    assert driver.returncode == 0, output
    assert "resumes at" in output
    assert reports(killed) == reports(two)
    for name in ("generator.safetensors", "samples.png"):
        assert (killed / name).read_bytes() == (two / name).read_bytes()
    last = [read_checkpoint(CheckpointStore(f / "training" / "checkpoints").path(16)).state for f in (two, killed)]
    for name, value in last[0]["discriminator"].items():
        assert torch.equal(value, last[1]["discriminator"][name])


@pytest.mark.slow
@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_a_divergence_on_two_devices_is_told_in_one_line(tmp_path: Path) -> None:
    file = exported(tmp_path)
    wild = TRIAL | {"penalty": {"name": "none"}, "loss": "wasserstein"}
    wild |= {"discriminator_optimiser": {"name": "sgd", "lr": 10}, "normalisation": "none"}
    file.write_text(yaml.safe_dump({"trial": wild, "origin": {"report_kimg": 2}}))
    driver = start(file, 8, tmp_path / "wild")
    output = ended(driver)
    assert driver.returncode == 1, output
    assert re.search(r"^ganstudy: the training diverged: \w+ became non-finite by \d kimg", output, re.MULTILINE)
    assert "Traceback" not in output


def test_the_cause_of_a_lost_process_is_one_line() -> None:
    from ray.train import WorkerGroupError

    from study.production.parallel import _cause

    lost = RuntimeError("[enforce fail]\n  Connection closed by peer [127.0.0.1]\n")
    expected = "RuntimeError: Connection closed by peer [127.0.0.1]"
    assert _cause(WorkerGroupError("long", {1: lost, 3: ValueError("later")})) == expected
