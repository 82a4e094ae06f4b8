"""`ganstudy train --register`: the trained generator is the champion of the study it came from."""

import sys
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient
from trained_study import PLAIN
from typer.testing import CliRunner

from study.cli import app, main
from study.production import recorder as production_mlflow
from trainables.generator import Generator

runner = CliRunner()


def exported(folder: Path, **origin: object) -> Path:
    file = folder / "best.yaml"
    file.write_text(yaml.safe_dump({"trial": PLAIN, "origin": {"report_kimg": 1, "threads": 1} | origin}))
    return file


def trained(file: Path, *words: str) -> str:
    arguments = ["train", str(file), "--kimg", "1", "--device", "cpu", *words]
    result = runner.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_trained_generator_is_the_studys_champion_once(tmp_path: Path) -> None:
    file, uri = exported(tmp_path, study="tiny", study_uid="uid", trial=3), f"sqlite:///{tmp_path}/mlflow.db"
    text = trained(file, "--mlflow", uri, "--register")
    assert "tiny version 1 is its champion: training best, 1 kimg, FID" in text
    assert 'load_model("models:/tiny@champion")' in text
    assert "version 1 is its champion (already registered)" in trained(file, "--mlflow", uri, "--register")
    client = MlflowClient(uri, uri)
    version = client.get_model_version_by_alias("tiny", "champion")
    facts = Generator.read(tmp_path / "best").facts
    assert version.tags == {
        "ganstudy.training": "best",
        "ganstudy.study": "uid",
        "ganstudy.study_name": "tiny",
        "ganstudy.trial": "3",
        "ganstudy.kimg": "1",
        "ganstudy.fid": f"{facts.fid:.6g}",
        "ganstudy.fid_fingerprint": facts.fid_fingerprint,
        "ganstudy.fid_images": str(facts.trial.evaluation.count),
        "ganstudy.weights": facts.weights,
    }
    assert "training `best`, whose configuration is that of trial 3 of the study `tiny`" in str(version.description)
    assert version.run_id is not None
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.ganstudy.kind"] == "train"
    assert Path(str(version.source).removeprefix("file://")).is_relative_to(tmp_path / "mlartifacts")
    assert "clothes version 1 is its" in trained(file, "--mlflow", uri, "--register", "--as", "clothes")


def test_a_training_of_no_study_is_named_after_its_folder(tmp_path: Path) -> None:
    text = trained(exported(tmp_path), "--mlflow", f"sqlite:///{tmp_path}/mlflow.db", "--register")
    assert "best version 1 is its champion" in text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--register"], "--register needs a store to register in: give --mlflow"),
        (["--as", "x"], "--as 'x' names what --register makes"),
        (["--register", "--as", "a b", "--mlflow", "http://localhost:1"], "--as 'a b': use"),
    ],
)
def test_what_cannot_be_registered_is_refused_before_any_work(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ganstudy", "train", str(exported(tmp_path)), "--kimg", "1", *words])
    with pytest.raises(SystemExit) as left:
        main()
    text = capsys.readouterr().err
    assert (left.value.code, len(text.strip().splitlines())) == (2, 1)
    assert says in text
    assert [found.name for found in tmp_path.iterdir()] == ["best.yaml"]


def test_a_store_that_is_away_costs_the_registration_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(uri: str) -> None:
        raise ConnectionError("refused by http://user:secret@host")

    monkeypatch.setattr(production_mlflow, "open_client", away)
    words = ["train", str(exported(tmp_path)), "--kimg", "1", "--device", "cpu", "--register"]
    monkeypatch.setattr(sys, "argv", ["ganstudy", *words, "--mlflow", "http://user:secret@host:5000"])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    assert left.value.code == 1
    assert "the generator is trained, but not registered" in captured.err
    assert "the same command registers it" in captured.err
    assert "secret" not in captured.err + captured.out
    assert Generator.read(tmp_path / "best").facts.kimg == 1
