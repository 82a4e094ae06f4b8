"""How the command line says what went wrong: one line on standard error, and an exit code; no box, no traceback."""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from study.exit_codes import ENDING_SIGNALS, Interrupted
from study.terminal.output import OutputFailed, guarded_output, open_standard_streams
from study.terminal.unexpected import unexpected
from trainables.display import one_line
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


def main(app: typer.Typer) -> NoReturn:
    """Run the command that was typed, and end the process with its exit code."""
    open_standard_streams()
    code = run(app)
    if held_up():
        logging.shutdown()
        os._exit(code)  # to wait for a Ray that is dead, or a server that hangs, can take for ever
    sys.exit(code)


def run(app: typer.Typer) -> int:
    """Run the command that was typed; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no name ends a command where the terminal lacks its letters
    try:
        with guarded_output(), _terminable(), _threads_told():
            return _run(app)
    except OutputFailed as error:  # at the last flush
        return _ended(error)


def held_up() -> bool:
    """Whether Ray, or a thread of ours that was asked to end and waited for as long as makes sense, is still there."""
    ray = sys.modules.get("ray")
    at_work = any(thread.name.startswith(f"{PROGRAM}-") for thread in threading.enumerate())
    return at_work or (ray is not None and ray.is_initialized())


@contextmanager
def _terminable() -> Iterator[None]:
    """Take SIGTERM, and a closed terminal, as Ctrl-C is taken, wherever a command stands; only the main thread may."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    in_main_thread = threading.current_thread() is threading.main_thread()
    # What was told to be ignored (`nohup`, `trap '' TERM`) stays so.
    numbers = [n for n in ENDING_SIGNALS if signal.getsignal(n) != signal.SIG_IGN] if in_main_thread else []
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _threads_told() -> Iterator[None]:
    """Tell in one line of an exception that ended a thread, too."""

    def tell(ended: threading.ExceptHookArgs) -> None:
        if isinstance(ended.exc_value, Exception):
            name = ended.thread.name if ended.thread else "one that has ended"
            _tell(f"in thread {name}: {unexpected(ended.exc_value)}")

    before, threading.excepthook = threading.excepthook, tell
    try:
        yield
    finally:
        threading.excepthook = before


def _run(app: typer.Typer) -> int:
    try:
        code = app(prog_name=PROGRAM, standalone_mode=False)
    except GanStudyError as error:
        return _ended(error)
    except (KeyboardInterrupt, typer.Abort):  # the first: before a command began
        return _ended(Interrupted("interrupted"))
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        # Typer brings its own copy of click or uses the installed one, by version: told apart by what they offer.
        if not hasattr(error, "format_message"):
            _tell(unexpected(error))
            return GanStudyError.exit_code
        if type(error).__name__ != "NoArgsIsHelpError":  # which has printed the help
            _tell(_usage(error))
        return InvalidInput.exit_code
    return code if isinstance(code, int) else 0


def _ended(error: GanStudyError) -> int:
    if text := str(error):
        _tell(text)
    return error.exit_code


def _usage(error: Any) -> str:
    """Click's message as ours are: where, what, and what to do next."""
    text = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return f"{text[:1].lower()}{text[1:]}; see: {path} --help"


def _tell(text: str) -> None:
    with suppress(OSError):
        print(f"{PROGRAM}: {one_line(text)}", file=sys.stderr)  # whatever it quotes
