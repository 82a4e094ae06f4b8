"""How commands talk: prose in one line, and one line that tells what is being done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

Say = Callable[[str, bool], None]
"""`say(text, done)` shows progress; `done` tells that what the text is about is complete."""


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print prose of one line, which the terminal may break."""
    console.print(text, highlight=False, markup=False, soft_wrap=True, style=style)


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
