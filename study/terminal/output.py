"""Standard output and standard error that fail in one line, in silence, or not at all."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from study.exit_codes import OUTPUT_CLOSED
from trainables.errors import GanStudyError


class OutputFailed(GanStudyError):
    """Standard output cannot be written: a full disk, say."""


class OutputClosed(OutputFailed):
    """The reader of standard output has ended, as `head` does. A command then ends in silence, as SIGPIPE ends others.

    Not with 0, as its output was cut off; nor by the signal, which a server's socket can raise as well.
    """

    exit_code = OUTPUT_CLOSED


class _Stream:
    """A text stream that raises only `OutputFailed`.

    Text for a closed terminal is dropped (SIGHUP ends the command cleanly), and so is text that standard error cannot
    take: no work ends because nobody can read about it.
    """

    def __init__(self, stream: TextIO, needed: bool) -> None:
        self._stream = stream
        self._may_vanish = not needed or stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._failing():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._failing():
            self._stream.flush()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # for what is buffered, and is written again at the end
            os.close(nowhere)
            if self._may_vanish:
                return
            if error.errno == errno.EPIPE:
                raise OutputClosed from None
            raise OutputFailed(f"standard output: {error.strerror}; what was printed is not complete") from None


@contextmanager
def guarded_output() -> Iterator[None]:
    """Make `sys.stdout` and `sys.stderr` raise only `OutputFailed` while the block runs; flush them at its end.

    Raises:
        OutputFailed: if standard output could not be written.
    """
    before = sys.stdout, sys.stderr
    output, errors = _Stream(sys.stdout, needed=True), _Stream(sys.stderr, needed=False)
    sys.stdout, sys.stderr = output, errors
    try:
        yield
        output.flush()
        errors.flush()
    finally:
        sys.stdout, sys.stderr = before


def open_standard_streams() -> None:
    """Open closed streams (`>&-`) on /dev/null, or the next file, a ledger, would become standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    nowhere = Path(os.devnull)
    sys.stdout = sys.stdout or nowhere.open("w")
    sys.stderr = sys.stderr or nowhere.open("w")
