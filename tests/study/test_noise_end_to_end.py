"""`ganstudy noise` with real processes on a small study of digits: killed, gone on with, extended, verified."""

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

from study.folder import StudyFolder
from study.ledger.events import EVALUATION, SEED, NoiseMeasured
from study.ledger.ledger import Ledger
from study.noise.noise import seed_folder
from trainables.streams import derive_seed

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
    with Ledger.open(folder.ledger, schema=folder.name, create=False) as ledger:
        return [row.event for row in ledger.read() if isinstance(row.event, NoiseMeasured)]


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
    assert "fresh seed 2/2" in text
    return StudyFolder(root, "noisy")


def test_killed_retrainings_go_on_and_come_out_the_same(whole: StudyFolder, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "runs")
    folder = StudyFolder(tmp_path / "runs", "noisy")
    trial = measured(whole)[0].trial
    for index, kimg in ((1, 4), (2, 2)):
        kill_at(seed_folder(folder, trial, index) / "checkpoints" / f"kimg-{kimg:06d}", folder)
        kept = measured(folder)
        assert [m.index for m in kept if m.source == EVALUATION] == [1, 2]
        assert [m.index for m in kept if m.source == SEED] == list(range(1, index)), "killed in the middle of one"
    text = ganstudy(*MEASURE, "--storage", folder.root)
    assert "fresh latents 1" not in text
    begun = re.search(r"fresh seed 2/2  begins at (\d+) of 10 kimg", text)
    assert begun is not None
    assert int(begun[1]) >= 2, "it goes on from its checkpoint"
    assert measured(folder) == measured(whole)
    assert len({m.fid for m in measured(folder)}) == 4, "fresh each time"


def test_a_retraining_is_what_run_trial_makes_of_its_seed(whole: StudyFolder, tmp_path: Path) -> None:
    first = next(m for m in measured(whole) if m.source == SEED)
    file = tmp_path / "trial.yaml"
    ganstudy("export", "noisy", file, "--trial", str(first.trial), "--storage", whole.root)
    config = yaml.safe_load(file.read_text())["trial"]
    config["seed"] = derive_seed(3, "noise", first.trial, 1) % 2**32
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
    assert "fresh seed 3/3" in text
    assert "fresh seed 2/3" not in text
    assert measured(folder)[:4] == measured(whole)
    assert [m.index for m in measured(folder)[4:]] == [3]

    # A study goes on after its noise was measured, and all of it still checks.
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"trials": 4, "storage": {"path": str(folder.root)}}))
    assert "4 of 4 trials" in ganstudy("launch", file)
    ganstudy("sync", "noisy", "--storage", folder.root)
    assert "3 seeds" in ganstudy("verify", "noisy", "--storage", folder.root)
