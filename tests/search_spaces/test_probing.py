"""Probes hold every pair of bounds and choices that can meet, in few rows."""

import random
from collections.abc import Mapping
from itertools import combinations

import pytest

from search_spaces.distributions import choice, integer, kind_of
from search_spaces.parameter import Condition, Parameter
from search_spaces.probing import pairwise
from search_spaces.registry import SPACES
from search_spaces.space import Space


def pairs(row: Mapping[str, object]) -> set[tuple[object, object]]:
    return set(combinations(row.items(), 2))


@pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))
def test_every_pair_that_random_rows_have_is_probed(space: Space) -> None:
    rng = random.Random(3)
    probed = {pair for row in space.probes() for pair in pairs(row)}
    for _ in range(1000):
        row = space.sample(lambda _, distribution: rng.choice(kind_of(distribution).probes(distribution)))
        assert pairs(row) <= probed


def test_rows_are_few_and_always_the_same() -> None:
    gan28 = SPACES["gan28"]
    rows = list(gan28.probes())
    assert len(rows) < 400
    assert rows == list(gan28.probes())


def test_two_free_choices_meet_in_as_many_rows_as_there_are_pairs() -> None:
    rows = list(pairwise([Parameter("a", choice(1, 2, 3)), Parameter("b", integer(5, 9))], {}))
    assert sorted((row["a"], row["b"]) for row in rows) == [(a, b) for a in (1, 2, 3) for b in (5, 9)]


def test_a_condition_holds_in_every_row() -> None:
    parameters = [Parameter("a", choice("x", "y")), Parameter("b", choice(1, 2), (Condition("a", ("y",)),))]
    rows = list(pairwise(parameters, {}))
    assert {("b" in row) == (row["a"] == "y") for row in rows} == {True}
    assert {(row["a"], row.get("b")) for row in rows} == {("x", None), ("y", 1), ("y", 2)}


def test_nothing_varies() -> None:
    assert list(pairwise([], {"loss": "hinge"})) == [{}]
