"""The watchdog, in a process of its own: a hang ends, says where it was, and is not repeated."""

import errno
import os
import subprocess
import sys
from pathlib import Path

from trainables.errors import reason_of
from trainables.faults import Watchdog, cause_of, disk_remedy, is_disk_shut

HANG = """
import sys, threading
from pathlib import Path
from trainables.faults import Watchdog

def waits_for_ever():
    threading.Event().wait()

with Watchdog(Path(sys.argv[1]), 1.0).watching():
    waits_for_ever()
"""


def test_a_hang_ends_the_process_and_leaves_where_it_hung(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", HANG, str(tmp_path)], timeout=120, check=False)
    assert done.returncode == 1
    assert "waits_for_ever" in (tmp_path / "overdue.txt").read_text()
    cause = Watchdog(tmp_path, 1.0).overdue()
    assert cause is not None
    assert cause.startswith("deadline: no report within the deadline")
    Watchdog(tmp_path, None).forgive()
    assert Watchdog(tmp_path, 1.0).overdue() is None


def test_a_report_in_time_leaves_nothing(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path, 60.0)
    with watchdog.watching():
        assert watchdog.overdue() is None
    assert watchdog.overdue() is None
    assert list(tmp_path.iterdir()) == []


def test_the_reason_of_an_error_is_one_line_and_never_empty() -> None:
    assert reason_of(ValueError("one\n  two\tthree")) == "one two three"
    assert reason_of(ValueError("one\n  two\tthree"), most=6) == "one..."
    assert reason_of(AssertionError()) == reason_of(AssertionError(" \n")) == "AssertionError"


def test_a_disk_that_takes_no_more_is_known_and_its_remedy(tmp_path: Path) -> None:
    for number, remedy in (
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EROFS, "make that writable"),
    ):
        raised = OSError(number, os.strerror(number))
        for error in (raised, RuntimeError(f"a library's: {raised}")):
            assert is_disk_shut(error, tmp_path)
            assert disk_remedy(cause_of(error)) == remedy
    assert not is_disk_shut(OSError(errno.EACCES, os.strerror(errno.EACCES)), tmp_path)
