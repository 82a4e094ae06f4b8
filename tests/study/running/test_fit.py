"""A space that its data does not allow is refused in one line, and what the line says to write mends it."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console
from toys import toy_config

from search_spaces.registry import SPACES
from study.ledger.records import Fold
from study.running import driver, launch
from study.running.fit import check_fit
from trainables.data import Dataset, LabelledImages
from trainables.errors import InvalidInput


def data(size: int = 28, channels: int = 1, count: int = 300, classes: int | None = 10) -> Dataset:
    labels = None if classes is None else np.arange(count) % classes
    part = LabelledImages(np.full((count, channels, size, size), 7, np.uint8), labels)
    return Dataset("made", part, part, part, classes)


def refusal(space: dict[str, Any], dataset: Dataset) -> str:
    with pytest.raises(InvalidInput) as caught:
        check_fit(toy_config(space=space), dataset)
    message = str(caught.value)
    assert "\n" not in message
    return message


FITTING = [(name, size, channels) for name in SPACES for size, channels in ((28, 1), (32, 3), (64, 3))]


@pytest.mark.parametrize(("base", "size", "channels"), FITTING)
def test_spaces_fit_labelled_images_of_usual_sizes(base: str, size: int, channels: int) -> None:
    check_fit(toy_config(space={"base": base}), data(size, channels))


@pytest.mark.parametrize("base", sorted(SPACES.keys() - {"conditional"}))
def test_only_conditional_needs_labels(base: str) -> None:
    check_fit(toy_config(space={"base": base}), data(classes=None))


MENDED: dict[str, tuple[str, Dataset, list[str], dict[str, Any]]] = {
    "an odd size": ("gan28", data(size=30), ["model.name dcgan", "not 30"], {"model.name": ["mlp"]}),
    "few images": (
        "gan28",
        data(count=100),
        ["batch_size", "128", "256", "made has only 100"],
        {"batch_size": [32, 64]},
    ),
    "many classes": (
        "conditional",
        data(classes=30),
        ["latent.dimension 16", "30 classes"],
        {"latent.dimension": {"low": 30}},
    ),
}


@pytest.mark.parametrize(("base", "dataset", "words", "narrowed"), MENDED.values(), ids=list(MENDED))
def test_the_advice_mends_the_study(base: str, dataset: Dataset, words: list[str], narrowed: dict[str, Any]) -> None:
    message = refusal({"base": base}, dataset)
    for word in words:
        assert word in message
    found = re.search(r"space\.narrow: (\{.*\}), or use other data", message)
    assert found is not None
    advice = yaml.safe_load(found[1])
    assert {key: sorted(v) if isinstance(v, list) else v for key, v in advice.items()} == narrowed
    check_fit(toy_config(space={"base": base, "narrow": advice}), dataset)


def test_no_value_fits() -> None:
    message = refusal({"base": "conditional"}, data(classes=None))
    assert "conditioning.name" in message
    assert "made has none" in message
    assert "choose another space.base" in message


def test_what_is_fixed_cannot_be_narrowed() -> None:
    message = refusal({"base": "gan28", "fix": {"model": "resnet"}}, data(size=30))
    assert "model.name resnet" in message
    assert "space.fix" in message


def test_a_launch_is_refused_before_ray_starts(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise AssertionError("Ray was started")

    def prepare(source: object, evaluation: object, fits: Callable[[Dataset], None], cached: bool) -> None:
        fits(data(size=30))
        raise AssertionError("an extractor was prepared")

    monkeypatch.setattr(launch, "prepare", prepare)
    monkeypatch.setattr(driver, "connected", started)
    config = toy_config(space={"base": "gan28"}, storage={"path": str(tmp_path / "runs")})
    with pytest.raises(InvalidInput, match=r"model\.name .* space\.narrow"):
        launch.launch(config, None, Console(quiet=True), Fold())
    assert not (tmp_path / "runs").exists()
