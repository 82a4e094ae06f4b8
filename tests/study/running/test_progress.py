"""The displays of a running study: a table redrawn on a terminal, a line per event elsewhere; what counts is whole."""

import io
import re

import pytest
from rich.console import Console
from test_board import begin, made, report

from study.ledger.events import AttemptStarted, Reported
from study.ledger.rows import Row
from study.running.board import Board
from study.running.progress import Lines, LiveTable, progress
from study.study_file.schedule import Schedule


def board() -> Board:
    shown = made(Schedule(max_kimg=81, grace_kimg=27), trials=3, concurrency=2)
    begin(shown, 0)
    report(shown, 0, 27)
    begin(shown, 1)
    return shown


def console(width: int, terminal: bool = False, dumb: bool = False) -> Console:
    environment = {"TERM": "dumb" if dumb else "xterm"}
    return Console(width=width, file=io.StringIO(), force_terminal=terminal, _environ=environment)


def text(of: Console) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", of.file.getvalue())  # type: ignore[attr-defined]


def test_a_terminal_gets_a_table_and_all_else_lines() -> None:
    assert isinstance(progress(console(80, terminal=True), board()), LiveTable)
    assert isinstance(progress(console(80), board()), Lines)
    assert isinstance(progress(console(80, terminal=True, dumb=True), board()), Lines)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_fits_and_keeps_state_budget_and_fid(width: int) -> None:
    screen = console(width, terminal=True)
    with progress(screen, board()):
        pass
    lines = text(screen).splitlines()
    assert max(map(len, lines)) <= width
    assert any(re.search(r"0 +running +27 .*1\.00", line) for line in lines)
    assert "0/3 trials done, best FID 1.00 (trial 0)" in text(screen)


def test_after_ctrl_c_it_says_that_it_is_ending() -> None:
    screen = console(140, terminal=True)
    with progress(screen, board(), lambda: "interrupted by SIGINT"):
        pass
    assert "interrupted by SIGINT, ending cleanly (Ctrl-C again: at once)" in text(screen)
    assert "left" not in text(screen).splitlines()[-1], "there is no forecast for what will not run"


def test_lines_are_whole_however_narrow_the_pipe() -> None:
    pipe = console(40)
    shown = progress(pipe, board())
    for event in (
        AttemptStarted(0, 2),
        Reported(0, 54, 2, {"fid": 2.0, "fid_best": 1.0, "images_per_second": 1000.0}),
    ):
        shown.board.fold.take(Row(shown.board.fold.position + 1, 0.0, 1, event))
        shown(event)
    assert text(pipe).splitlines() == [
        "trial    0  started again (attempt 2) from its last checkpoint",
        "trial    0    54 kimg  FID 2.00 (best 1.00)  1000 images/s",
    ]
