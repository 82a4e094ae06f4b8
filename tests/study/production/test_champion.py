"""`ganstudy promote`: the generator in MLflow's registry, loaded by a process that has no ganstudy."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient
from torch import Tensor
from trained_study import PLAIN, trained_study
from typer.testing import CliRunner

from study.cli import app, main
from study.folder import StudyFolder
from study.ledger.catalogue import load_study
from study.production import champion
from trainables.checkpoint import CheckpointStore, read_checkpoint
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape
from trainables.gan.networks import build_networks

OF_CLASSES = PLAIN | {
    "conditioning": {"name": "projection"},
    "latent": {"name": "class_conditional", "dimension": 12},
    "ema_kimg": 0,
}
TRIALS = [PLAIN, OF_CLASSES, PLAIN | {"seed": 6}]

WITHOUT_GANSTUDY = """
import sys
root, uri, inputs, out = sys.argv[1:]
sys.path = [place for place in sys.path if "site-packages" in place or not place.startswith(root)]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
for name in ("study", "trainables", "search_spaces"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{name} is there")
import mlflow, numpy
from torch import from_numpy
mlflow.set_tracking_uri(uri)
given, made = numpy.load(inputs), {}
for model, names in (("1", ["latents-0"]), ("@champion", ["latents-1", "labels-1"])):
    loaded = mlflow.pytorch.load_model("models:/tiny" + ("" if model.startswith("@") else "/") + model)
    for count in (1, 17):
        made[f"{model}-{count}"] = loaded(*(from_numpy(given[name][:count]) for name in names)).numpy()
numpy.savez(out, **made)
"""

runner = CliRunner()


def run(*words: str | Path) -> str:
    result = runner.invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def promoted(folder: StudyFolder, *words: str | Path) -> dict[str, Any]:
    """Forced: trials so short are worse than noise."""
    options = ("--storage", folder.root, "--json", "--force")
    found: dict[str, Any] = json.loads(run("promote", folder.name, *options, *words))
    return found


def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: StudyFolder, *words: str | Path
) -> tuple[int, str]:
    arguments = ["promote", folder.name, "--storage", *map(str, (folder.root, *words))]
    monkeypatch.setattr(sys, "argv", ["ganstudy", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    text = captured.err + captured.out
    assert len(text.strip().splitlines()) == 1, text
    assert isinstance(left.value.code, int)
    return left.value.code, text


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study of three trials that is in its embedded MLflow; nobody changes it."""
    folder = trained_study(tmp_path_factory.mktemp("whole"), TRIALS)
    run("sync", folder.name, "--storage", folder.root)
    return folder


@pytest.fixture
def study(whole: StudyFolder, tmp_path: Path) -> StudyFolder:
    """A copy that may be changed, its MLflow too: but for where that keeps new artifacts."""
    shutil.copytree(whole.root, tmp_path / "runs")
    return StudyFolder(tmp_path / "runs", whole.name)


def client_of(folder: StudyFolder) -> MlflowClient:
    uri = f"sqlite:///{folder.mlflow_db}"
    return MlflowClient(uri, uri)


def images_of(folder: StudyFolder, number: int, kimg: int, latents: Tensor, labels: Tensor) -> Tensor:
    """In [0, 1]: of the evaluated network of a checkpoint, put together by hand."""
    config = TrialConfig.from_dict(dict(TRIALS[number]))
    dataset = config.data.load()
    network, _ = build_networks(config, ImageShape(dataset.channels, dataset.size), dataset.classes or 0)
    state = read_checkpoint(CheckpointStore(folder.checkpoints(number)).path(kimg)).state
    network.load_state_dict(state["ema" if config.ema_kimg else "generator"])
    if config.uses_labels:  # by the definition: 3 along the class's axis, then the class one-hot behind
        eye = torch.eye(10)[labels]
        latents = torch.cat([latents + 3.0 * torch.nn.functional.pad(eye, (0, latents.shape[1] - 10)), eye], dim=1)
    with torch.no_grad():
        made: Tensor = (network.eval()(latents) + 1) / 2
    return made


# ----------------------------------------------------------------------------------------------------- what it does


@pytest.mark.slow
def test_the_champion_is_loaded_and_sampled_where_there_is_no_ganstudy(study: StudyFolder, tmp_path: Path) -> None:
    told = [promoted(study, "--trial", str(number)) for number in (0, 1)]
    rng = torch.Generator().manual_seed(1)
    latents, labels = [torch.randn(17, size, generator=rng) for size in (8, 12)], torch.arange(17) % 10
    inputs = {"latents-0": latents[0], "latents-1": latents[1], "labels-1": labels}
    np.savez(tmp_path / "inputs.npz", **{name: value.numpy() for name, value in inputs.items()})  # type: ignore[arg-type]
    words = [Path(__file__).parents[3], told[0]["registry"], tmp_path / "inputs.npz", tmp_path / "made.npz"]
    command = [sys.executable, "-c", WITHOUT_GANSTUDY, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    with np.load(tmp_path / "made.npz") as made:
        for number, version in enumerate(("1", "@champion")):
            expected = images_of(study, number, told[number]["kimg"], latents[number], labels).numpy()
            assert expected.std() > 0.01
            np.testing.assert_allclose(made[f"{version}-17"], expected, rtol=0, atol=2e-6)
            np.testing.assert_allclose(made[f"{version}-1"], expected[:1], rtol=0, atol=2e-6)


def test_one_version_for_one_generator_and_the_alias_goes_with_the_last_promoted(study: StudyFolder) -> None:
    client = client_of(study)
    before = {run.info.run_id: run.to_dictionary() for run in client.search_runs(["1"])}
    best = promoted(study)
    assert (best["model"], best["version"], best["alias"], best["new"]) == ("tiny", 1, "champion", True)
    again = promoted(study)
    assert again == best | {"new": False, "notes": []}, "nothing changes, so nothing is forced"
    others = [number for number in range(len(TRIALS)) if best["from"] != f"trial {number} of tiny"]
    second = promoted(study, "--trial", str(others[0]))
    assert (second["version"], second["new"]) == (2, True)
    assert int(client.get_model_version_by_alias("tiny", "champion").version) == 2
    assert promoted(study) == best | {"new": False}
    assert int(client.get_model_version_by_alias("tiny", "champion").version) == 1
    assert len(client.search_model_versions("name = 'tiny'")) == 2
    after = {run.info.run_id: run.to_dictionary() for run in client.search_runs(["1"])}
    assert {key: value["info"] for key, value in after.items()} == {key: v["info"] for key, v in before.items()}
    assert {key: value["data"] for key, value in after.items()} == {key: v["data"] for key, v in before.items()}


def test_a_version_says_where_it_is_from_and_what_it_takes(study: StudyFolder) -> None:
    from mlflow.models import Model

    told = promoted(study, "--trial", "1")
    client = client_of(study)
    version = client.get_model_version_by_alias("tiny", "champion")
    assert version.tags["ganstudy.study_name"] == "tiny"
    assert version.tags["ganstudy.study"] == "uid"
    assert version.tags["ganstudy.trial"] == "1"
    assert version.tags["ganstudy.kimg"] == str(told["kimg"])
    assert float(version.tags["ganstudy.fid"]) == pytest.approx(told["fid"], rel=1e-5)
    assert version.tags["ganstudy.fid_fingerprint"] == told["fid_fingerprint"]
    assert version.tags["ganstudy.fid_images"] == str(told["fid_images"])
    assert version.tags["ganstudy.weights"] == told["weights"]
    assert version.run_id is not None
    assert client.get_run(version.run_id).data.tags["mlflow.ganstudy.uid"] == "uid/1"
    text = version.description or ""
    for part in ("trial 1 of the study `tiny`", "int64, N", "torch.randn(N, 12)", "CC BY 4.0", told["fid_fingerprint"]):
        assert part in text, part
    place = Path(str(version.source).removeprefix("file://"))
    model = Model.load(str(place))
    assert model.signature is not None
    assert [(spec.name, spec.type, spec.shape) for spec in model.signature.inputs.inputs] == [
        ("latents", np.dtype("float32"), (-1, 12)),
        ("labels", np.dtype("int64"), (-1,)),
    ]
    example = model.load_input_example(str(place))
    assert isinstance(example, dict)
    assert {name: (array.dtype, array.shape) for name, array in example.items()} == {
        "latents": (np.dtype("float32"), (4, 12)),
        "labels": (np.dtype("int64"), (4,)),
    }
    needs = (place / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in needs} == {"mlflow", "torch"}
    assert "+" not in "".join(needs)  # a local build is in no registry


def test_a_generator_without_classes_is_a_pyfunc_too(study: StudyFolder) -> None:
    import mlflow

    promoted(study, "--trial", "0")
    source = str(client_of(study).get_model_version_by_alias("tiny", "champion").source)
    latents = np.zeros((3, 8), np.float32)
    model = mlflow.pyfunc.load_model(source)
    made = model.predict(latents)
    assert made.shape == (3, 1, 8, 8)
    assert 0 <= made.min() <= made.max() <= 1
    assert np.array_equal(model.predict(latents.astype(np.float64)), made)


def test_a_loaded_generator_is_a_module_as_any_other(study: StudyFolder) -> None:
    import mlflow

    for number, inputs in enumerate([(torch.randn(3, 8),), (torch.randn(3, 12), torch.arange(3))]):
        promoted(study, "--trial", str(number))
        source = str(client_of(study).get_model_version_by_alias("tiny", "champion").source)
        model = mlflow.pytorch.load_model(source)
        assert not model.training
        images = model(*inputs)
        assert not images.requires_grad
        model.train()
        assert torch.equal(model.eval()(*inputs), images)
        assert torch.equal(model(inputs[0].double(), *inputs[1:]), images)
        torch.testing.assert_close(model.half()(inputs[0].half(), *inputs[1:]).float(), images, rtol=0, atol=0.01)


def test_it_says_what_was_registered_and_how_to_load_it(study: StudyFolder) -> None:
    text = run("promote", "tiny", "--storage", study.root, "--trial", "0", "--as", "digits", "--force")
    head, *notes, registry, how, _, _, _, _ = text.splitlines()
    lines = text.splitlines()[-4:]
    assert all(note.startswith(("forced: its FID", "the study's best is trial")) for note in notes)
    assert head.startswith("digits version 1 is its champion: trial 0 of tiny, ")
    assert registry == f"registry: sqlite:///{study.mlflow_db}"
    assert "ganstudy is not needed" in how
    assert lines[2] == '  model = mlflow.pytorch.load_model("models:/digits@champion")'
    assert "torch.randn(16, 8)" in lines[3]
    compile("\n".join(line.strip() for line in lines), "pasted", "exec")


def test_an_onnx_file_is_written_with_it(study: StudyFolder, tmp_path: Path) -> None:
    import onnxruntime

    files = tmp_path / "plain.onnx", tmp_path / "of-classes.onnx"
    for number, file in enumerate(files):
        told = promoted(study, "--trial", str(number), "--onnx", file)
        assert told["onnx"] == str(file)
        assert 0 < told["onnx_difference"] < 1e-5
    latents, labels = torch.randn(9, 8), torch.arange(9)
    (made,) = onnxruntime.InferenceSession(files[0]).run(None, {"latents": latents.numpy()})
    expected = images_of(study, 0, told["kimg"], latents, labels)
    torch.testing.assert_close(torch.from_numpy(made), expected, rtol=0, atol=1e-5)
    latents = torch.randn(9, 12)
    given = {"latents": latents.numpy(), "labels": labels.numpy()}
    (made,) = onnxruntime.InferenceSession(files[1]).run(None, given)
    expected = images_of(study, 1, told["kimg"], latents, labels)
    torch.testing.assert_close(torch.from_numpy(made), expected, rtol=0, atol=1e-5)
    text = run("promote", "tiny", "--storage", study.root, "--trial", "1", "--onnx", files[1])
    assert "differ from the network's by at most" in text
    assert '"labels": numpy.random.randint(10, size=16)' in text


# ---------------------------------------------------------------------------------------------------- what it refuses


def test_what_is_worse_than_noise_or_the_champion_is_refused_and_leaves_no_trace(
    study: StudyFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, client = load_study(study), client_of(study)
    fids = [trial.fid_best or 0.0 for trial in record.trials]
    assert min(fids) > record.fid_ceiling, "so short a training is worse than noise"
    code, text = refused(capsys, monkeypatch, study, "--onnx", tmp_path / "x.onnx")
    best = int(np.argmin(fids))
    assert code == 2
    assert f"trial {best} of tiny is not made the champion of tiny: its FID {min(fids):.2f} is no better than" in text
    assert text.endswith("choose another, or --force it\n")
    assert not client.search_registered_models()
    assert not (tmp_path / "x.onnx").exists()
    first = promoted(study)
    assert first["notes"] == [
        f"forced: its FID {min(fids):.2f} is no better than uniform noise's, {record.fid_ceiling:.2f}"
    ]
    worst = int(np.argmax(fids))
    monkeypatch.setattr(champion, "load_study", lambda folder: replace(record, fid_ceiling=1e6))
    code, text = refused(capsys, monkeypatch, study, "--trial", str(worst))
    assert code == 2
    assert f"its FID {max(fids):.2f} is worse than that of the champion, version 1, {min(fids):.2f}" in text
    assert int(client.get_model_version_by_alias("tiny", "champion").version) == 1
    notes = promoted(study, "--trial", str(worst))["notes"]
    assert [note.partition(":")[0] for note in notes] == ["forced", notes[1].partition(":")[0]]
    assert notes[1].startswith(f"the study's best is trial {best}, FID {min(fids):.2f} at ")


def test_what_cannot_be_written_is_refused_before_any_work(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(champion, "find_study", lambda *a: pytest.fail("work was begun"))
    assert refused(capsys, monkeypatch, study, "--onnx", tmp_path)[0] == 2
    code, text = refused(capsys, monkeypatch, study, "--onnx", "-", "--json")
    assert (code, "--onnx - and --json both write to standard output" in text) == (2, True)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, text = refused(capsys, monkeypatch, study, "--onnx", tmp_path / "x.onnx")
    assert (code, "pip install 'ganstudy[onnx]'" in text) == (1, True)


def test_what_cannot_be_promoted_is_one_line_and_leaves_no_trace(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = refused(capsys, monkeypatch, study, "--trial", "3")
    assert (code, "trials 0 to 2" in text) == (2, True)
    code, text = refused(capsys, monkeypatch, study, "--as", "a/b")
    assert (code, "--as 'a/b': use" in text) == (2, True)
    client = client_of(study)
    client.create_registered_model("theirs")
    code, text = refused(capsys, monkeypatch, study, "--as", "theirs")
    assert (code, "not ganstudy's" in text) == (2, True)
    shutil.rmtree(study.checkpoints(0))
    code, text = refused(capsys, monkeypatch, study, "--trial", "0")
    assert (code, "is gone" in text) == (1, True)
    assert [model.name for model in client.search_registered_models()] == ["theirs"]
    assert not client.search_logged_models(["1"], "model_type = 'generator'")


def test_a_store_that_is_away_or_empty_is_one_line(
    study: StudyFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(uri: str) -> None:
        raise ConnectionError("refused by http://user:secret@host")

    with monkeypatch.context() as patch:
        patch.setattr(champion, "open_client", away)
        code, text = refused(capsys, monkeypatch, study)
    assert code == 1
    assert "ConnectionError: refused by http://***@host; nothing was promoted" in text
    study.mlflow_db.unlink()
    code, text = refused(capsys, monkeypatch, study)
    assert code == 1
    assert "is not in MLflow" in text
    assert "ganstudy sync tiny" in text
    assert not study.mlflow_db.exists()


def test_a_study_without_a_report_has_no_champion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained_study(tmp_path, [])
    code, text = refused(capsys, monkeypatch, folder)
    assert code == 3
    assert "no trial of tiny has reported yet" in text
