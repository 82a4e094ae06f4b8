"""`space: {fix: {precision: auto}}`: settled when a study file is read, so that a study's record says what it was."""

from collections.abc import Mapping
from typing import Any, Literal

import torch

from search_spaces.space import Space
from trainables.precision import PRECISIONS, has_bf16

AUTO = "auto"
NO_LOSS: Mapping[str, frozenset[str]] = {"cpu": frozenset({"mlp", "dcgan"}), "cuda": frozenset()}
"""By device the models whose FIDs in bf16 are shown to be no worse: benchmarks/quality.py, docs/performance.md."""


def recorded_precision(fixed: Mapping[str, Any]) -> str | None:
    """Return what `auto` came to when a study began, perhaps on another machine, by what its record fixes."""
    recorded = fixed.get("precision")
    return recorded if recorded in PRECISIONS else None


def settled_precision(space: Space, gpus: float | Literal["auto"]) -> str:
    """Return what `auto` comes to for trials of a space, each with `gpus` (as in a study file) on this machine.

    `bf16` where the processor multiplies it and every model of the space trains no worse with it, else `float32`.
    """
    device = "cuda" if gpus and torch.cuda.is_available() else "cpu"
    models = {space.settings_of(params)["model.name"] for params in space.probes()}
    return "bf16" if has_bf16(device) and models <= NO_LOSS[device] else "float32"
