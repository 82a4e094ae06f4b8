"""The study file's reference, and the files that `ganstudy init` writes: both are the model's, none can go stale."""

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from study.cli import main
from study.study_file.config import CHANGEABLE, StudyConfig
from study.study_file.keys import Key, study_keys
from study.study_file.reference import reference
from trainables.data import SOURCES

ROOT = Path(__file__).parents[3]


def flat(keys: tuple[Key, ...]) -> list[Key]:
    below = (flat(key.keys) + [one for _, keys in key.variants.values() for one in flat(keys)] for key in keys)
    return [*keys, *itertools.chain.from_iterable(below)]


KEYS = flat(study_keys())


def test_the_committed_page_is_what_the_model_gives() -> None:
    page = (ROOT / "docs/study-file.md").read_text()
    assert page == reference(), "python -m study.study_file.reference > docs/study-file.md"


def test_every_key_is_described() -> None:
    assert [key.path for key in KEYS if not key.description and key.name != "name"] == []


def test_what_may_change_is_what_a_relaunch_allows() -> None:
    free = {key.path for key in KEYS if key.change == "yes"}
    assert {place for place in free if place.rpartition(".")[0] not in free} == set(CHANGEABLE)
    assert [key.path for key in KEYS if key.change == "may grow"] == ["schedule.max_kimg"]


def test_defaults_are_the_models() -> None:
    minimal = {"name": "x", "data": {"name": "digits"}, "trials": 1, "schedule": {"max_kimg": 1, "grace_kimg": 1}}
    resolved = StudyConfig.model_validate(minimal).to_dict()
    for key in study_keys():
        if not key.required and key.name != "storage":
            assert key.default == resolved[key.name], key.path


def test_ranges_are_told() -> None:
    told = {key.path: key.range for key in KEYS}
    assert told["trials"] == "at least 1, at most 1,000,000"
    assert told["time_budget_minutes"] == "above 0"


# ---------------------------------------------------------------------------------------------------- init


def pixels(*shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, a cache of its own, and a classifier that is trained in no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("trainables.evaluation.classifier._STEPS_MIN", 5)
    monkeypatch.setattr("trainables.evaluation.classifier._STEPS_MAX", 5)
    return tmp_path


def ganstudy(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ganstudy", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def bring(data: str, folder: Path) -> str:
    """Make the data of one kind; return what `init` is given."""
    if data == "folder":
        for number in range(700):
            (folder / "photos" / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels(9, 8)).save(folder / "photos" / "ab"[number % 2] / f"{number}.png")
        return "photos"
    if data == "npz":
        np.savez(folder / "data.npz", images=pixels(700, 8, 8), labels=np.arange(700) % 3)
        return "data.npz"
    return data


@pytest.mark.parametrize("data", SOURCES)
def test_what_init_writes_is_accepted(
    data: str, here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    given = bring(data, here)
    more = ["--size", "8"] if data in ("folder", "npz") else []
    assert ganstudy(monkeypatch, "init", given, "mine.yaml", *more) == 0
    config = StudyConfig.model_validate(yaml.safe_load((here / "mine.yaml").read_text()))
    assert (config.name, config.data.name) == ("mine", data)
    assert "launch mine.yaml" in capfd.readouterr().out
    places = SOURCES[data].published()
    if places is not None and not places.at_hand():
        pytest.skip(f"{data} is not on this machine")
    monkeypatch.setattr("study.running.plan.images_per_second", lambda *arguments: 1000.0)
    assert ganstudy(monkeypatch, "launch", "mine.yaml", "--dry-run", "--json") == 0, capfd.readouterr().err


def test_init_comments_out_every_other_key(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ganstudy(monkeypatch, "init", "digits") == 0
    text = (here / "digits.yaml").read_text()
    kinds = ("data.", "evaluation.extractor.")
    for key in KEYS:
        if not key.path.startswith(kinds):
            assert f"{key.name}:" in text, key.path
    assert max(map(len, text.splitlines())) <= 120


def test_init_sees_that_images_have_no_labels(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(here / "data.npz", images=pixels(200, 8, 8))
    assert ganstudy(monkeypatch, "init", "data.npz") == 0
    assert yaml.safe_load((here / "data.yaml").read_text())["evaluation"]["extractor"] == {"name": "self_supervised"}


def test_init_refuses_images_of_which_no_fid_can_be_measured(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez(here / "few.npz", images=pixels(100, 8, 8))
    assert ganstudy(monkeypatch, "init", "few.npz") == 2
    assert "10 validation images: must be more than the extractor's 64 features" in capfd.readouterr().err
    assert not (here / "few.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cats"], "neither a data set nor a path"),
        (["folder"], "give the path itself"),
        (["digits", "there.yaml"], "already exists"),
        (["digits", "study.txt"], "ends in .yaml"),
        (["digits", "nowhere/study.yaml"], "cannot be written"),
        (["digits", "--size", "4"], "size"),
        (["empty"], "0 images"),
    ],
)
def test_init_refuses(
    arguments: list[str],
    says: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (here / "empty").mkdir()
    (here / "there.yaml").write_text("mine")
    assert ganstudy(monkeypatch, "init", *arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert says in line
    assert (here / "there.yaml").read_text() == "mine"
    assert sorted(path.name for path in here.iterdir()) == ["empty", "there.yaml"]
