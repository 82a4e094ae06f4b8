"""`dataset.json`, the labels of archives that StyleGAN's `dataset_tool.py` makes (Karras et al. 2019 to 2021)."""

import json
from collections.abc import Mapping
from typing import Any

from trainables.errors import CorruptInput, InvalidInput, reason_of

_LARGEST = 2**20
"""The largest class: an array of that many counts is still small."""


def read_labels(content: bytes, where: str) -> Mapping[str, int] | None:
    """The class of each file, by its path relative to the folder of `dataset.json`.

    Args:
        content: `{"labels": [["00000/img00000000.png", 3], ...]}`, or labels null.
        where: the file, for messages.

    Returns:
        None where labels are null.

    Raises:
        NoLabelFile: when it is some other JSON file.
        InvalidInput: when labels are no classes 0, 1, 2..., or a file has two.
        CorruptInput: when it is no JSON.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CorruptInput(f"{where}: not JSON ({reason_of(error, most=80)}); replace it, or remove it") from error
    if not isinstance(data, dict) or "labels" not in data:
        raise NoLabelFile(f'{where}: has no "labels"; write {{"labels": [["FILE", CLASS], ...]}}')
    pairs = data["labels"]
    if pairs is None:
        return None
    if isinstance(pairs, dict):
        pairs = list(pairs.items())
    if not isinstance(pairs, list):
        raise InvalidInput(f'{where}: "labels" is no list; write {{"labels": [["FILE", CLASS], ...]}}')
    labels: dict[str, int] = {}
    for pair in pairs:
        name, label = _pair(pair, where)
        if labels.setdefault(name, label) != label:
            raise InvalidInput(f"{where}: {name} has the labels {labels[name]} and {label}; keep one")
    return labels


class NoLabelFile(InvalidInput):
    """A `dataset.json` that is something else."""


def _pair(pair: Any, where: str) -> tuple[str, int]:
    match pair:
        case [str(name), int(label)] if not isinstance(label, bool) and 0 <= label < _LARGEST:
            return name.replace("\\", "/").removeprefix("./"), label
    raise InvalidInput(
        f'{where}: label {json.dumps(pair)[:80]}; each is ["FILE", CLASS] with a class 0, 1, 2...: correct it, or set '
        "data.labels: none"
    )
