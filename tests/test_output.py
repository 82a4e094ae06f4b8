"""Output that fails, and errors that nobody foresaw: real commands at real pipes, full devices and closed terminals."""

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from command_line import command

from study.cli import app
from study.terminal import output
from study.terminal.errors import run

COMMANDS = (["--help"], ["--version"], ["spaces"], ["spaces", "show", "gan28"], ["spaces", "--json"], ["list"])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_full_device_is_one_line(words: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command(*words), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert line == "ganstudy: standard output: No space left on device; what was printed is not complete"
    assert done.returncode == 1


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_reader_that_has_ended_ends_a_command_in_silence(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command(*words), stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_standard_streams_that_are_closed_are_no_error(tmp_path: Path) -> None:
    line = " ".join(command("list", "--storage", tmp_path))
    done = subprocess.run(f"{line} <&- >&- 2>&-", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    wrong = " ".join(command("status", "nosuch", "--storage", tmp_path))
    for closed in ("2>&-", "2>/dev/full"):
        done = subprocess.run(f"{wrong} {closed}", shell=True, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """`broken(work)` runs a command that does `work`; returns its exit code and the one line on standard error."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(sys, "argv", ["ganstudy", "status", "x"])

    def left(work: Any) -> tuple[int, str]:
        monkeypatch.setattr("study.commands.results.status", work)
        code = run(app)
        (line,) = capfd.readouterr().err.splitlines()
        return code, line

    return left


def raising(error: BaseException) -> Any:
    def work(*arguments: object) -> None:
        raise error

    return work


def test_an_error_that_nobody_foresaw_is_one_line_with_its_traceback_in_a_file(broken: Any) -> None:
    code, line = broken(raising(TypeError("of two\nlines")))
    assert code == 1
    found = re.fullmatch(
        r"ganstudy: unexpected TypeError: of two lines; the traceback is in (\S+); please report it", line
    )
    assert found, line
    kept = Path(found[1])
    assert "in work" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_without_any_folder_the_line_says_where_it_came_from(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    code, line = broken(raising(TypeError("x")))
    assert code == 1
    assert re.search(r"the traceback ends at \S+test_output.py:\d+; please report it$", line), line


class Panic(BaseException):
    """As Rust's, in Python."""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "MemoryError: there is not enough memory; free some, or raise its limit (ulimit -v); "),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "DefaultCPUAllocator: can't allocate memory: there is not enough memory; ",
        ),
        (OSError(24, "Too many open files", "/x"), "/x: Too many open files: too many files are open; raise the "),
        (OSError(28, "No space left on device"), "No space left on device: make room; the same command goes on; "),
        (RecursionError("maximum depth"), "unexpected RecursionError: maximum depth; "),
        (Panic("of Rust"), "unexpected Panic: of Rust; "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_is_of_the_machine_says_what_to_do(error: BaseException, says: str, broken: Any) -> None:
    code, line = broken(raising(error))
    assert code == 1
    assert line.startswith(f"ganstudy: {says}")


def test_an_error_that_ends_a_thread_is_one_line(broken: Any) -> None:
    def work(*arguments: object) -> None:
        thread = threading.Thread(target=raising(TypeError("x")), name="some")
        thread.start()
        thread.join()

    code, line = broken(work)
    assert code == 0
    assert line.startswith("ganstudy: in thread some: unexpected TypeError: x; the traceback is in ")


def test_a_closed_terminal_is_taken_as_ctrl_c(broken: Any) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert broken(lambda *arguments: signal.raise_signal(signal.SIGHUP)) == (130, "ganstudy: interrupted")
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_said_to_a_terminal_that_was_closed_does_not_matter() -> None:
    ours, its = os.openpty()
    with os.fdopen(its, "w") as terminal:
        stream = output._Stream(terminal, needed=True)
        os.close(ours)
        for _ in range(2):
            stream.write("words")
            stream.flush()
