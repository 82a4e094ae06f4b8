"""Which generator `sample`, `evaluate` and `export-onnx` take: a path, or a study's name."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from trained_study import PLAIN, trained_study
from typer.testing import CliRunner

from study.cli import app, main
from study.folder import StudyFolder
from study.ledger.catalogue import load_study
from study.ledger.events import AttemptStarted, TrialProposed
from study.ledger.ledger import Ledger
from study.production.found import trial_generator
from study.terminal import completion
from trainables.data.digits import Digits
from trainables.errors import DataNotFound
from trainables.generator import FILE, Generator, write_generator

runner = CliRunner()


def run(*words: str | Path) -> str:
    result = runner.invoke(app, [*map(str, words), "--device", "cpu"][: None if words[0] != "export-onnx" else -2])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str | Path
) -> tuple[int | str | None, str]:
    monkeypatch.setattr(sys, "argv", ["ganstudy", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    assert len(captured.err.strip().splitlines()) == 1, captured.err
    return left.value.code, captured.err


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of studies: `tiny` has three trials, `empty` none; nobody changes it."""
    root = tmp_path_factory.mktemp("whole") / "runs"
    trained_study(root, [PLAIN, PLAIN | {"seed": 6}, PLAIN | {"seed": 7}])
    trained_study(root, [], name="empty")
    return root


