"""Dotted paths of a `TrialConfig` ("penalty.weight") and the nested dictionaries that they stand for."""

from collections.abc import Mapping
from typing import Any

from search_spaces.hints import nearest
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.gan.config import TrialConfig
from trainables.variants import OneOf

GIVEN_BY_STUDY = ("data", "evaluation", "seed")
"""Fields that no space fills: a study has one of each for all trials, or one seed per trial."""


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `flatten`; no path may lie inside another."""
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, leaf = path.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = value
    return nested


def check_settable(path: str) -> str:
    """Return `path` if a space may fill the setting there.

    Raises:
        InvalidInput: if it lies in no field of `TrialConfig`, or in one that the study gives.
    """
    field = path.split(".")[0]
    if field in GIVEN_BY_STUDY:
        raise InvalidInput(f"{quoted(path)}: no space fills {field}; set it in the study file's own {field}")
    if field not in TrialConfig.model_fields:
        known = [name for name in TrialConfig.model_fields if name not in GIVEN_BY_STUDY]
        raise InvalidInput(f"{quoted(path)}: no such setting in a trial configuration; {nearest(field, known)}")
    return path


def full_path(key: str) -> str:
    """Return the path that `key` means: "penalty" is short for "penalty.name"."""
    field = TrialConfig.model_fields.get(key)
    named = field is not None and any(isinstance(note, OneOf) for note in field.metadata)
    return f"{key}.name" if named else key
