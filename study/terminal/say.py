"""How commands talk: one line of prose, what to type next, and a line of progress."""

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
"""`say(text, done)` shows progress; `done`: the step that the text describes is complete."""


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line of prose, which the terminal may break."""
    console.print(text, soft_wrap=True, style=style)


def say_warnings(console: Console, texts: Iterable[str]) -> None:
    """Print what to be careful of, a line each."""
    for text in texts:
        say(console, f"warning: {text}", "yellow")


def say_written(console: Console, file: Path, text: str) -> None:
    """Say what was written to a file that the user named: on standard error if that file is standard output."""
    say(Screen(stderr=True) if is_standard_output(file) else console, f"{shown_path(file)}: {text}")


def suggest(console: Console, steps: Iterable[tuple[str, str]]) -> None:
    """Print commands to type, each with what it is for."""
    for command, what in steps:
        console.print(Text.assemble(f"  {shown(command)}", (f"   # {what}", "dim")), soft_wrap=True)


@contextmanager
def goes_on(command: str) -> Iterator[None]:
    """Tell whoever interrupts the block, or closes its output, which command resumes it.

    Raises:
        Interrupted: instead of KeyboardInterrupt.
        OutputClosed: with a text.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; no result is lost, go on with: {command}") from None
    except OutputClosed:
        raise OutputClosed(f"the output was closed; no result is lost, go on with: {command}") from None


def say_behind(console: Console, why: str | None, sync: str) -> None:
    """If `why`, say that MLflow lacks something and why, and that the command `sync` brings it."""
    if why:
        say(console, f"MLflow is behind ({why}); nothing is lost: {sync}")


def show_warnings(console: Console) -> None:
    """Print the warnings of all libraries to `console`, as lines between the others."""
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
