"""Ledgers from before a retraining was a trial with a seed: their rows, and where their retrainings lie, as of now."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from study.folder import StudyFolder

_Values = dict[str, Any]


def _planned(values: _Values) -> _Values:
    return {"group": "confirm", **values}


def _of_seed(values: _Values) -> _Values:
    return {("seed" if name == "index" else name): value for name, value in values.items()}


def _ended(values: _Values) -> _Values:
    return {"rung": None, **_of_seed(values)}


_KINDS: Mapping[str, tuple[str, Callable[[_Values], _Values]]] = {
    "confirmation_planned": ("retraining_planned", _planned),
    "retraining_started": ("attempt_started", _of_seed),
    "retraining_reported": ("reported", _of_seed),
    "retraining_ended": ("ended", _ended),
}


def newer(kind: str, body: str) -> tuple[str, str]:
    """Return kind and body of a row as they are written now; its key is the same."""
    if kind not in _KINDS:
        return kind, body
    name, change = _KINDS[kind]
    try:
        return name, json.dumps(change(json.loads(body)))
    except (ValueError, AttributeError, TypeError, RecursionError):  # no JSON object: reading it says so
        return name, body


def seed_folder(folder: StudyFolder, trial: int, index: int) -> Path:
    """Where the `index`-th retraining lies that `ganstudy noise` made of a trial."""
    return folder.path / "noise" / f"trial-{trial:04d}" / f"seed-{index}"
