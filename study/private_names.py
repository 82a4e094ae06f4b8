"""Private names of libraries, looked up so that one which has moved is None and no error."""

import pkgutil
from contextlib import suppress
from typing import Any


def found(name: str) -> Any:
    """Return what `"module:attribute.path"` names; None if it is not there."""
    with suppress(ImportError, AttributeError):
        return pkgutil.resolve_name(name)
    return None


def owner(name: str) -> tuple[Any, str]:
    """Return what holds a name, None if that is not there, and the name's last part."""
    module, _, path = name.partition(":")
    parent, _, last = path.rpartition(".")
    return found(f"{module}:{parent}"), last
