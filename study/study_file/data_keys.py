"""What people type for a data set, a source's name or a path, as the keys of a study file's `data`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.data import SOURCES, Dataset
from trainables.display import quoted
from trainables.errors import DataNotFound
from trainables.nearest import did_you_mean

_FOLDER_SIZE = 32  # pixels: small enough for a first study


def to_bring_back(began: Mapping[str, Any]) -> str:
    """Return what to do when a study's data are no longer those it began with, by the settings it began with."""
    data = began["data"]
    if data["name"] == "folder" and "splits" not in data:  # an older ganstudy's
        return (
            "this ganstudy takes sub-folders called train, val and test as splits, has the labels of a dataset.json "
            "and reads more suffixes, unlike the one that began the study: if that is why, go on with that one"
        )
    return "bring back the data it began with"


def is_path(data: str) -> bool:
    """Whether `data` names a place and not a source: a source's name may be that of a folder of images too."""
    return data not in SOURCES or (Path(data).exists() and "path" in SOURCES[data].model_fields)


def keys_of_path(data: str, command: str) -> dict[str, Any]:
    """Return the keys for the images at a path.

    Raises:
        DataNotFound: if there is nothing.
    """
    data = os.path.expanduser(data)  # noqa: PTH111 - maybe no path
    if not os.path.exists(data):  # noqa: PTH110 - Path's own raises for a name that is too long
        sets = [name for name, source in SOURCES.items() if "path" not in source.model_fields]
        hint = f"{did_you_mean(data, sets)} choose".lstrip()
        raise DataNotFound(
            f"{command} {quoted(data)}: neither a data set nor a path; {hint} one of {', '.join(sets)}, "
            "a folder or archive of images, or an .npz file"
        )
    return {"name": "npz" if Path(data).suffix == ".npz" else "folder", "path": data}


def sized(keys: dict[str, Any], size: int | None) -> dict[str, Any]:
    """Return the keys with a size: as asked for, else as the source has it, for a folder 32 pixels."""
    if size is not None:
        return keys | {"size": size}
    needed = SOURCES[keys["name"]].model_fields["size"].is_required()
    return keys | ({"size": _FOLDER_SIZE} if needed else {})


def extractor_keys(dataset: Dataset) -> dict[str, Any]:
    """The keys of an evaluation that fits the data: one that needs no classes where there are none."""
    return {} if dataset.classes else {"extractor": {"name": "self_supervised"}}
