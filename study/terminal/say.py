"""How commands talk: prose in one line, what to type next, and one line that tells what is being done."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from study.exit_codes import Interrupted
from study.terminal.hints import shown_path
from study.terminal.output import OutputClosed
from study.terminal.screen import Screen, ShownFormatter
from trainables.display import shown
from trainables.files import is_standard_output

Say = Callable[[str, bool], None]
"""`say(text, done)` shows progress; `done` tells that what the text is about is complete."""


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print prose of one line, which the terminal may break."""
    console.print(text, soft_wrap=True, style=style)


def say_written(console: Console, file: Path, text: str) -> None:
    """Say what was written to a file that the user named: on standard error where that is standard output."""
    say(Screen(stderr=True) if is_standard_output(file) else console, f"{shown_path(file)}: {text}")


def suggest(console: Console, steps: Iterable[tuple[str, str]]) -> None:
    """Print commands to type, each with what it is for."""
    for command, what in steps:
        console.print(Text.assemble(f"  {shown(command)}", (f"   # {what}", "dim")), soft_wrap=True)


@contextmanager
def goes_on(command: str) -> Iterator[None]:
    """Have who interrupts the block, or closes the output of its work, read which command goes on.

    Raises:
        Interrupted: instead of KeyboardInterrupt.
        OutputClosed: the same with a text.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; no result is lost, go on with: {command}") from None
    except OutputClosed:
        raise OutputClosed(f"nobody reads the output any more; no result is lost, go on with: {command}") from None


def say_behind(console: Console, why: str | None, sync: str) -> None:
    """Say that MLflow lacks something and `why`, if so, and that the command `sync` brings it."""
    if why:
        say(console, f"MLflow is behind ({why}); nothing is lost: {sync}")


def show_warnings(console: Console) -> None:
    """Have the warnings of all libraries printed there, as lines between the others."""
    handler = RichHandler(console=console, show_path=False)
    handler.setFormatter(ShownFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


@contextmanager
def progress_line(console: Console) -> Iterator[Say]:
    """Give `show(text, done)`: on a terminal one line is redrawn until a text is `done`, elsewhere each is printed."""
    if not console.is_terminal:
        yield lambda text, done: say(console, text)
        return
    with console.status("loading the data") as status:

        def show(text: str, done: bool) -> None:
            status.update("" if done else Text(shown(text)))
            if done:
                say(console, text)

        yield show
