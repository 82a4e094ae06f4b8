"""`precision: auto` becomes bf16 where the hardware has it and every model of the space is known to lose nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.study_file import auto_precision
from study.study_file.config import read_study
from trainables.errors import InvalidInput
from trainables.gan.models import MODELS


def settled(tmp_path: Path, space: dict[str, Any], **more: Any) -> Any:
    file = tmp_path / "study.yaml"
    data = {"name": "toy", "data": {"name": "fashion_mnist"}, "trials": 1, "space": space, **more}
    file.write_text(yaml.safe_dump(data | {"schedule": {"grace_kimg": 1, "max_kimg": 3}}))
    config = read_study(file)
    assert config.space.resolve().constants["precision"] == config.space.fix["precision"]
    return config.space.fix["precision"]


@pytest.mark.parametrize("here", [True, False])
@pytest.mark.parametrize(
    ("space", "known"),
    [
        ({"base": "quick", "fix": {"precision": "auto", "model.name": "mlp"}}, True),
        ({"base": "quick", "narrow": {"model.name": ["mlp"]}, "fix": {"precision": "auto"}}, True),
        ({"base": "quick", "fix": {"precision": "auto"}}, True),
        ({"base": "gan28", "fix": {"precision": "auto", "model.name": "sndcgan"}}, False),
        ({"base": "gan28", "fix": {"precision": "auto"}}, False),
    ],
)
def test_it_is_bf16_where_the_hardware_and_every_model_allow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: dict[str, Any], known: bool, here: bool
) -> None:
    monkeypatch.setattr(auto_precision, "has_bf16", lambda device: here)
    assert settled(tmp_path, space, resources={"gpus": 0}) == ("bf16" if known and here else "float32")


@pytest.mark.parametrize(("gpus", "device"), [("auto", "cuda"), (0.5, "cuda"), (0, "cpu")])
def test_the_device_that_will_train_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: Any, device: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(auto_precision, "has_bf16", lambda device: bool(asked.append(device)) or True)
    monkeypatch.setattr(auto_precision.torch.cuda, "is_available", lambda: True)
    space = {"base": "quick", "fix": {"precision": "auto", "model.name": "mlp"}}
    assert settled(tmp_path, space, resources={"gpus": gpus}) == ("bf16" if device == "cpu" else "float32")
    assert asked == [device]


@pytest.mark.parametrize("recorded", ["bf16", "float32"])
def test_a_study_that_has_begun_keeps_what_it_came_to_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: str
) -> None:
    monkeypatch.setattr(auto_precision, "has_bf16", lambda device: recorded != "bf16")
    begun = tmp_path / "runs" / "toy" / "study.yaml"
    begun.parent.mkdir(parents=True)
    begun.write_text(yaml.safe_dump({"space": {"base": "quick", "fix": {"precision": recorded}}}))
    space = {"base": "quick", "fix": {"precision": "auto"}}
    assert settled(tmp_path, space, storage={"path": str(tmp_path / "runs")}) == recorded


@pytest.mark.parametrize("precision", ["bf16", "float32"])
def test_what_is_said_is_taken(tmp_path: Path, precision: str) -> None:
    assert settled(tmp_path, {"base": "quick", "fix": {"precision": precision}}) == precision


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"base": "nowhere", "fix": {"precision": "auto"}}, "nowhere"),
        ({"base": "quick", "fix": {"precision": "auto", "model.name": "vae"}}, "vae"),
        ({"base": "quick", "narrow": 3, "fix": {"precision": "auto"}}, "narrow"),
        ({"base": ["quick"], "fix": {"precision": "auto"}}, "base"),
    ],
)
def test_other_mistakes_are_told_as_ever(tmp_path: Path, space: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        settled(tmp_path, space)


def test_models_are_known_to_lose_nothing_where_the_committed_measurement_says_so() -> None:
    result = json.loads((Path(__file__).parents[3] / "benchmarks" / "results" / "quality.json").read_text())
    shown = {name for name, of in result["compared"].items() if of["less_plain"]["bf16"]["no_loss"]}
    assert {"cpu": shown, "cuda": set()} == auto_precision.NO_LOSS
    assert shown <= set(MODELS)
