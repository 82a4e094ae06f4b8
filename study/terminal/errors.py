"""How the command line reports errors: one line on standard error, and an exit code; no box, no traceback."""

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
    """The commands; Ctrl-C in any of them is an error of ours, about which typer would say nothing."""

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
        os._exit(code)  # waiting for a dead Ray or a server that hangs can take for ever
    sys.exit(code)


def run(app: typer.Typer) -> int:
    """Run the command that was typed; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends no command
    try:
        with guarded_output(), _terminable(), _threads_told():
            return _run(app)
    except OutputFailed as error:  # at the last flush
        return _ended(error)


def held_up() -> bool:
    """Whether Ray is still there, or a thread of ours that was asked to end and given the time for it."""
    ray = sys.modules.get("ray")
    at_work = any(thread.name.startswith(f"{PROGRAM}-") for thread in threading.enumerate())
    return at_work or (ray is not None and ray.is_initialized())


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal like Ctrl-C at any point of a command; only the main thread can."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    in_main_thread = threading.current_thread() is threading.main_thread()
    # Ignored signals (`nohup`, `trap '' TERM`) stay ignored.
    numbers = [n for n in ENDING_SIGNALS if signal.getsignal(n) != signal.SIG_IGN] if in_main_thread else []
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _threads_told() -> Iterator[None]:
    """Report an exception that ends a thread in one line, too."""

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
        # By version, Typer has its own copy of click or uses the installed one: its errors are known by what they have.
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
    """Return click's message in the form of ours: where, what, and what to do next."""
    text = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else PROGRAM
    return f"{text[:1].lower()}{text[1:]}; see: {path} --help"


def _tell(text: str) -> None:
    with suppress(OSError):
        print(f"{PROGRAM}: {one_line(text)}", file=sys.stderr)  # it may quote anything
