"""FIDs against images that the GAN was trained on, which `data.splits: all` gives: said wherever an FID is shown."""

from collections.abc import Mapping
from typing import Any

SEEN = "FIDs are measured against the images that the GAN trains on (data.splits: all)"


def is_seen(config: Mapping[str, Any]) -> bool:
    """Whether the settings of a study or a trial measure FIDs against train images."""
    return bool(config.get("data", {}).get("splits") == "all")


def seen_lines(config: Mapping[str, Any]) -> list[str]:
    """What to say below FIDs of such settings: a line or none."""
    return [SEEN] if is_seen(config) else []


def split_words(split: str, config: Mapping[str, Any]) -> str:
    """Name the real images of an evaluation: `validation split`, or that they are the train images."""
    return "train images (data.splits: all)" if is_seen(config) else f"{split} split"
