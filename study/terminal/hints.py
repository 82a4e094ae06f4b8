"""Commands that ganstudy tells people to type next, so that they can be pasted as they are."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from study.folder import StudyFolder
from study.ledger.catalogue import storage_root

_NAME = "ganstudy"


def shown_path(path: Path) -> str:
    """Return `path`, relative where it lies below the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def typed(*words: str | Path, folder: StudyFolder | None = None) -> str:
    """Return a ganstudy command line.

    Args:
        words: the command and its arguments.
        folder: of the study that the command is about; adds --storage where it is not the default.
    """
    storage = ["--storage", shown_path(folder.root)] if folder and folder.root != storage_root(None) else []
    return f"{_program()} {shlex.join([*map(str, words), *storage])}"


def again(file: Path, overrides: Sequence[str], storage: Path | None, address: str | None) -> str:
    """Return the launch that was typed, to resume it."""
    words = ["launch", str(file)]
    for override in overrides:
        words += ["--set", override]
    words += ["--storage", str(storage)] if storage else []
    words += ["--address", address] if address else []
    return typed(*words)


def _program() -> str:
    """Return how this very program is called: by its name if the shell finds it, else by its path."""
    here = Path(sys.argv[0])
    if here.name != _NAME:
        return _NAME
    found = shutil.which(_NAME)
    return _NAME if found and Path(found).samefile(here) else shown_path(here.absolute())
