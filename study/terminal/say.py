"""How commands talk: prose in one line, what to type next, and one line that tells what is being done."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.text import Text

Say = Callable[[str, bool], None]
"""`say(text, done)` shows progress; `done` tells that what the text is about is complete."""


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print prose of one line, which the terminal may break."""
    console.print(text, highlight=False, markup=False, soft_wrap=True, style=style)


def suggest(console: Console, steps: Iterable[tuple[str, str]]) -> None:
    """Print commands to type, each with what it is for."""
    for command, what in steps:
        console.print(Text.assemble(f"  {command}", (f"   # {what}", "dim")), highlight=False, soft_wrap=True)


def say_behind(console: Console, why: str | None, sync: str) -> None:
    """Say that MLflow lacks something and `why`, if so, and that the command `sync` brings it."""
    if why:
        say(console, f"MLflow is behind ({why}); nothing is lost: {sync}")


def show_warnings(console: Console) -> None:
    """Have the warnings of all libraries printed there, as lines between the others."""
    handler = RichHandler(console=console, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])


@contextmanager
def progress_line(console: Console) -> Iterator[Say]:
    """Give `show(text, done)`: on a terminal one line is redrawn until a text is `done`, elsewhere each is printed."""
    if not console.is_terminal:
        yield lambda text, done: say(console, text)
        return
    with console.status("loading the data") as status:

        def show(text: str, done: bool) -> None:
            status.update("" if done else escape(text))
            if done:
                say(console, text)

        yield show
