"""What `ganstudy noise` refuses, each in one line and before any training; and what `verify` says of its rows."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
import torch
from test_noise import TRIALS, completed, seeds, write_study
from toys import drive, toy_config

from study.cli import app, main
from study.ledger.events import AttemptStarted, Ended, Event, NoiseMeasured
from study.ledger.ledger import Ledger, Row
from study.ledger.older import seed_folder
from study.retraining.noise import on_device
from study.study_file.config import StudyConfig
from study.verify.check import Discrepancy
from study.verify.decisions import Replay
from study.verify.retrainings import check_noise
from trainables.checkpoint import NETWORKS, Checkpoint, CheckpointStore
from trainables.errors import CorruptFile

MEASURE = ("noise", "toy")


def refused(
    root: Path, *arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["ganstudy", *arguments, "--storage", str(root)])
    with pytest.raises(SystemExit) as left:
        main()
    text = capsys.readouterr().err
    assert len(text.strip().splitlines()) == 1, text
    return int(left.value.code or 0), text


def stored(config: StudyConfig) -> list[Row]:
    with Ledger.open(config.folder.ledger, schema="toy", create=False) as ledger:
        return ledger.read()


def append(config: StudyConfig, *events: Event) -> None:
    with Ledger.open(config.folder.ledger, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        writer.append(*events)


def rows(config: StudyConfig) -> list[Event]:
    return [row.event for row in stored(config)]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--seeds", "1"), 2, "--seeds 1: a standard deviation needs at least 2"),
        (("--evaluations", "1"), 2, "--evaluations 1: a standard deviation needs at least 2"),
        (("--seeds", "-3"), 2, "--seeds -3"),
        (("--seeds", "0", "--evaluations", "0"), 2, "measures nothing"),
        (("--trial", "9"), 2, "--trial 9: the study has trials 0 to 3"),
        (("--device", "tpu"), 2, "--device 'tpu': use cpu"),
        ((), 1, "checkpoint of trial 0's best FID is gone"),
        (("--evaluations", "0"), 2, "the study began with fingerprint"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_nothing_is_written(
    tmp_path: Path,
    options: tuple[str, ...],
    code: int,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = write_study(tmp_path, *TRIALS)
    before = rows(config)
    found, text = refused(tmp_path, *MEASURE, *options, capsys=capsys, monkeypatch=monkeypatch)
    assert (found, says in text) == (code, True), text
    assert rows(config) == before
    assert not (config.folder.path / "confirm").exists()


@pytest.mark.parametrize(
    ("gpus", "device", "expected"), [(0, "cuda", 1), (0.5, "cuda", 0.5), ("auto", "cpu", 0), ("auto", None, "auto")]
)
def test_fresh_seeds_train_on_the_device_that_is_named(gpus: object, device: str | None, expected: object) -> None:
    assert on_device(toy_config(resources={"gpus": gpus}), device).resources.gpus == expected


DIVERGED = (*completed(0, 20.0)[:3], Ended(0, 1, 9, "diverged", None, "Diverged: loss_d"))


@pytest.mark.parametrize(
    ("events", "options", "says"),
    [
        ((), (), "no trial of toy can be ranked yet"),
        (completed(0, 20.0)[:2], ("--trial", "0"), "trial 0 has not reported"),
        (DIVERGED, ("--trial", "0"), "trial 0 diverged: it has no rank"),
        (DIVERGED, (), "no trial of toy can be ranked yet"),
    ],
)
def test_a_trial_without_a_rank_is_refused(
    tmp_path: Path,
    events: tuple[Event, ...],
    options: tuple[str, ...],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_study(tmp_path, *events)
    code, text = refused(tmp_path, *MEASURE, *options, capsys=capsys, monkeypatch=monkeypatch)
    assert (code, says in text) == (1, True), text


def test_no_such_study(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = refused(tmp_path, "noise", "nowhere", capsys=capsys, monkeypatch=monkeypatch)
    assert (code, "no study 'nowhere'" in text) == (2, True)


def test_a_live_driver_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_study(tmp_path, *TRIALS)
    with Ledger.open(config.folder.ledger, schema="toy", create=False) as ledger, ledger.own("host", os.getpid()):
        code, text = refused(tmp_path, *MEASURE, capsys=capsys, monkeypatch=monkeypatch)
    assert (code, f"toy is being run by process {os.getpid()}" in text) == (1, True), text


def checkpoint(path: Path, kimg: int, fid: float, fid_best: float) -> None:
    state = {name: {"weight": torch.zeros(3)} for name in NETWORKS} | {"kimg": kimg}
    CheckpointStore(path / "checkpoints").save(
        kimg, Checkpoint(state, {"kimg": kimg, "fid": fid, "fid_best": fid_best})
    )


def test_a_checkpoint_that_is_not_the_ledgers_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The FIDs of another data set would come out anyhow: it is the first thing that is compared after the data."""
    config = write_study(tmp_path, *TRIALS)
    monkeypatch.setattr(
        "study.retraining.noise.prepare", lambda *_, **more: type("Known", (), {"fingerprint": "fingerprint"})
    )
    checkpoint(config.folder.trial(0), 9, 20.5, 20.5)
    code, text = refused(tmp_path, *MEASURE, capsys=capsys, monkeypatch=monkeypatch)
    assert (code, "its FID is 20.5, in the ledger 20.0" in text) == (1, True), text


