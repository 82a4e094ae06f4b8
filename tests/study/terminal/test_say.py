"""Prose on a narrow terminal: lines end between words, and a command stays one line, to be copied."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from study.terminal.say import broken, say, suggest

NOISE = "ganstudy noise quickstart --storage 'my studies'"


def printed(width: int, terminal: bool, text: str) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, force_terminal=terminal)
    say(console, text)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_lines_end_between_words() -> None:
    assert broken("a small lead may be luck", 14) == "a small lead\nmay be luck"
    assert broken("conditional-spaces of a study", 12) == "conditional-spaces\nof a study", "hyphens stay"


@pytest.mark.parametrize("program", ["ganstudy", ".venv/bin/ganstudy"])
@pytest.mark.parametrize("width", [10, 40, 60, 80])
def test_a_command_is_never_broken(width: int, program: str) -> None:
    command = NOISE.replace("ganstudy", program)
    text = broken(f"it is not measured: a small lead may be luck; measure it: {command}; then look", width)
    assert any(command in line for line in text.splitlines())


@given(st.lists(st.text("abc-;:.`", min_size=1, max_size=12), max_size=30), st.integers(12, 100))
def test_nothing_is_lost_and_no_line_is_too_long(words: list[str], width: int) -> None:
    lines = broken(" ".join(words), width).splitlines()
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)


def test_a_pipe_has_one_line() -> None:
    text = f"a small lead may be luck; measure it: {NOISE}"
    assert printed(30, False, text) == f"{text}\n"
    assert printed(30, True, text) == f"a small lead may be luck;\nmeasure it:\n{NOISE}\n"


def test_what_a_command_is_for_stands_above_it_where_there_is_no_room_behind_it() -> None:
    for width, lines in ((80, [f"  {NOISE}   # how noisy"]), (60, ["  # how noisy", f"  {NOISE}"])):
        console = Console(width=width, file=io.StringIO(), color_system=None, force_terminal=True)
        suggest(console, [(NOISE, "how noisy")])
        assert console.file.getvalue().splitlines() == lines  # type: ignore[attr-defined]


def test_code_and_lines_of_their_own_stay_as_they_are() -> None:
    code = "  images = model(torch.randn(16, 64))  # float32, 16 x 1 x 28 x 28"
    assert broken(f"load it where torch is:\n{code}\nor elsewhere", 20).split("\n") == [
        "load it where torch",
        "is:",
        code,
        "or elsewhere",
    ]
