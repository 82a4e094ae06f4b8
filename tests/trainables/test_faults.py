"""The watchdog, in a process of its own: a hang ends, says where it was, and is not repeated."""

import subprocess
import sys
from pathlib import Path

from trainables.faults import Watchdog

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


def test_a_report_in_time_leaves_nothing(tmp_path: Path) -> None:
    watchdog = Watchdog(tmp_path, 60.0)
    with watchdog.watching():
        assert watchdog.overdue() is None
    assert watchdog.overdue() is None
    assert list(tmp_path.iterdir()) == []
