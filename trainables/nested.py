"""Nested mappings as flat ones."""

from collections.abc import Mapping
from typing import Any


def flatten(nested: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by dotted name, each after `prefix`; an empty mapping is a leaf.

    >>> flatten({"loss": "hinge", "penalty": {"name": "r1", "extra": {}}})
    {'loss': 'hinge', 'penalty.name': 'r1', 'penalty.extra': {}}
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return flat
