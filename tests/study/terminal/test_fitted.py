"""Tables on narrow terminals: columns are left out in their order, numbers are never cut."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from study.terminal.fitted import Fitted

COLUMNS = [("trial", "right"), ("FID", "right"), ("rung", "right"), ("configuration", "left")]
ROWS = [["0", "123.45", "27", "dcgan-32 hinge spectral 1.0e-03/2.0e-03"], ["11", "7.50", "", "mlp"]]


def drawn(width: int, optional: tuple[str, ...] = ("rung", "configuration"), rows: list[list[str]] = ROWS) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(Fitted(COLUMNS, rows, optional))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_with_room_everything_is_there() -> None:
    # 5 + 6 + 4 + 39 characters and three gaps of 2: it just fits into 60.
    lines = drawn(60)
    assert lines[1].rstrip() == "    0  123.45    27  dcgan-32 hinge spectral 1.0e-03/2.0e-03"
    assert len(lines[1].rstrip()) == 60


def test_prose_is_broken_between_words() -> None:
    lines = drawn(45)
    assert [line.rstrip() for line in lines[1:4]] == [
        "    0  123.45    27  dcgan-32 hinge spectral",
        "                     1.0e-03/2.0e-03",
        "   11    7.50        mlp",
    ]


def test_prose_that_takes_more_lines_is_cut_with_an_ellipsis() -> None:
    """24 wide, three lines or one of them."""
    rows = [["0", "123.45", "27", "one two three four five six " * 4]]
    assert [line.rstrip()[21:] for line in drawn(45, rows=rows)[1:]] == [
        "one two three four five",
        "six one two three four",
        "five six one two three…",
    ]
    console = Console(width=45, file=io.StringIO(), color_system=None)
    console.print(Fitted(COLUMNS, rows, lines=1))
    assert console.file.getvalue().splitlines()[1] == "    0  123.45    27  one two three four five…"  # type: ignore[attr-defined]


def test_columns_go_in_their_order() -> None:
    # Prose keeps 24: 5 + 2 + 6 + 2 + 4 + 2 + 24 = 45 is the least with the rung, 39 without.
    assert "rung" in drawn(45)[0]
    assert "rung" not in drawn(44)[0]
    assert "config" in drawn(39)[0]
    assert "config" not in drawn(38)[0]


@given(width=st.integers(14, 100), fid=st.floats(0, 1e6), trial=st.integers(0, 99_999))
def test_numbers_are_whole_or_not_there(width: int, fid: float, trial: int) -> None:
    row = [str(trial), f"{fid:.2f}", "81", "upsample-64 relativistic"]
    lines = drawn(width, rows=[row])
    assert all(len(line) <= width for line in lines)
    if 5 + 2 + len(row[1]) <= width:
        assert row[1] in lines[1].split()
        assert row[0] in lines[1].split()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_table_without_rows_has_a_head(width: int) -> None:
    assert drawn(width, rows=[])[0].split() == ["trial", "FID", "rung", "configuration"]
