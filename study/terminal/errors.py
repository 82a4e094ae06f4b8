"""How the command line says what went wrong: one line on standard error, and an exit code; no box, no traceback."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from study.exit_codes import Interrupted
from trainables.errors import GanStudyError, InvalidInput

PROGRAM = "ganstudy"


class Commands(TyperGroup):
    """The commands; Ctrl-C in any of them is an error of ours, which typer would end in silence."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None


def run(app: typer.Typer) -> int:
    """Run the command that was typed; return the exit code."""
    with _terminable():
        return _run(app)


@contextmanager
def _terminable() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C is taken, wherever a command stands; only the main thread may say so."""
    # What was told to be ignored (`trap '' TERM`) stays so.
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) == signal.SIG_IGN:
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(app: typer.Typer) -> int:
    try:
        code = app(prog_name=PROGRAM, standalone_mode=False)
    except GanStudyError as error:
        _tell(str(error))
        return error.exit_code
    except KeyboardInterrupt:  # before a command began
        _tell("interrupted")
        return Interrupted.exit_code
    except typer.Abort:
        _tell("interrupted")
        return Interrupted.exit_code
    except Exception as error:
        # Typer brings its own copy of click or uses the installed one, by version: told apart by what they offer.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ != "NoArgsIsHelpError":  # which has printed the help
            _tell(_usage(error))
        return InvalidInput.exit_code
    return code if isinstance(code, int) else 0


def _usage(error: Any) -> str:
    """Click's message as ours are: where, what, and what to do next."""
    text = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return f"{text[:1].lower()}{text[1:]}; see: {path} --help"


def _tell(text: str) -> None:
    print(f"{PROGRAM}: {' '.join(text.split())}", file=sys.stderr)  # a path may hold a line break
