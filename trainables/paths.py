"""Paths as people write them: with `~`, and relative to the current folder."""

import os
from pathlib import Path
from typing import TypeVar

import pydantic

from trainables.errors import InvalidInput

M = TypeVar("M", bound=pydantic.BaseModel)


def expanded(path: Path) -> Path:
    """The path with a leading `~` or `~user` replaced.

    Raises:
        InvalidInput: when there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InvalidInput(f"{path}: there is no such user's home; write the path out") from error


def absolute(path: Path) -> Path:
    """The path expanded, and from the current folder if it is relative.

    Raises:
        InvalidInput: when there is no such user, or the current folder was removed.
    """
    try:
        return expanded(path).absolute()
    except FileNotFoundError:
        raise InvalidInput(f"{path}: is relative, and the current folder was removed; change to another") from None


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


def check_path(path: Path) -> Path:
    """Return `path` if the system can have a file of that name.

    Raises:
        ValueError: if it holds a null character, or one that no file name can be written with.
    """
    if b"\0" in os.fsencode(path):
        raise ValueError("a path cannot hold a null character; correct it")
    return path
