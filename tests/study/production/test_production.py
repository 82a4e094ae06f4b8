"""`ganstudy train`, `sample` and `evaluate` in one process, on the digits."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command_line import command, ganstudy
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import CliRunner

from study.analysis.export import read_export
from study.cli import app, main
from study.production import plan as production_plan
from study.production import recorder as production_mlflow
from study.production.folder import ProductionFolder
from study.production.train import Order, train
from trainables.checkpoint import Checkpoint, CheckpointStore
from trainables.errors import Diverged, GanStudyError, InvalidInput
from trainables.evaluation.prepare import prepare
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session
from trainables.generator import Generator
from trainables.threads import fixed_threads

TRIAL: dict[str, Any] = {
    "data": {"name": "digits"},
    "model": {"name": "mlp", "width": 24},
    "latent": {"name": "normal", "dimension": 8},
    "batch_size": 64,
    "ema_kimg": 1,
    "seed": 5,
    "evaluation": {"count": 300, "metrics": ["kid"]},
}
RESULTS = ("generator.safetensors", "config.yaml", "metrics.json", "README.md", "samples.png")
TIMES = {"images_per_second", "train_seconds", "eval_seconds", "written_at"}

runner = CliRunner()


def exported(folder: Path, name: str = "best.yaml", **origin: Any) -> Path:
    """A file as from `ganstudy export`."""
    known = {"study": "tiny", "study_uid": "uid", "trial": 3, "report_kimg": 2, "threads": 1, "by_hand": "kept"}
    file = folder / name
    file.write_text(yaml.safe_dump({"trial": TRIAL, "origin": known | origin}))
    return file


def run(file: Path, kimg: int = 6, **changes: Any) -> Path:
    """Train; return the folder."""
    order = Order(file, kimg, **{"device": "cpu"} | changes)
    train(order, Console(quiet=True))
    return order.out or file.with_suffix("")


def measured(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return data


def reports(folder: Path) -> list[dict[str, float]]:
    """Without what the machine's speed decides."""
    return [{k: v for k, v in report.items() if k not in TIMES} for report in measured(folder)["reports"]]


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    monkeypatch.setattr(sys, "argv", ["ganstudy", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    text = capsys.readouterr().err
    assert left.value.code == 2
    assert len(text.strip().splitlines()) == 1
    return text


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of 6 kimg in one go."""
    return run(exported(tmp_path_factory.mktemp("whole")))


# ---------------------------------------------------------------------------------------------------------- train


def test_a_training_leaves_all_that_is_promised(whole: Path) -> None:
    assert {found.name for found in whole.iterdir()} == {*RESULTS, "training", ".lock"}
    assert [report["kimg"] for report in reports(whole)] == [2, 4, 6]
    found = measured(whole)
    best = min(found["reports"], key=lambda report: report["fid"])
    assert found["generator"] == {"chosen": "best FID"} | {k: best[k] for k in ("kimg", "fid", "kid", "kid_std")}
    assert found["test"].keys() == {"fid", "kid", "kid_std", "fid_fingerprint"}
    assert found["test"]["fid_fingerprint"] != found["fid_fingerprint"]
    again = read_export(whole / "config.yaml")
    assert TrialConfig.from_dict(again.trial) == TrialConfig.from_dict(TRIAL)
    assert again.origin is not None
    assert (again.origin.study, again.origin.trial, again.origin.report_kimg) == ("tiny", 3, 2)
    assert again.origin.model_extra == {"by_hand": "kept"}


def test_the_generator_is_the_judged_one_of_the_best_checkpoint(whole: Path) -> None:
    generator = Generator.read(whole)
    kimg = min(reports(whole), key=lambda report: report["fid"])["kimg"]
    assert generator.facts.kimg == kimg
    folder = CheckpointStore(whole / "training" / "checkpoints").path(int(kimg))
    expected = load_file(folder / "ema.safetensors")
    for name, value in generator.network.state_dict().items():
        assert torch.equal(value, expected[name])


def test_it_is_the_same_training_as_the_trials(whole: Path, tmp_path: Path) -> None:
    config = TrialConfig.from_dict(TRIAL)
    with fixed_threads(1):
        session = Session(config, prepare(config.data, config.evaluation))
        fids = []
        for _ in range(3):
            session.train(2)
            fids.append(session.evaluate()["fid"])
    assert [report["fid"] for report in reports(whole)] == fids


def test_other_reports_do_not_change_what_is_trained(whole: Path, tmp_path: Path) -> None:
    other = run(exported(tmp_path), report_kimg=4)
    assert [report["kimg"] for report in reports(other)] == [4, 6]
    known = {report["kimg"]: report["fid"] for report in reports(whole)}
    assert [report["fid"] for report in reports(other)] == [known[4], known[6]]


def test_a_longer_training_goes_on_from_a_shorter_one(whole: Path, tmp_path: Path) -> None:
    file = exported(tmp_path)
    for kimg in (2, 4, 6):
        folder = run(file, kimg)
        assert measured(folder)["generator"] is not None
    assert reports(folder) == reports(whole)
    for name in ("generator.safetensors", "samples.png", "config.yaml"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_a_training_that_dies_after_its_checkpoint_tells_that_report_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        pass

    def die(*arguments: Any) -> None:
        raise Death

    file = exported(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ProductionFolder, "write_measured", die)
        with pytest.raises(Death):
            run(file)
    folder = run(file)
    assert reports(folder) == reports(whole)
    assert (folder / "generator.safetensors").read_bytes() == (whole / "generator.safetensors").read_bytes()


def test_a_damaged_checkpoint_costs_one_report(whole: Path, tmp_path: Path) -> None:
    file = exported(tmp_path)
    folder = run(file, 4)
    store = CheckpointStore(folder / "training" / "checkpoints")
    (store.path(4) / "state.pt").write_bytes(b"")
    run(file)
    assert reports(folder) == reports(whole)


def test_a_finished_training_started_again_trains_nothing_and_can_take_the_last(whole: Path, tmp_path: Path) -> None:
    file = exported(tmp_path)
    folder = run(file)
    before = measured(folder)
    assert measured(run(file)) == before
    run(file, last=True)
    after = measured(folder)
    assert after["reports"] == before["reports"]
    assert (after["generator"]["kimg"], after["generator"]["chosen"]) == (6, "last")
    assert Generator.read(folder).facts.fid == after["reports"][-1]["fid"]


def test_the_exported_seed_repeats_the_study_and_another_trains_afresh(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measured(whole)
    fids = {int(report["kimg"]): report["fid"] for report in found["reports"][:2]}
    fids[4] += 1e-9
    file = exported(tmp_path, fids=fids, fid_fingerprint=found["fid_fingerprint"])
    lines = runner.invoke(app, ["train", str(file), "--kimg", "4", "--device", "cpu"]).output.splitlines()
    assert "the same as in the study" in lines[0]
    assert f"{fids[4]:.2f} in the study" in lines[1]
    text = runner.invoke(app, ["train", str(file), "--kimg", "4", "--device", "cpu", "--seed", "6"]).output
    assert "in the study" not in text
    other = tmp_path / "best-seed-6"
    assert Generator.read(other).facts.trial.seed == 6
    assert reports(other) != reports(whole)[:2]
    known = read_export(other / "config.yaml").origin
    assert known is not None
    assert known.fids == {}


def test_a_diverged_training_keeps_the_best_until_then(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Session.train

    def break_late(self: Session, kimg: int) -> Any:
        if self.kimg >= 4:
            raise Diverged("loss_d became non-finite by 5 kimg")
        return trained(self, kimg)

    monkeypatch.setattr(Session, "train", break_late)
    with pytest.raises(Diverged, match=r"loss_d became non-finite by 5 kimg; the generator of \d kimg is kept"):
        run(exported(tmp_path))
    assert {found.name for found in (tmp_path / "best").iterdir()} == {*RESULTS, "training", ".lock"}
    assert reports(tmp_path / "best") == reports(whole)[:2]

    def break_at_once(self: Session, kimg: int) -> None:
        raise Diverged("loss_d became non-finite by 1 kimg")

    monkeypatch.setattr(Session, "train", break_at_once)
    with pytest.raises(Diverged, match=r"by 1 kimg$"):
        run(exported(tmp_path, "early.yaml"))
    assert {found.name for found in (tmp_path / "early").iterdir()} == {"config.yaml", "training", ".lock"}


def test_a_schedule_nobody_chose_has_about_fifty_reports() -> None:
    for kimg in (1, 7, 50, 51, 999, 5000):
        for study in (1, 3, 20):
            every = production_plan._schedule(kimg, study)
            assert every % study == 0
            assert kimg / every <= 50
            assert every == study or kimg / (every - study) > 50


def test_the_model_card_tells_what_the_generator_is(whole: Path) -> None:
    text, found = (whole / "README.md").read_text(), measured(whole)
    for fact in (
        "digits",
        "CC BY 4.0",
        found["fid_fingerprint"],
        found["test"]["fid_fingerprint"],
        "trial 3 of the study `tiny` (`uid`)",
        f"{found['generator']['fid']:.4g} | {found['test']['fid']:.4g}",
        "![samples.png](samples.png)",
        "ganstudy sample . -n 64",
    ):
        assert fact in text
    assert "--class" not in text
    (config,) = [part.split("```")[0] for part in text.split("```yaml\n")[1:]]
    assert TrialConfig.from_yaml(config) == TrialConfig.from_dict(TRIAL)


def test_the_commands_of_the_model_card_work(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (whole / "README.md").read_text()
    monkeypatch.chdir(whole)
    commands = [line.split("#")[0].split()[1:] for line in text.splitlines() if line.startswith("ganstudy ")]
    assert [words[0] for words in commands] == ["sample", "sample", "sample", "evaluate", "export-onnx", "train"]
    for words in commands:
        moved = [
            str(tmp_path / word) if word.endswith((".png", ".npz", ".onnx", "elsewhere")) else word for word in words
        ]
        result = runner.invoke(app, moved, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    python = text.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(python, names)
    assert names["images"].shape == (64, 1, 8, 8)


def test_a_full_disk_is_told_and_the_same_command_goes_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = CheckpointStore.save

    def full(self: CheckpointStore, kimg: int, checkpoint: Checkpoint) -> None:
        if kimg == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        saved(self, kimg, checkpoint)

    file = exported(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save", full)
        with pytest.raises(GanStudyError, match="the disk is full; make room"):
            run(file)
    folder = run(file)
    assert reports(folder) == reports(whole)
    assert (folder / "generator.safetensors").read_bytes() == (whole / "generator.safetensors").read_bytes()


# ------------------------------------------------------------------------------------------------ train, refused


def test_one_folder_is_one_process_s_and_one_configuration_s(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    file = exported(tmp_path)
    held = ProductionFolder(whole).claim(TrialConfig.from_dict(TRIAL).to_dict(), {})
    with held, pytest.raises(GanStudyError, match="another process trains there"):
        run(file, out=whole)
    for arguments, says in (
        (["--kimg", 6, "--seed", 9, "--out", whole], "of another configuration"),
        (["--kimg", 4, "--out", whole], "--kimg 4: .* is already at 6 kimg"),
        (["--kimg", 6, "--out", file], "cannot be"),
        (["--kimg", 6, "--out", tmp_path / ("a" * 300)], "cannot be written"),
        (["--kimg", 6, "--out", tmp_path], "holds other files"),
        (["--kimg", 6, "--device", "tpu"], "--device 'tpu': use cpu"),
        (["--kimg", 6, "--seed", 2**63], "seed"),
        (["--kimg", 6, "--mlflow", "ftp://nowhere"], "is not supported"),
        (["--kimg", 6, "--mlflow", f"sqlite:///{tmp_path}/no/x.db"], "there is no folder"),
    ):
        text = refused(capsys, monkeypatch, "train", file, *map(str, arguments))
        assert re.search(says, text), text
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
    assert [found.name for found in tmp_path.iterdir()] == ["best.yaml"]


def test_a_training_of_an_older_ganstudy_is_gone_on_with_and_what_is_none_is_refused(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = exported(tmp_path), tmp_path / "older"
    shutil.copytree(whole, folder)
    written = yaml.safe_load((folder / "config.yaml").read_text())
    del written["trial"]["evaluation"]["precision"]
    (folder / "config.yaml").write_text(yaml.safe_dump(written))
    assert reports(run(file, 6, out=folder)) == reports(whole)
    for trial, says in (
        ({"loss": "hing"}, "is not a training that can be resumed"),
        (None, "expected keys and values"),
    ):
        (folder / "config.yaml").write_text(yaml.safe_dump({"trial": trial}))
        text = refused(capsys, monkeypatch, "train", file, "--kimg", "6", "--out", folder)
        assert says in text
        assert "choose another folder" in text


def test_devices_are_counted_where_the_system_tells_no_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported(tmp_path)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert production_plan.make_plan(Order(file, 6, device="cpu", devices=2)).order.devices == 2
    with pytest.raises(InvalidInput, match=r"--devices 4: this machine has 3 core\(s\).*use at most 3"):
        production_plan.make_plan(Order(file, 6, device="cpu", devices=4))


def test_a_bad_configuration_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cannot be read" in refused(capsys, monkeypatch, "train", tmp_path / "nowhere.yaml", "--kimg", "1")
    file = tmp_path / "best.yaml"
    file.write_text(yaml.safe_dump({"trial": TRIAL | {"loss": "hing"}}))
    assert "loss = 'hing'" in refused(capsys, monkeypatch, "train", file, "--kimg", "1")
    assert [found.name for found in tmp_path.iterdir()] == ["best.yaml"]


def test_data_that_has_changed_is_noticed(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported(tmp_path)
    folder = run(file, 2)
    found = measured(folder)
    (folder / "metrics.json").write_text(json.dumps(found | {"fid_fingerprint": "other"}))
    assert "bring back the data" in refused(capsys, monkeypatch, "train", file, "--kimg", "4", "--device", "cpu")
    (folder / "metrics.json").write_text("{")
    assert "metrics.json: damaged" in refused(capsys, monkeypatch, "train", file, "--kimg", "4", "--device", "cpu")


# -------------------------------------------------------------------------------------------- sample and evaluate


def test_sample_draws_the_model_cards_picture_by_default(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "samples.png: 64 images" in runner.invoke(app, ["sample", str(whole), "--device", "cpu"]).output
    assert (tmp_path / "samples.png").read_bytes() == (whole / "samples.png").read_bytes()
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.size == ((8 * 9 + 1) * 7,) * 2


def test_sample_writes_arrays_that_are_the_generators(whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "images.npz"
    words = ["sample", str(whole), "-n", "70", "--seed", "3", "--npz", str(file), "--device", "cpu"]
    assert runner.invoke(app, words, catch_exceptions=False).exit_code == 0
    assert [found.name for found in tmp_path.iterdir()] == ["images.npz"]
    with np.load(file, allow_pickle=False) as arrays:
        assert set(arrays) == {"images"}
        np.testing.assert_array_equal(arrays["images"], Generator.read(whole).sample(70, 3).images.numpy())
    first = file.read_bytes()
    runner.invoke(app, words, catch_exceptions=False)
    assert file.read_bytes() == first


def test_a_strip_is_one_row(whole: Path, tmp_path: Path) -> None:
    file = tmp_path / "strip.png"
    runner.invoke(app, ["sample", str(whole), "--interpolate", "--out", str(file)], catch_exceptions=False)
    with Image.open(file) as picture:
        assert picture.size == ((8 * 9 + 1) * 7, 10 * 7)


def test_evaluate_repeats_the_reports_and_the_cards_numbers(whole: Path) -> None:
    found = measured(whole)
    for split, expected in ((None, found["generator"]), ("validation", found["generator"]), ("test", found["test"])):
        words = ["evaluate", str(whole), "--json", "--device", "cpu", *(["--split", split] if split else [])]
        shown = json.loads(runner.invoke(app, words, catch_exceptions=False).output)
        assert shown["metrics"] == {key: expected[key] for key in ("fid", "kid", "kid_std")}
        assert shown["split"] == (split or "validation")
        other = found["test"]["fid_fingerprint"] if split == "test" else found["fid_fingerprint"]
        assert shown["fid_fingerprint"] == other
    text = runner.invoke(app, ["evaluate", str(whole), "--device", "cpu"]).output
    assert f"{found['generator']['fid']:.6g}" in text
    assert found["fid_fingerprint"] in text
    assert "another" not in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sample", "nowhere"], "'nowhere': neither a study in "),
        (["sample", "{}", "--class", "1"], "trained without classes"),
        (["sample", "{}", "-n", "20000"], "at most 10000 images; use --npz"),
        (["sample", "{}", "--interpolate", "-n", "1"], "a strip has two ends"),
        (["sample", "{}", "--out", "."], "is a folder"),
        (["sample", "{}", "--out", "{}/README.md/x.png"], "cannot be written"),
        (["sample", "{}/metrics.json"], "not a safetensors file"),
        (["sample", "{}/training/checkpoints"], "no generator.safetensors in it"),
        (["evaluate", "{}", "--split", "train"], "choose validation or test"),
        (["evaluate", "{}/samples.png"], "not a safetensors file"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    words: list[str],
    says: str,
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in refused(capsys, monkeypatch, *(word.format(whole) for word in words))
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------------------------- MLflow


def test_mlflow_has_each_report_once_and_a_link_to_the_trial(whole: Path, tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = MlflowClient(uri)
    trial = client.create_run(client.create_experiment("ganstudy/tiny"), tags={"ganstudy.uid": "uid/3"})
    file = exported(tmp_path)
    for kimg in (2, 6, 6):
        folder = run(file, kimg, mlflow=uri)
    experiment = client.get_experiment_by_name(production_mlflow.EXPERIMENT)
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    tags = found.data.tags
    assert (tags["ganstudy.study_name"], tags["ganstudy.study"], tags["ganstudy.trial"]) == ("tiny", "uid", "3")
    assert tags["ganstudy.trial_run"] == trial.info.run_id
    link = f"#/experiments/{trial.info.experiment_id}/runs/{trial.info.run_id}"
    assert link in tags["mlflow.note.content"]
    history = client.get_metric_history(found.info.run_id, "scores/fid")
    assert [(point.step, point.value) for point in history] == [(r["kimg"], r["fid"]) for r in reports(whole)]
    assert {item.path for item in client.list_artifacts(found.info.run_id)} >= set(RESULTS)
    assert len(client.list_artifacts(found.info.run_id, "images")) == 2 * 2 * (
        3 + 1
    )  # two series with thumbnails; the newest twice
    assert found.data.params["loss"] == "nonsaturating"
    assert reports(folder) == reports(whole)


def test_an_mlflow_that_breaks_off_once_the_run_is_made_has_all_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    uri, failed, log_batch = f"sqlite:///{tmp_path}/mlflow.db", list[str](), MlflowClient.log_batch

    def breaks_off(client: MlflowClient, run_id: str, *values: Any, **options: Any) -> Any:
        if not failed:
            failed.append(run_id)
            raise ConnectionError("broken off")
        return log_batch(client, run_id, *values, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", breaks_off)
    folder = run(exported(tmp_path), 4, mlflow=uri)
    found = MlflowClient(uri).get_run(failed[0])
    assert found.info.status == "FINISHED"
    assert found.data.params["loss"] == "nonsaturating"
    assert found.data.metrics["scores/fid"] == reports(folder)[-1]["fid"]


def test_an_mlflow_that_is_away_costs_nothing(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(uri: str) -> None:
        raise ConnectionError("refused by http://user:secret@host")

    monkeypatch.setattr(production_mlflow, "open_client", away)
    words = ["train", str(exported(tmp_path)), "--kimg", "6", "--mlflow", "http://user:secret@host:5000"]
    result = runner.invoke(app, [*words, "--device", "cpu"], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.output.count("MLflow at http://***@host:5000: ConnectionError") == 2  # once, and at the end
    assert "secret" not in result.output
    assert reports(tmp_path / "best") == reports(whole)


# ----------------------------------------------------------------------------------------------------- the whole


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_reports(folder: Path, count: int, driver: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not (folder / "metrics.json").exists() or len(reports(folder)) < count:
        assert time.monotonic() < deadline, "no reports"
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.005)


@pytest.mark.slow
def test_from_a_study_over_kills_to_a_generator_that_stands_alone(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        yaml.safe_dump(
            {
                "name": "tiny",
                "seed": 3,
                "data": {"name": "digits"},
                "space": {"base": "quick", "fix": {"model.name": "mlp"}},
                "trials": 2,
                "concurrency": 1,
                "schedule": {"grace_kimg": 2, "max_kimg": 6, "reduction_factor": 3},
                "evaluation": {"count": 500},
                "storage": {"path": str(tmp_path / "runs")},
            }
        )
    )
    ganstudy("launch", study)
    file, straight, killed = tmp_path / "best.yaml", tmp_path / "straight", tmp_path / "killed"
    ganstudy("export", "tiny", file, "--storage", tmp_path / "runs")
    fids = yaml.safe_load(file.read_text())["origin"]["fids"]
    words = ["train", file, "--kimg", "20", "--device", "cpu", "--out"]
    lines = ganstudy(*words, straight).splitlines()
    assert [f"{kimg:5d} kimg" for kimg in range(2, 22, 2)] == [line[:10] for line in lines[:10]]
    assert ["the same as in the study" in line for line in lines[:10]] == [kimg in fids for kimg in range(2, 22, 2)]
    assert max(fids) < 20

    for count, how in ((1, signal.SIGKILL), (3, signal.SIGINT), (6, signal.SIGKILL)):
        driver = start(*words, killed)
        wait_for_reports(killed, count, driver)
        driver.send_signal(how)
        output, _ = driver.communicate(timeout=60)
        if how == signal.SIGINT:
            assert driver.returncode == 130
            assert "interrupted; the same command goes on" in output
            assert "Traceback" not in output
    assert not (killed / "generator.safetensors").exists()
    assert "resumes at" in ganstudy(*words, killed)
    assert reports(killed) == reports(straight)
    for name in ("generator.safetensors", "samples.png", "config.yaml"):
        assert (killed / name).read_bytes() == (straight / name).read_bytes()

    ganstudy("sample", killed / "generator.safetensors", "--device", "cpu", "--out", tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes() == (straight / "samples.png").read_bytes()
    shown = json.loads(ganstudy("evaluate", killed, "--device", "cpu", "--json"))
    assert shown["metrics"]["fid"] == min(report["fid"] for report in reports(straight))
    ganstudy(*words, killed, "--last")
    shown = json.loads(ganstudy("evaluate", killed, "--device", "cpu", "--json"))
    assert shown["metrics"]["fid"] == reports(straight)[-1]["fid"]
