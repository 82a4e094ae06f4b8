"""Paths as people write them: with `~`, and relative to the current folder."""

import copy
import os
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from trainables.errors import InvalidInput

M = TypeVar("M", bound=pydantic.BaseModel)

DATA_KEYS = ("path", "root")
"""Keys of data sources that say where the images are on one machine; a source has one at most."""

PATH_KEYS = (*(("data", key) for key in DATA_KEYS), ("evaluation", "extractor", "weights"))
"""Settings of a trial or a study that say where files are; what is in them is in the FID's fingerprint."""


def expanded(path: Path) -> Path:
    """The path with a leading `~` or `~user` replaced.

    Raises:
        InvalidInput: when there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InvalidInput(f"{path}: there is no such user's home; write the full path") from error


def absolute(path: Path) -> Path:
    """The path expanded, and from the current folder if it is relative.

    Raises:
        InvalidInput: when there is no such user, or the current folder was removed.
    """
    try:
        return expanded(path).absolute()
    except FileNotFoundError:
        raise InvalidInput(f"{path}: is relative, but the current folder was removed; change to another") from None


def located(model: M) -> M:
    """The same settings with every path in them `absolute`, so that they mean the same from another folder.

    Raises:
        InvalidInput: as `absolute`.
    """
    changes: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path):
            changes[name] = absolute(value)
        elif isinstance(value, pydantic.BaseModel):
            changes[name] = located(value)
    return model.model_copy(update=changes)


def with_paths_of(config: Mapping[str, Any], study: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a trial's plain settings with the paths (`PATH_KEYS`) of a study; blank without one, for comparison."""
    moved = copy.deepcopy(dict(config))
    for *way, key in PATH_KEYS:
        here, there = _below(moved, way), _below(study or {}, way)
        if key in here and (study is None or key in there):
            here[key] = there.get(key)
    return moved


def _below(config: Mapping[str, Any], way: Sequence[str]) -> Any:
    return reduce(lambda at, step: at.get(step, {}), way, config)


_ADDRESS = re.compile(r"(?:^|/)[A-Za-z][\w+.-]+:/")


def is_address(path: Path) -> bool:
    """Tell whether this was meant as an address: `s3://bucket/x`, of which `Path` keeps one slash."""
    return _ADDRESS.search(str(path)) is not None


def check_path(path: Path) -> Path:
    """Return `path` if the system can have a file of that name.

    Raises:
        ValueError: if it holds a null character or one that cannot be encoded, or is an address.
    """
    if b"\0" in os.fsencode(path):
        raise ValueError("a path cannot hold a null character; correct it")
    if is_address(path):
        raise ValueError("an address, but it must be a folder on this machine; mount it and give its path")
    return path


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for an impossible name too (`Path.is_file` raises for one too long)."""
    try:
        return os.path.isfile(path)  # noqa: PTH113
    except ValueError:  # a null character
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; False for an impossible name too."""
    try:
        return os.path.isdir(path)  # noqa: PTH112
    except ValueError:
        return False


def cache_folder() -> Path:
    """The user's cache of ganstudy: `$XDG_CACHE_HOME/ganstudy`, or `~/.cache/ganstudy`. It may not exist.

    Raises:
        InvalidInput: if there is neither that variable nor a home.
    """
    return expanded(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "ganstudy"
