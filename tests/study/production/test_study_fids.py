"""Why a production training's FIDs are, or may be, others than the study's."""

from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from trained_study import PLAIN

from study.production.plan import Order, make_plan
from study.production.study_fids import StudyFids
from trainables.evaluation.prepare import Prepared

PREPARED = cast(Prepared, SimpleNamespace(fingerprint="print"))
HERE = {"torch": version("torch"), "numpy": version("numpy"), "resources": {"cpus": 1, "gpus": 0}}
KNOWN = {"study": "tiny", "trial": 3, "fids": {1: 50.0, 2: 40.0}, "fid_fingerprint": "print", "versions": HERE}


def fids(folder: Path, origin: dict[str, Any], evaluation: dict[str, Any] | None = None, **order: Any) -> StudyFids:
    file = folder / "best.yaml"
    trial = PLAIN | {"evaluation": evaluation or PLAIN["evaluation"]}
    file.write_text(yaml.safe_dump({"trial": trial, "origin": origin}))
    return StudyFids.of(make_plan(Order(file, 4, **{"device": "cpu"} | order)), PREPARED)


def test_the_same_training_has_the_same_fids_and_nothing_to_explain(tmp_path: Path) -> None:
    found = fids(tmp_path, KNOWN)
    assert found.differences == ()
    assert found.beside(1, 50.0) == ", the same as in the study"
    assert found.beside(2, 41.0) == ", 40.00 in the study"
    assert found.beside(3, 39.0) == ""
    assert fids(tmp_path, {}).differences == (), "not from a study"


def test_another_seed_and_another_fingerprint_are_another_training(tmp_path: Path) -> None:
    found = fids(tmp_path, KNOWN, seed=9)
    assert found.differences == (
        "its FIDs are not compared with the study's: it is another training, from seed 9 and not 5",
    )
    assert found.beside(1, 50.0) == ""
    assert fids(tmp_path, KNOWN, seed=5).differences == ()
    found = fids(tmp_path, KNOWN | {"fid_fingerprint": "other"})
    assert "the fingerprint is print, in the study it was other, so the data" in found.differences[0]
    assert found.beside(1, 50.0) == ""


def test_fids_of_fewer_images_are_shown_with_their_number(tmp_path: Path) -> None:
    evaluation = {"count": 300, "rung_count": 100}
    found = fids(tmp_path, KNOWN | {"full_count_at": [2]}, evaluation)
    assert found.differences == (
        "FIDs here are of 300 generated images, in the study of 100 at 1 kimg: with fewer the same generator's FID "
        "is noisier, and on average higher",
    )
    assert found.beside(1, 30.0) == ", 50.00 in the study of 100 images"
    assert found.beside(2, 40.0) == ", the same as in the study"


@pytest.mark.parametrize(
    ("then", "says"),
    [
        ({"torch": "2.1"}, f"torch is {version('torch')}, in the study it was 2.1"),
        ({"numpy": "1.0"}, f"numpy is {version('numpy')}, in the study it was 1.0"),
        ({"resources": {"cpus": 1, "gpus": 0.5}}, "it trains on a CPU, the study did on a GPU"),
    ],
)
def test_what_rounds_otherwise_is_named(then: dict[str, Any], says: str, tmp_path: Path) -> None:
    found = fids(tmp_path, KNOWN | {"versions": HERE | then})
    assert found.differences == (
        f"FIDs may differ from the study's: {says}, so sums round otherwise, and training enlarges that",
    )
    assert found.beside(1, 50.0) == ", the same as in the study"


def test_several_devices_round_otherwise_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.production.plan.usable_cores", lambda: 2)
    assert "each batch is split over 2 processes" in fids(tmp_path, KNOWN, devices=2).differences[0]
