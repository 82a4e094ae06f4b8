"""Dotted places of a `TrialConfig` ("penalty.weight") and the nested dictionaries that they stand for."""

from collections.abc import Mapping
from typing import Any

from search_spaces.hints import nearest
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.gan.config import TrialConfig
from trainables.variants import OneOf

GIVEN_BY_STUDY = ("data", "evaluation", "seed")
"""Fields that no space fills: a study has one of each for all trials, or one seed per trial."""


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by dotted place."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `flatten`; no place may lie inside another."""
    nested: dict[str, Any] = {}
    for place, value in flat.items():
        *parents, leaf = place.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = value
    return nested


def check_settable(place: str) -> str:
    """Return `place` if a space may fill it.

    Raises:
        InvalidInput: if it lies in no field of `TrialConfig`, or in one that the study gives.
    """
    field = place.split(".")[0]
    if field in GIVEN_BY_STUDY:
        raise InvalidInput(f"{quoted(place)}: no space fills {field}; set it in the study file's own {field}")
    if field not in TrialConfig.model_fields:
        known = [name for name in TrialConfig.model_fields if name not in GIVEN_BY_STUDY]
        raise InvalidInput(f"{quoted(place)}: no such place in a trial configuration; {nearest(field, known)}")
    return place


def full_path(key: str) -> str:
    """Return the place that `key` means: "penalty" is short for "penalty.name"."""
    field = TrialConfig.model_fields.get(key)
    named = field is not None and any(isinstance(note, OneOf) for note in field.metadata)
    return f"{key}.name" if named else key
