"""Parts of messages: commands that can be pasted as they are, and counts in words."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from study.folder import StudyFolder, storage_root
from trainables.display import printable

_NAME = "ganstudy"


def shown_path(path: Path) -> str:
    """Return `path`, relative if it is below the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def typed(*words: str | Path, folder: StudyFolder | None = None) -> str:
    """Return a ganstudy command line.

    Args:
        words: the command and its arguments.
        folder: of the study that the command is about; adds --storage if that is not the default.
    """
    storage = ["--storage", shown_path(folder.root)] if folder and folder.root != storage_root(None) else []
    return f"{_program()} {' '.join(_for_shell(str(word)) for word in (*words, *storage))}"


def again(file: Path, overrides: Sequence[str], storage: Path | None, address: str | None) -> str:
    """Return the launch that was typed, to resume it."""
    words = ["launch", str(file), *(word for override in overrides for word in ("--set", override))]
    words += ["--storage", str(storage)] if storage else []
    words += ["--address", address] if address else []
    return typed(*words)


def _for_shell(word: str) -> str:
    """Quote a word; one that is not printable by its bytes, in the form of bash, zsh and POSIX since 2024."""
    if word.isprintable():
        return shlex.quote(word)
    try:
        name = os.fsencode(word)
    except UnicodeEncodeError:  # no file has such a name
        return shlex.quote(printable(word))
    escaped = name.decode("latin-1").encode("unicode_escape").decode("ascii").replace("'", "\\'")
    return f"$'{escaped}'"


def _program() -> str:
    """Return how to call this very program: by its name if the shell finds it, else by its path."""
    here = Path(sys.argv[0])
    if here.name != _NAME:
        return _NAME
    found = shutil.which(_NAME)
    return _NAME if found and Path(found).samefile(here) else shown_path(here.absolute())


def counted(counts: Mapping[str, int]) -> str:
    """Return `{"reports": 1234, "images": 1}` as `1,234 reports, 1 image`."""
    return ", ".join(f"{n:,} {what.removesuffix('s') if n == 1 else what}" for what, n in counts.items())
