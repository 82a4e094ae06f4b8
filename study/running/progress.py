"""How a running study is shown: a live table on a terminal, one line per event elsewhere."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from study.ledger.events import AttemptStarted, Ended, Event, Reported
from study.running.board import Board, Line
from study.terminal.fitted import Fitted
from study.views.tables import STATE_STYLES, duration, number

_SHOWN_FINISHED = 12


class Progress(AbstractContextManager["Progress"]):
    """Base: follows the events of a study."""

    def __init__(self, console: Console, board: Board, halted: Callable[[], str | None] = lambda: None) -> None:
        self.console = console
        self.board = board
        self.halted = halted
        self._began = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Take an event and show it."""
        self.show(event, self.board.take(event))

    def show(self, event: Event, line: Line | None) -> None:
        """Show what `event` changed."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def headline(self) -> str:
        """Return how far the study is, in one line."""
        board, parts = self.board, []
        parts.append(f"{board.finished}/{board.total} {board.what} done")
        if (best := board.best) is not None and not best.record.seed:
            parts.append(f"best FID {number(best.record.fid_best)} (trial {best.record.number})")
        parts.append(f"{duration(time.monotonic() - self._began)} elapsed")
        if why := self.halted():
            return f"{', '.join(parts)}; {why}, ending cleanly (Ctrl-C again: at once)"
        left = board.seconds_left()
        if left is not None and board.finished < board.total:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


class Lines(Progress):
    """One line per event, for logs and pipes."""

    def show(self, event: Event, line: Line | None) -> None:
        """Print what happened."""
        if line is None:
            return
        text = {AttemptStarted: self._started, Reported: self._reported, Ended: self._ended}.get(type(event))
        if text:
            self.console.print(f"{self.board.name(line.record.id)}  {text(line)}", soft_wrap=True)

    def _started(self, line: Line) -> str:
        if line.record.attempts > 1:
            return f"started again (attempt {line.record.attempts}) from its last checkpoint"
        return f"started    {line.what} [{line.record.group if line.record.seed else line.record.origin}]"

    def _reported(self, line: Line) -> str:
        return (
            f"{line.record.kimg:4d} kimg  FID {number(line.record.fid)} (best {number(line.record.fid_best)})"
            f"  {line.images_per_second:.0f} images/s"
        )

    def _ended(self, line: Line) -> str:
        trial = line.record
        why = f" at rung {trial.rung} kimg" if trial.rung else f": {trial.cause}" if trial.cause else ""
        if trial.test_fid is not None:
            why = f": FID {number(trial.test_fid)} on test images, of its generator of {trial.chosen} kimg"
        return f"{line.state}{why}; {self.headline()}"


class LiveTable(Progress):
    """A table that is redrawn in place."""

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live = Live(get_renderable=self._draw, console=self.console, refresh_per_second=2)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last table on the screen."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        rows: list[list[str | Text]] = [
            [
                self.board.name(line.record.id).removeprefix("trial").strip(),
                Text(line.state, STATE_STYLES.get(line.state, "")),
                str(line.record.kimg),
                str(line.record.rung or ""),
                number(line.record.fid),
                number(line.record.fid_best),
                f"{line.images_per_second:.0f}" if line.images_per_second else "",
                duration(line.elapsed),
                line.record.cause or line.what,
            ]
            for line in self._visible()
        ]
        return Group(Fitted(_COLUMNS, rows, _OPTIONAL), Text(self.headline(), "bold"))

    def _visible(self) -> list[Line]:
        """Running trials and the newest finished ones."""
        lines = list(self.board.lines.values())
        finished = sorted((line for line in lines if line.ended), key=lambda line: line.ended or 0.0)
        shown = {line.record.id for line in finished[-_SHOWN_FINISHED:]}
        return [line for line in lines if line.state == "running" or line.record.id in shown]


_COLUMNS = [
    ("trial", "right"),
    ("state", "left"),
    ("kimg", "right"),
    ("rung", "right"),
    ("FID", "right"),
    ("best", "right"),
    ("images/s", "right"),
    ("time", "right"),
    ("configuration", "left"),
]
_OPTIONAL = ("images/s", "rung", "time", "best")  # what a narrow terminal does without, the least important first


def progress(console: Console, board: Board, halted: Callable[[], str | None] = lambda: None) -> Progress:
    """Return the display that fits `console`; `halted` tells why the run is ending before its time, if it is."""
    redrawn = console.is_terminal and not console.is_dumb_terminal
    return (LiveTable if redrawn else Lines)(console, board, halted)
