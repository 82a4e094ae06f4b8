"""Holds a command to its own code, before anything else of it is imported: here is only the standard library."""

import importlib.util
import sys
from pathlib import Path

_USAGE = 2


def keep_to_own_code(started: bool) -> None:
    """Let nothing that lies in the working directory or on PYTHONPATH go before this program's other packages.

    Args:
        started: whether by `python -m`, which puts the working directory in front of the path.

    Raises:
        SystemExit: in one line, if they are found elsewhere.
    """
    place = Path(__file__).resolve().parents[1]
    if started and not sys.flags.safe_path and Path(sys.path[0] or ".").resolve() != place:
        del sys.path[0]
    for package in ("trainables", "search_spaces"):
        spec = importlib.util.find_spec(package)
        found = spec.origin if spec else None
        if found is None or Path(found).resolve() != place / package / "__init__.py":
            what = f"is found in {found}" if found else "is not found"
            text = f"{package} {what}, and not in {place}, where study lies; mend PYTHONPATH, or install again"
            shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)  # as `trainables.display` does it
            print(f"ganstudy: {shown}", file=sys.stderr)
            raise SystemExit(_USAGE)