@pytest.fixture
def studies(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy in `runs` of the current folder, where studies are by default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANSTUDY_STORAGE", raising=False)
    shutil.copytree(whole, tmp_path / "runs")
    return tmp_path / "runs"


def fids(root: Path) -> list[float]:
    found = [trial.fid_best for trial in load_study(StudyFolder(root, "tiny")).trials]
    return [fid for fid in found if fid is not None]


def best_of(root: Path) -> int:
    return int(np.argmin(fids(root)))


def trained_here(root: Path, name: str, number: int) -> Generator:
    """The folder of a production training `name`, whose generator is that of a trial."""
    study = load_study(StudyFolder(root, "tiny"))
    trial = study.trials[number]
    generator, _ = trial_generator(StudyFolder(root, "tiny"), study, trial)
    Path(name).mkdir()
    write_generator(Path(name) / FILE, generator.facts, generator.network.state_dict())
    return generator


def drawn(root: Path, *words: str | Path) -> np.ndarray:  # type: ignore[type-arg]
    run("sample", *words, "-n", "5", "--npz", "x.npz")
    with np.load("x.npz") as found:
        images: np.ndarray = found["images"]  # type: ignore[type-arg]
    return images


def test_a_name_is_the_studys_best_and_a_number_one_of_its_trials(studies: Path) -> None:
    best = best_of(studies)
    text = run("sample", "tiny", "--out", "a.png")
    kimg, fid = load_study(StudyFolder(studies, "tiny")).trials[best].kimg_best, fids(studies)[best]
    assert text == f"a.png: 64 images of trial {best} of tiny, {kimg} kimg, FID {fid:.2f}"
    other = (best + 1) % 3
    assert f"of trial {other} of tiny" in run("sample", "tiny", "--trial", str(other), "--out", "b.png")
    images = drawn(studies, "tiny", "--trial", str(other))
    expected = trained_here(studies, "mine", other).sample(5).images.numpy()
    assert np.array_equal(images, expected)
    assert not np.array_equal(images, drawn(studies, "tiny"))
    for way in ([studies / "tiny"], ["runs/tiny/"], ["tiny", "--storage", studies]):
        assert np.array_equal(drawn(studies, *way, "--trial", str(other)), expected)


def test_evaluate_repeats_what_the_study_measured(studies: Path) -> None:
    for number, fid in enumerate(fids(studies)):
        found = json.loads(run("evaluate", "tiny", "--trial", str(number), "--json"))
        assert found["metrics"]["fid"] == fid
        assert (found["generator"], found["trial"]) == ("tiny", number)
    assert f"images of trial {best_of(studies)} of tiny, " in run("evaluate", "tiny", "--split", "test")


def test_a_studys_generator_needs_no_data(studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained_study(studies, [PLAIN], name="known", data_known=True)
    expected = trained_here(studies, "mine", 0).sample(5).images.numpy()

    def gone(self: Digits) -> None:
        raise DataNotFound("it was removed")

    monkeypatch.setattr(Digits, "load", gone)
    assert np.array_equal(drawn(studies, "known"), expected)


def test_where_a_name_is_both_the_trained_one_is_taken_and_it_is_said(studies: Path) -> None:
    other = (best_of(studies) + 1) % 3
    generator = trained_here(studies, "tiny", other)
    text = run("sample", "tiny", "--out", "a.png")
    assert "tiny is a trained generator here and a study in runs: the generator is taken; --trial N takes" in text
    assert text.endswith("a.png: 64 images")
    assert np.array_equal(drawn(studies, "tiny"), generator.sample(5).images.numpy())
    assert "of trial 0 of tiny" in run("sample", "tiny", "--trial", "0", "--out", "a.png")
    assert f"of trial {best_of(studies)} of tiny" in run("sample", "tiny", "--storage", "runs", "--out", "a.png")
    shutil.rmtree("tiny")
    Path("tiny").mkdir()  # the photos that the study is of
    assert run("sample", "tiny", "--out", "a.png").startswith("a.png: 64 images of trial")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["tinny"], 2, "'tinny': neither a study in {root} nor the folder or file of a trained generator; did you"),
        (["tiny", "--trial", "7"], 2, "--trial 7: the study has trials 0 to 2"),
        (["empty"], 1, "no trial of empty has reported yet"),
        (["mine", "--trial", "1"], 2, "--trial is for a study, and mine is a trained generator: leave --trial out"),
        (["./no/such", "--trial", "1"], 2, "--trial is for a study, and ./no/such is a path"),
        (["./no/such"], 2, "no/such: not there; name a folder that `ganstudy train` wrote"),
        (["tinny", "--trial", "1"], 2, "no study 'tinny' in {root}"),
        (["tiny", "--storage", "elsewhere"], 2, "no study 'tiny' in {here}/elsewhere"),
        (["runs"], 2, "runs: no generator.safetensors in it"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_one_line(
    words: list[str],
    code: int,
    says: str,
    studies: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained_here(studies, "mine", 0)
    for command in (["sample", *words], ["evaluate", *words], ["export-onnx", words[0], "x.onnx", *words[1:]]):
        found, text = refused(capsys, monkeypatch, *command)
        assert says.format(root=studies, here=Path.cwd()) in text
        assert found == code
    assert sorted(path.name for path in Path().iterdir()) == ["mine", "runs"]


def test_a_trial_that_has_not_reported_is_one_line(
    studies: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_study(StudyFolder(studies, "tiny")).trials[0].config
    file = StudyFolder(studies, "tiny").ledger
    with Ledger.open(file, schema="tiny", create=False) as ledger, ledger.own("host", 1) as writer:
        writer.append(TrialProposed(3, config, {}, "sampler", {}), AttemptStarted(3, 1))
    code, text = refused(capsys, monkeypatch, "sample", "tiny", "--trial", "3")
    assert (code, "trial 3 has not reported yet, so it has no generator; choose another" in text) == (1, True)
    assert f"of trial {best_of(studies)} of tiny" in run("sample", "tiny", "--out", "a.png")


def test_a_checkpoint_that_is_gone_is_one_line(
    studies: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(StudyFolder(studies, "tiny").checkpoints(1))
    code, text = refused(capsys, monkeypatch, "sample", "tiny", "--trial", "1")
    assert code == 1
    assert "the checkpoint of trial 1's best FID is gone; restore it, or choose another trial" in text


def test_shells_complete_studies_and_trained_generators(studies: Path) -> None:
    class Context:
        params: dict[str, object] = {}  # noqa: RUF012

    trained_here(studies, "trained", 0)
    assert completion.generators(Context(), "t") == ["tiny", "trained"]
    assert completion.generators(Context(), "") == ["empty", "tiny", "trained"]


def test_an_onnx_file_makes_the_trials_images_and_says_how_it_is_loaded(studies: Path) -> None:
    result = runner.invoke(app, ["export-onnx", "tiny", "t.onnx", "--trial", "1"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    head, *lines = result.output.strip().splitlines()
    assert head.startswith("t.onnx: trial 1 of tiny, ")
    assert "in ONNX Runtime its images, in batches of 1 and 7, differ from the network's by at most " in head
    assert head.endswith("of 1 (allowed: 0.0001)")
    names: dict[str, np.ndarray] = {}  # type: ignore[type-arg]
    exec("\n".join(line.strip() for line in lines), names)
    assert names["images"].shape == (16, 1, 8, 8)
    generator = trained_here(studies, "mine", 1)
    runner.invoke(app, ["export-onnx", "mine", "u.onnx"], catch_exceptions=False)
    latents = generator.facts.trial.latent.sample(64, generator._stream(0, "sample", 0)).numpy()
    for file in ("t.onnx", "u.onnx"):
        (images,) = onnxruntime.InferenceSession(file).run(None, {"latents": latents})
        off_by = np.abs(np.round(255 * images).astype(int) - generator.sample(64).images.numpy().astype(int))
        assert off_by.max() <= 1


def test_an_onnx_file_that_cannot_be_written_is_refused_before_any_work(
    studies: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Generator, "__init__", lambda *a: pytest.fail("work was begun"))
    code, text = refused(capsys, monkeypatch, "export-onnx", "tiny", "runs")
    assert (code, "FILE runs: cannot be written: is a folder" in text) == (2, True)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, text = refused(capsys, monkeypatch, "export-onnx", "tiny", "x.onnx")
    assert code == 1
    assert "pip install 'ganstudy[onnx]'" in text
