"""How commands talk: one line of prose, what to type next, and a line of progress."""

import logging
import re
import textwrap
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
    """Print a line of prose; on a terminal it is broken between words, and never in a command to copy."""
    text = shown(text)
    console.print(broken(text, console.width) if console.is_terminal else text, soft_wrap=True, style=style)


_COMMAND = re.compile(r"(?:[^\s`]*/)?ganstudy [a-z-]+(?: (?:'[^']*'|[^\s;`)]+))*")
_GLUE = "\ue000"  # in place of a command's spaces while lines are broken: it has no other use


def broken(text: str, width: int) -> str:
    """Break `text` between words into lines of at most `width`.

    A command that is longer has a line of its own; lines that are indented, as code is, stay as they are.
    """
    return "\n".join(line if line.startswith("  ") else _broken(line, width) for line in text.split("\n"))


def _broken(line: str, width: int) -> str:
    glued = _COMMAND.sub(lambda command: command[0].replace(" ", _GLUE), line)
    lines = textwrap.wrap(glued, width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(_GLUE, " ")


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
        line = Text.assemble(f"  {shown(command)}", (f"   # {what}", "dim"))
        if console.is_terminal and len(line) > console.width:
            line = Text.assemble((f"  # {what}\n", "dim"), f"  {shown(command)}")
        console.print(line, soft_wrap=True)


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
