"""The `ganstudy` command as a process of its own, for tests with real parts."""

import subprocess
import sys
from pathlib import Path

PATIENCE = 600.0  # seconds for anything at all, on a machine however busy: only when a test gives up


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of `ganstudy` with these arguments."""
    return [sys.executable, "-m", "study.cli", *map(str, arguments)]


def ganstudy(*arguments: str | Path, code: int = 0) -> str:
    """Run it to its end, which is to be `code`; return its standard output, and with a failure its errors."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + (done.stderr if code else "")
