"""Makes a command import its own code. Runs before any other import of ours, with the standard library only."""

import importlib.util
import sys
from pathlib import Path

_USAGE = 2


def keep_to_own_code(started: bool) -> None:
    """Refuse packages in the working directory or on PYTHONPATH that hide this program's own.

    Args:
        started: by `python -m`, which puts the working directory first on the path.

    Raises:
        SystemExit: in one line, if a package is found elsewhere.
    """
    root = Path(__file__).resolve().parents[1]
    if started and not sys.flags.safe_path and Path(sys.path[0] or ".").resolve() != root:
        del sys.path[0]
    for package in ("trainables", "search_spaces"):
        spec = importlib.util.find_spec(package)
        found = spec.origin if spec else None
        if found is None or Path(found).resolve() != root / package / "__init__.py":
            what = f"is found in {found}" if found else "is not found"
            text = f"{package} {what}, not in {root} with study; fix PYTHONPATH, or install again"
            shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)  # as `trainables.display` does it
            print(f"ganstudy: {shown}", file=sys.stderr)
            raise SystemExit(_USAGE)
