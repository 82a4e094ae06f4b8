"""What `ganstudy spaces` prints is whole on a narrow terminal, for every space."""

from io import StringIO

import pytest
from rich.console import Console

from search_spaces.registry import SPACES
from search_spaces.space import Space
from study.views.space import print_space, print_spaces

WIDTH = 80


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))
def test_nothing_of_a_space_is_cut(space: Space) -> None:
    console = Console(file=StringIO(), width=WIDTH)
    print_space(space, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= WIDTH for line in text.splitlines())
    printed = set(words(text))
    for row in space.rows():
        assert {row.name, row.kind, *words(row.range), *words(row.when)} <= printed
    for baseline in space.baselines:
        assert {baseline.name, *words(baseline.source)} <= printed


def test_parameters_stand_below_the_condition_that_they_need() -> None:
    console = Console(file=StringIO(), width=WIDTH)
    print_space(SPACES["quick"], console)
    lines = [line.strip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines[lines.index("where model.name is mlp") + 1].startswith("mlp.width")
    assert lines[lines.index("the same in every trial") + 1].startswith("latent.name")


def test_the_list_has_every_space_whole() -> None:
    console = Console(file=StringIO(), width=WIDTH)
    print_spaces(SPACES.values(), console)
    printed = set(words(console.file.getvalue()))  # type: ignore[attr-defined]
    for space in SPACES.values():
        assert {space.name, str(len(space.parameters)), *words(space.description)} <= printed
