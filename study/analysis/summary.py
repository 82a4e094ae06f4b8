"""A trial's configuration in a few words."""

from collections.abc import Mapping
from typing import Any


def summary(config: Mapping[str, Any]) -> str:
    """Return a trial's configuration in a few words: model, loss, penalty, normalisation of D, learning rates."""
    model = config["model"]
    words = [f"{model['name']}-{model.get('width', '')}", config["loss"]]
    words += [word for word in (config["penalty"]["name"], config["normalisation"]) if word != "none"]
    rates = [f"{config[key]['lr']:.1e}" for key in ("generator_optimiser", "discriminator_optimiser")]
    return " ".join([*words, "/".join(rates)])
