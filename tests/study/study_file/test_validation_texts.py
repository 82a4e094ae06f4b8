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
        ({"evaluation": {"extractor": "resnet"}}, "write it as {name: ...}: classifier, inception"),
        ({"evaluation": {"metrics": "kid"}}, "evaluation.metrics = 'kid': write it as a list: [kid]"),
        ({"data": "digits"}, "data = 'digits': write it as {name: digits}"),
        ({"data": {}}, "'data.name' is missing: choose one of fashion_mnist,"),
        ({"data": {"name": "cats"}}, "data.name = 'cats': choose one of fashion_mnist,"),
        ({"data": FOLDER | {"size": 4}}, "f: data.size = 4: "),
        ({"data": {"name": "folder", "path": "x"}}, "'data.size' is missing"),
        ({"data": FOLDER | {"sise": 4}}, "unknown key 'data.sise'; did you mean 'size'?"),
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
    for word in ("discriminator", "folder.", "digits.", "literal[", ".int", ".float", "tuple", "tag"):
        assert word not in text
