"""How a running study is shown: a live table on a terminal, one line per event elsewhere."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from study.ledger.events import AttemptStarted, Ended, Event, Reported
from study.running.board import Board, Line
from study.terminal.fitted import Column, Fitted
from study.views.tables import STATE_STYLES, duration, number

_SHOWN_FINISHED = 12


class Display(AbstractContextManager["Display"]):
    """Base: follows the events of a study."""

    def __init__(self, console: Console, board: Board, halted: Callable[[], str | None] = lambda: None) -> None:
        self.console = console
        self.board = board
        self.halted = halted
        self._began = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Take an event and show it."""
        if (line := self.board.take(event)) is not None:
            self.show(event, line)

    def show(self, event: Event, line: Line) -> None:
        """Show what `event` changed."""

    def __exit__(self, *error: object) -> None:
        """End."""

    def headline(self) -> str:
        """Return how far the study is, in one line."""
        board = self.board
        parts = [f"{board.finished}/{board.total} {board.what} done"]
        if (best := board.best) is not None and not best.record.seed:
            parts.append(f"best FID {number(best.record.fid_best)} (trial {best.record.number})")
        parts.append(f"{duration(time.monotonic() - self._began)} elapsed")
        if why := self.halted():
            return f"{', '.join(parts)}; {why}, ending cleanly (Ctrl-C again: at once)"
        left = board.seconds_left()
        if left is not None and board.finished < board.total:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


class Lines(Display):
    """One line per event, for logs and pipes."""

    def show(self, event: Event, line: Line) -> None:
        """Print what happened."""
        trial = line.record
        if isinstance(event, AttemptStarted):
            text = f"started    {line.what} [{trial.group if trial.seed else trial.origin}]"
            if trial.attempts > 1:
                text = f"started again (attempt {trial.attempts}) from its last checkpoint"
        elif isinstance(event, Reported):
            text = (
                f"{trial.kimg:4d} kimg  FID {number(trial.fid)} (best {number(trial.fid_best)})"
                f"  {line.images_per_second:.0f} images/s"
            )
        elif isinstance(event, Ended):
            why = f" at rung {trial.rung} kimg" if trial.rung else f": {trial.cause}" if trial.cause else ""
            if trial.test_fid is not None:
                why = f": FID {number(trial.test_fid)} on test images, of its generator of {trial.chosen} kimg"
            text = f"{line.state}{why}; {self.headline()}"
        else:
            return
        self.console.print(f"{self.board.name(trial.id)}  {text}", soft_wrap=True)


class LiveTable(Display):
    """A table that is redrawn in place."""

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live = Live(get_renderable=self._draw, console=self.console, refresh_per_second=2)
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the last table on the screen."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        columns: list[Column[Line]] = [("trial", "right", self._name), *_COLUMNS]
        return Group(Fitted.of(self._visible(), columns, _OPTIONAL, lines=1), Text(self.headline(), "bold"))

    def _name(self, line: Line) -> str:
        return self.board.name(line.record.id).removeprefix("trial").strip()

    def _visible(self) -> list[Line]:
        """Running trials and the newest finished ones."""
        lines = list(self.board.lines.values())
        finished = sorted((line for line in lines if line.ended), key=lambda line: line.ended or 0.0)
        shown = {line.record.id for line in finished[-_SHOWN_FINISHED:]}
        return [line for line in lines if line.state == "running" or line.record.id in shown]


_COLUMNS: list[Column[Line]] = [
    ("state", "left", lambda line: Text(line.state, STATE_STYLES.get(line.state, ""))),
    ("kimg", "right", lambda line: str(line.record.kimg)),
    ("rung", "right", lambda line: str(line.record.rung or "")),
    ("FID", "right", lambda line: number(line.record.fid)),
    ("best", "right", lambda line: number(line.record.fid_best)),
    ("images/s", "right", lambda line: f"{line.images_per_second:.0f}" if line.images_per_second else ""),
    ("time", "right", lambda line: duration(line.elapsed)),
    ("configuration", "left", lambda line: line.record.cause or line.what),
]
_OPTIONAL = ("images/s", "rung", "time", "best")  # what a narrow terminal does without, the least important first


def progress(console: Console, board: Board, halted: Callable[[], str | None] = lambda: None) -> Display:
    """Return the display that fits `console`; `halted` tells why the run is ending before its time, if it is."""
    redrawn = console.is_terminal and not console.is_dumb_terminal
    return (LiveTable if redrawn else Lines)(console, board, halted)
