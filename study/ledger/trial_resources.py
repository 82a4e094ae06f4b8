"""What each trial of a study reserves, as its ledger knows it: for CPU and GPU seconds."""

from collections.abc import Iterator, Mapping
from typing import Any

RESOURCES = "resources"
"""Where the opening launch writes what `auto` came to, among the study's versions."""


def trial_resources(config: Mapping[str, Any], versions: Mapping[str, Any]) -> dict[str, float]:
    """Return `cpus` and `gpus` of one trial.

    What the study file says counts; for `auto` what the first launch found. A ledger from before that was written has
    1 CPU and no GPU there: on a machine with GPUs that is too few.
    """
    found = {"cpus": 1.0, "gpus": 0.0, **versions.get(RESOURCES, {})}
    asked = config.get("resources", {})
    return {name: float(value if asked.get(name, "auto") == "auto" else asked[name]) for name, value in found.items()}


def held_device(resources: Mapping[str, float]) -> tuple[str, float]:
    """Return what a trial is told by, "GPU", or "CPU" where it has none, and how many it reserves."""
    return ("GPU", resources["gpus"]) if resources["gpus"] else ("CPU", resources["cpus"])


def device_seconds(resources: Mapping[str, float], metrics: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yield `cpu_seconds` and, where a trial has any of a GPU, `gpu_seconds`.

    Seconds of training and evaluation times what the trial reserved: what it kept from others, used or not.
    """
    if "train_seconds" in metrics:
        seconds = metrics["train_seconds"] + metrics.get("eval_seconds", 0.0)
        yield from ((f"{name[:-1]}_seconds", seconds * amount) for name, amount in resources.items() if amount)
