"""Errors of configurations in one line, in the words of the file and not in those of the validator."""

from typing import Any

import pytest

from study.study_file.config import StudyConfig
from trainables.errors import InvalidInput
from trainables.validation import validated

STUDY = {"name": "new", "data": {"name": "digits"}, "trials": 3, "schedule": {"grace_kimg": 1, "max_kimg": 3}}
FOLDER = {"name": "folder", "path": "x", "size": 32}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"evaluation": {"extractor": "inception"}},
            "extractor = 'inception': write it as {name: inception}",
        ),
        ({"evaluation": {"extractor": "resnet"}}, "write it as {name: ...}: classifier, self_supervised, inception"),
        ({"evaluation": {"metrics": "kid"}}, "evaluation.metrics = 'kid': write it as a list: [kid]"),
        ({"data": "digits"}, "data = 'digits': write it as {name: digits}"),
        ({"data": {}}, "'data.name' is missing: choose one of fashion_mnist,"),
        ({"data": {"name": "cats"}}, "data.name = 'cats': choose one of fashion_mnist,"),
        ({"data": {"name": "fashon_mnist"}}, "'fashon_mnist': did you mean 'fashion_mnist'? choose one of"),
        ({"data": FOLDER | {"size": 4}}, "f: data.size = 4: "),
        ({"data": {"name": "folder", "path": "x"}}, "'data.size' is missing"),
        ({"data": FOLDER | {"sise": 4}}, "unknown key 'data.sise'; did you mean 'size'?"),
        ({"lr": 1e-3}, "at space.fix.generator_optimiser.lr or space.fix.discriminator_optimiser.lr"),
        ({"learning_rate": 1e-3}, "it belongs at space.fix.generator_optimiser.lr or "),
        ({"max_kimg": 3}, "unknown key 'max_kimg'; it belongs at schedule.max_kimg"),
        ({"epochs": 3}, "unknown key 'epochs'; it belongs at schedule.max_kimg"),
        ({"gpus": 1}, "unknown key 'gpus'; it belongs at resources.gpus"),
        ({"space": {"batch_size": 64}}, "unknown key 'space.batch_size'; it belongs at space.fix.batch_size"),
        ({"evaluation": {"trials": 3}}, "unknown key 'evaluation.trials'; it belongs at trials"),
        ({"evaluation": {"seed": 3}}, "unknown key 'evaluation.seed'; it belongs at seed"),
        ({"grace_kimgs": 3}, "unknown key 'grace_kimgs'; did you mean 'schedule.grace_kimg'?"),
        ({"cuteness": 3}, "unknown key 'cuteness'; remove it"),
        ({"concurrency": "all"}, "f: concurrency = 'all': "),
        ({"resources": {"gpus": "all"}}, "'auto'"),
        ({"space": "quick"}, "space = 'quick': expected keys and values below it"),
        ({"name": "trials", "trials": 0}, "f: trials = 0: "),
        ({"trials": 0, "seed": -1}, "(and 1 more)"),
    ],
)
def test_places_and_advice_are_the_users(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        validated(StudyConfig, STUDY | change, "f")
    text = str(refused.value)
    assert says in text
    assert "\n" not in text
    for word in ("folder.", "digits.", "literal[", ".int", ".float", "tuple", "tag"):
        assert word not in text


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"fix": {"loss": "wasserstein"}}, "or set space.base to one that has it: gan28, gan32, "),
        ({"narrow": {"loss": ["hinge", "wasserstein"]}}, "or set space.base to one that has it: gan28, "),
        ({"narrow": {"penalty.name": ["r1"]}}, "or set space.base to one that has it: gan28, "),
    ],
)
def test_what_a_space_lacks_is_told_with_the_spaces_that_have_it(space: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        validated(StudyConfig, STUDY | {"space": {"base": "quick"} | space}, "f")


@pytest.mark.parametrize("space", [{"fix": {"loss": "wassersteen"}}, {"fix": {"lr": 1}}])
def test_what_no_space_has_is_told_without_another(space: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        validated(StudyConfig, STUDY | {"space": {"base": "quick"} | space}, "f")
    assert "space.base" not in str(refused.value)
