"""`ganstudy data describe` and `init` of images as people have them: what is in them, and what to be careful of."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from study.cli import app
from study.study_file.config import read_study
from trainables.data import Digits, Folder
from trainables.errors import InvalidInput
from trainables.evaluation import classifier

runner = CliRunner()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """720 digits of two classes, in train, val and test: 576, 72 and 72."""
    root = tmp_path_factory.mktemp("data") / "photos"
    digits = Digits().load().train
    for number in range(720):
        split = "val" if number % 10 == 0 else "TEST" if number % 10 == 1 else "train"
        file = root / split / ("even", "odd")[number // 10 % 2] / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[number, 0]).save(file)
    (root / "IMG_1.HEIC").write_bytes(b"")
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    for steps in ("_STEPS_MIN", "_STEPS_MAX"):  # of the classifier, whose features are not looked at here
        monkeypatch.setattr(classifier, steps, 20)


def described(*words: str | Path) -> str:
    result = runner.invoke(app, ["data", "describe", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_describe_takes_a_path_and_tells_splits_classes_and_files_not_read(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    said = described("./photos", "--mode", "grey")
    lines = [line.split() for line in said.splitlines()]
    assert ["train", "576", "sub-folder", "train"] in lines
    assert ["test", "72", "sub-folder", "TEST"] in lines
    assert ["even", "288", "36", "36"] in lines
    assert "folder: 720 images, 1 x 32 x 32" in said, "of the size that init takes"
    assert "read: PNG, JPEG, WEBP" in said
    assert "an image format that is not read; convert it to PNG or JPEG" in said
    assert "warning: 1 files .heic are not read" in said
    assert "warning: 72 validation images against 64 features: an FID of so few is mostly bias" in said


def test_the_json_has_all_of_it(photos: Path) -> None:
    facts = json.loads(described(photos, "--mode", "grey", "--json"))
    assert facts["class_names"] == ["even", "odd"]
    assert facts["class_counts"] == {"train": [288, 288], "validation": [36, 36], "test": [36, 36]}
    assert facts["splits_from"]["validation"] == "sub-folder val"
    assert facts["classes_from"] == "the sub-folders"
    assert [(one["suffix"], one["count"]) for one in facts["passed_over"]] == [(".heic", 1)]
    assert len(facts["warnings"]) == 2
    assert "JPEG" in facts["formats_read"]
    assert facts["fid_ceiling"] > facts["fid_floor"]
    shared = json.loads(described("folder", "--path", photos, "--splits", "all", "--json"))
    assert (shared["images"]["validation"], shared["shared"]) == (720, True)
    assert shared["fingerprint"] != facts["fingerprint"]


def test_what_is_known_is_told_before_an_fid_is_refused(photos: Path, tmp_path: Path) -> None:
    for one in ("even", "odd"):
        (tmp_path / "few" / one).mkdir(parents=True)
        for file in sorted((photos / "train" / one).iterdir())[:100]:
            (tmp_path / "few" / one / file.name).write_bytes(file.read_bytes())
    for words in ([], ["--json"]):
        result = runner.invoke(app, ["data", "describe", str(tmp_path / "few"), *words])
        assert isinstance(result.exception, InvalidInput)
        assert "20 validation images: must be more than" in str(result.exception)
        assert "or set data.splits: all, which measures against all 200" in str(result.exception)
        if words:
            assert json.loads(result.output)["images"] == {"train": 160, "validation": 20, "test": 20}
        else:
            assert "folder: 200 images" in result.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "neither a data set nor a path"),
        (["photos", "--path", "photos"], "is a path itself; leave out --path"),
        (["photos", "--splits", "some"], "splits = 'some'"),
        (["photos", "--labels", "dataset.json"], "data.labels is dataset.json, but there is none"),
    ],
)
def test_what_cannot_be_described_is_refused(
    photos: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(photos.parent)
    result = runner.invoke(app, ["data", "describe", *words])
    assert result.exit_code != 0
    assert says in str(result.exception)


def test_init_warns_and_offers_what_works_for_a_small_set(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 300 images a tenth is 30, fewer than the 64 features: then FIDs are measured against the train images."""
    monkeypatch.chdir(tmp_path)
    for number, file in enumerate(sorted(photos.rglob("*.png"))[:300]):
        target = tmp_path / "small" / "ab"[number % 2] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    for name, splits, head in (
        ("small", "all", "# Too few to hold some out"),
        (photos, "auto", "# The data: 576 images"),
    ):
        result = runner.invoke(app, ["init", str(name), f"{splits}.yaml"])
        assert result.exit_code == 0, result.output
        config = read_study(Path(f"{splits}.yaml"))
        assert isinstance(config.data, Folder)
        assert config.data.splits == splits
        assert head in Path(f"{splits}.yaml").read_text()
        assert "warning: " in result.output
    dry = runner.invoke(app, ["launch", "all.yaml", "--dry-run"], catch_exceptions=False)
    assert dry.exit_code == 0
    assert "warning: FIDs are measured against the 300 images that the GAN trains on (data.splits: all)" in dry.output


def test_equal_images_are_warned_of(tmp_path: Path) -> None:
    np.savez(tmp_path / "equal.npz", images=np.full((700, 8, 8), 9, np.uint8), labels=np.arange(700) % 2)
    study = {"name": "equal", "data": {"name": "npz", "path": str(tmp_path / "equal.npz")}, "trials": 1}
    study |= {"space": {"base": "quick", "fix": {"model.name": "mlp"}}, "schedule": {"max_kimg": 1, "grace_kimg": 1}}
    (tmp_path / "equal.yaml").write_text(yaml.safe_dump(study | {"evaluation": {"count": 100}}))
    result = runner.invoke(app, ["launch", str(tmp_path / "equal.yaml"), "--dry-run"], catch_exceptions=False)
    assert (
        "warning: all 560 train images are equal; a GAN can learn nothing from them: check the files" in result.output
    )
