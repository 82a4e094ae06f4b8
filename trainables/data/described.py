"""A data set in plain values, for `ganstudy data describe` and its JSON."""

from dataclasses import asdict
from typing import Any

from trainables.data.images import Dataset, Split


def described(dataset: Dataset) -> dict[str, Any]:
    """What it holds and where that comes from: strings, numbers, lists and dictionaries."""
    facts: dict[str, Any] = {
        "name": dataset.name,
        "shape": list(dataset.train.images.shape[1:]),
        "images": {str(split): len(dataset.split(split)) for split in Split},
        "shared": bool(dataset.shared),
        "classes": dataset.classes,
        "class_counts": {str(split): list(dataset.class_counts(split)) or None for split in Split},
        "digest": dataset.digest,
    }
    if dataset.reading is not None:
        facts |= {
            "class_names": list(dataset.reading.class_names) or None,
            "splits_from": {str(split): origin for split, origin in dataset.reading.splits.items()},
            "classes_from": dataset.reading.labels,
            "formats_read": list(dataset.reading.formats),
            "passed_over": [asdict(one) for one in dataset.reading.passed_over],
        }
    return facts
