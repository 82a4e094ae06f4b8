"""`ganstudy noise` with real processes on a small study of digits: killed, gone on with, extended, verified."""

import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PATIENCE, command, ganstudy

from study.analysis.noise import noise_of
from study.folder import StudyFolder
from study.ledger.catalogue import load_study
from study.ledger.events import EVALUATION, SEED, NoiseMeasured
from study.study_file.seeds import retraining_seed

pytestmark = pytest.mark.slow

STUDY: dict[str, Any] = {
    "name": "noisy",
    "seed": 3,
    "data": {"name": "digits"},
    "space": {"base": "quick", "fix": {"model.name": "mlp"}, "narrow": {"mlp.width": {"low": 128, "high": 192}}},
    "sampler": {"startup_trials": 3},
    "trials": 3,
    "concurrency": 1,
    "schedule": {"grace_kimg": 10, "max_kimg": 10, "report_kimg": 2},
    "evaluation": {"count": 300},
}
MEASURE = ("noise", "noisy", "--evaluations", "2", "--seeds", "2")


def measured(folder: StudyFolder) -> list[NoiseMeasured]:
    return list(noise_of(load_study(folder)).measured)


def kill_at(checkpoint: Path, folder: StudyFolder) -> None:
    """Measure, and kill -9 once that checkpoint is there."""
    line = command(*MEASURE, "--storage", folder.root)
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"no {checkpoint}"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage folder with the study, run to its end."""
    root = tmp_path_factory.mktemp("finished") / "runs"
    file = root.parent / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"storage": {"path": str(root)}}))
    assert "the noise of seeds at 10 kimg is not measured" in ganstudy("launch", file)
    ganstudy("sync", "noisy", "--storage", root)  # a launch waits for MLflow only so long
    return root


@pytest.fixture(scope="module")
def whole(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A copy whose noise was measured in one go."""
    root = tmp_path_factory.mktemp("whole") / "runs"
    shutil.copytree(finished, root)
    text = ganstudy(*MEASURE, "--storage", root)
    assert "fresh latents 2/2" in text
    assert re.search(r"trial +\d+ seed 2/2  completed", text)
    return StudyFolder(root, "noisy")


def test_killed_retrainings_go_on_and_come_out_the_same(whole: StudyFolder, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "runs")
    folder = StudyFolder(tmp_path / "runs", "noisy")
    trial = measured(whole)[0].trial
    for index, kimg in ((1, 4), (2, 2)):
        kill_at(folder.training(trial, index, 10) / "checkpoints" / f"kimg-{kimg:06d}", folder)
        kept = measured(folder)
        assert [m.index for m in kept if m.source == EVALUATION] == [1, 2]
        assert [m.index for m in kept if m.source == SEED] == list(range(1, index)), "killed in the middle of one"
    seconds = json.loads((folder.training(trial, 2, 10) / "checkpoints/kimg-000002/report.json").read_text())[
        "train_seconds"
    ]
    text = ganstudy(*MEASURE, "--storage", folder.root)
    assert "fresh latents 1" not in text
    assert re.search(r"seed 2/2  started again \(attempt \d\) from its last checkpoint", text)
    first = re.search(r"seed 2/2  +(\d+) kimg", text)
    assert first is not None
    assert int(first[1]) >= 2
    second = next(r for r in load_study(folder).retrainings if r.seed == 2)
    assert second.reports[0].metrics["train_seconds"] == seconds, "it goes on from its checkpoint"
    assert measured(folder) == measured(whole)
    assert len({m.fid for m in measured(folder)}) == 4, "fresh each time"


def test_a_retraining_is_what_run_trial_makes_of_its_seed(whole: StudyFolder, tmp_path: Path) -> None:
    first = next(m for m in measured(whole) if m.source == SEED)
    file = tmp_path / "trial.yaml"
    ganstudy("export", "noisy", file, "--trial", str(first.trial), "--storage", whole.root)
    config = yaml.safe_load(file.read_text())["trial"]
    config["seed"] = retraining_seed(3, 1)
    file.write_text(yaml.safe_dump(config))
    text = ganstudy("run-trial", file, "--kimg", "10", "--report-kimg", "2")
    fids = [float(fid) for fid in re.findall(r"FID (\d\S*)", text)]
    assert len(fids) == 5
    assert min(fids) == first.fid


def test_the_ranking_shows_it_verify_accepts_it_and_more_seeds_extend_it(whole: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(whole.root, tmp_path / "runs")
    folder = StudyFolder(tmp_path / "runs", "noisy")
    best = ganstudy("best", "noisy", "--storage", folder.root)
    assert "behind first" in best.splitlines()[0]
    assert "(2 values, trial" in best
    assert "2 evaluations, 2 seeds" in ganstudy("verify", "noisy", "--storage", folder.root)

    text = ganstudy("noise", "noisy", "--evaluations", "0", "--seeds", "3", "--storage", folder.root)
    assert "seed 3/3  completed" in text
    assert "seed 2/3" not in text
    assert measured(folder)[:4] == measured(whole)
    assert [m.index for m in measured(folder)[4:]] == [3]

    # A study goes on after its noise was measured, and all of it still checks.
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"trials": 4, "storage": {"path": str(folder.root)}}))
    assert "4 of 4 trials" in ganstudy("launch", file)
    ganstudy("sync", "noisy", "--storage", folder.root)
    assert "3 seeds" in ganstudy("verify", "noisy", "--storage", folder.root)


def test_confirming_what_noise_trained_only_judges_it(whole: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(whole.root, tmp_path / "runs")
    folder = StudyFolder(tmp_path / "runs", "noisy")
    before = load_study(folder).retrainings
    text = ganstudy("confirm", "noisy", "--top", "1", "--seeds", "2", "--storage", folder.root)
    assert "confirmed best: trial" in text
    after = load_study(folder).retrainings
    assert [(r.id, r.reports) for r in after] == [(r.id, r.reports) for r in before], "nothing was trained"
    assert [(r.attempts, r.test is not None, r.chosen) for r in after] == [(2, True, r.kimg_best) for r in before]
    assert measured(folder) == measured(whole)
    assert "1 plan, 2 retrainings" in ganstudy("verify", "noisy", "--storage", folder.root)