# ------------------------------------------------------------------------------------------------------------ verify


def checked(config: StudyConfig) -> tuple[Counter[str], str | None]:
    counts = Counter[str]()
    return counts, check_noise(config.folder, stored(config), False, counts)


def test_verify_compares_the_retrainings_on_disk(tmp_path: Path) -> None:
    latents = NoiseMeasured(0, 9, "evaluation", 1, 20.5, None)
    config = write_study(tmp_path, *TRIALS, latents, *seeds(0, 9, [21.0, None, 23.0]))
    place = seed_folder(config.folder, 0, 1)
    assert place == config.folder.path / "noise" / "trial-0000" / "seed-1"
    checkpoint(place, 9, fid=25.0, fid_best=21.0)
    counts, note = checked(config)
    assert counts == {"evaluations": 1, "seeds": 3}
    assert note is not None
    assert note.startswith("2 of the seeds")

    checkpoint(seed_folder(config.folder, 0, 3), 9, fid=23.0, fid_best=22.0)
    with pytest.raises(Discrepancy, match=r"seed-3.*fid_best is 22\.0, in the ledger 23\.0"):
        checked(config)

    report = place / "checkpoints" / "kimg-000009" / "report.json"
    report.write_text(json.dumps({"kimg": 9, "fid": 25.0, "fid_best": 21.5}))
    with pytest.raises(CorruptFile, match=r"seed-1.*report\.json is not what was written"):
        checked(config)


@pytest.mark.parametrize("source", ["evaluation", "seed"])
def test_the_replay_knows_at_which_budget_noise_is_measured(tmp_path: Path, source: str) -> None:
    """Of latents where the FID is best, of seeds at the end: a row at another report of the trial is not possible."""
    config = write_study(tmp_path)
    study = drive(config.folder.ledger, config)
    trial = next(t for t in study.trials if t.state == "completed" and len(t.curve) > 1)
    right = {"evaluation": trial.kimg_best, "seed": trial.kimg}[source]
    wrong = next(kimg for kimg in trial.curve if kimg != right)
    assert right is not None
    append(config, NoiseMeasured(trial.number, right, source, 1, 5.0, None))
    Replay(config.folder, Counter()).take(stored(config))
    append(config, NoiseMeasured(trial.number, wrong, source, 1, 5.0, None))
    with pytest.raises(Discrepancy, match=rf"of {wrong} kimg; the trial's {source} was to be measured at {right}"):
        Replay(config.folder, Counter()).take(stored(config))


def test_the_command_is_in_the_help() -> None:
    from typer.testing import CliRunner

    assert "fresh seeds" in CliRunner().invoke(app, ["noise", "--help"]).output


def test_an_interrupted_trial_can_be_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ranks by what it reported; it gets as far as the data here."""
    trial = completed(0, 20.0)[:3]
    assert isinstance(trial[1], AttemptStarted)
    write_study(tmp_path, *trial)
    code, text = refused(tmp_path, *MEASURE, "--evaluations", "0", capsys=capsys, monkeypatch=monkeypatch)
    assert (code, "FID fingerprint" in text) == (2, True)
