"""`space: {fix: {precision: auto}}`: settled when a study file is read, so that a study's record says what it was."""

from collections.abc import Mapping
from typing import Any

import torch

from search_spaces.registry import SPACES
from search_spaces.space import Space
from trainables.errors import InvalidInput
from trainables.precision import has_bf16

AUTO = "auto"
NO_LOSS: Mapping[str, frozenset[str]] = {"cpu": frozenset({"mlp"}), "cuda": frozenset()}
"""By device the models whose FIDs in bf16 are shown to be no worse: benchmarks/quality.py, docs/performance.md."""


def settle_precision(data: Mapping[str, Any]) -> None:
    """Replace an `auto` in a study file's data by `bf16`, or by `float32` where one of these does not hold.

    The processor of this machine multiplies bfloat16, and every model of the space is one that trains no worse with it.
    Other mistakes in `data` are left for those who validate it.
    """
    space = data.get("space")
    if not isinstance(space, dict) or not isinstance(fixed := space.get("fix"), dict) or fixed.get("precision") != AUTO:
        return
    fixed["precision"] = "float32"
    device = _device(data.get("resources"))
    if has_bf16(device) and _models(space) <= NO_LOSS[device]:
        fixed["precision"] = "bf16"


def _device(resources: Any) -> str:
    gpus = resources.get("gpus", AUTO) if isinstance(resources, dict) else AUTO
    return "cuda" if gpus != 0 and torch.cuda.is_available() else "cpu"


def _models(choice: Mapping[str, Any]) -> frozenset[str]:
    """The models of a study's space; a name that none has where the space is not valid."""
    try:
        base: Space = SPACES[choice.get("base", "gan28")]
        space = base.narrowed(choice.get("narrow", {})).fixed(choice["fix"])
        return frozenset(str(space.places_of(params)["model.name"]) for params in space.probes())
    except (InvalidInput, KeyError, TypeError, AttributeError, ValueError):
        return frozenset({""})
