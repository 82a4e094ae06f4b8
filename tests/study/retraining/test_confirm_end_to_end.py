"""`ganstudy confirm` with real processes on a small study: killed, gone on with, evaluated, exported, verified."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PATIENCE, command, ganstudy

from study.folder import StudyFolder
from study.ledger.catalogue import load_study
from study.ledger.ledger import Ledger
from study.study_file.seeds import retraining_seed
from trainables.data import Split
from trainables.evaluation.prepare import prepare
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session
from trainables.threads import fixed_threads

pytestmark = pytest.mark.slow

STUDY: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "data": {"name": "digits"},
    "space": {"base": "quick", "fix": {"model.name": "mlp"}, "narrow": {"mlp.width": {"low": 128, "high": 192}}},
    "sampler": {"startup_trials": 3},
    "trials": 3,
    "schedule": {"grace_kimg": 6, "max_kimg": 6, "report_kimg": 2},
    "evaluation": {"count": 300},
}
CONFIRM = ("confirm", "small", "--top", "2", "--seeds", "2")


def test_a_killed_confirmation_goes_on_and_comes_out_as_by_hand(tmp_path: Path) -> None:
    root, file = tmp_path / "runs", tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"storage": {"path": str(root)}}))
    assert "ganstudy confirm small" in ganstudy("launch", file)
    folder = StudyFolder(root, "small")
    before = load_study(folder)

    process = subprocess.Popen(command(*CONFIRM, "--storage", root), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE
    while not any(r.reports for r in load_study(folder).confirmation.retrainings):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    acknowledged = {r.id: r.curve for r in load_study(folder).confirmation.retrainings}
    assert any(acknowledged.values())

    result = json.loads(ganstudy(*CONFIRM, "--json", "--storage", root))
    study = load_study(folder)
    assert study.trials == before.trials
    assert study.confirmation.complete
    assert result["winner"] is not None
    for id, curve in acknowledged.items():
        found = study.confirmation.find(id)
        assert found is not None
        assert curve.items() <= found.curve.items()
        assert found.attempts == 2 or found.kimg in curve

    # By hand: train one of them again, take the generator of the lowest validation FID, evaluate it on test images.
    one = study.confirmation.retrainings[0]
    config = TrialConfig.from_dict(study.trials[one.number].config | {"seed": retraining_seed(3, one.seed)})
    prepared = prepare(config.data, config.evaluation)
    test = prepare(config.data, config.evaluation.model_copy(update={"split": Split.TEST}))
    assert (result["fid_fingerprint"], result["test_fingerprint"]) == (prepared.fingerprint, test.fingerprint)
    curve, evaluated = {}, {}
    with fixed_threads(1):
        session = Session(config, prepared)
        for kimg in (2, 4, 6):
            session.train(2)
            curve[kimg] = session.evaluate()["fid"]
            onlooker = Session(config, test)
            onlooker.load_state_dict(session.state_dict())
            evaluated[kimg] = onlooker.evaluate()
    assert one.curve == curve
    assert one.test == evaluated[min(curve, key=lambda kimg: curve[kimg])]

    text = ganstudy("verify", "small", "--storage", root)
    assert "1 plan, 4 retrainings, 12 reports" in text
    exported = ganstudy("export", "small", tmp_path / "best.yaml", "--storage", root)
    assert f"trial {result['winner']} of small" in exported
    assert "confirmed best" in exported
    written = yaml.safe_load(folder.best_file.read_text())["origin"]
    assert (written["trial"], written["confirmation"]["best"]) == (result["winner"], True)
    assert "Confirmed with fresh seeds" in folder.report_file.read_text()

    # A checkpoint that is not the one that was evaluated is found.
    place = folder.training(*one.id) / "checkpoints" / f"kimg-{one.chosen:06d}" / "generator.safetensors"
    place.write_bytes(place.read_bytes()[:-1] + b"\0\0")
    done = subprocess.run(command("verify", "small", "--storage", root), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(place.parent) in done.stdout.replace("\n", "")
    with Ledger.open(folder.ledger, schema="small", create=False) as ledger:
        assert ledger.owner() is not None
