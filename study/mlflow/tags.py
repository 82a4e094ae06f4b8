"""The tags by which a study's runs are found and kept up to date, and how earlier versions of ganstudy called them.

MLflow's pages hide tags that begin with `mlflow.`, so they show only what people read.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_HIDDEN = "mlflow.ganstudy."

UID = f"{_HIDDEN}uid"
"""What a run is known by: the study's uid; below it, after a `/`, that of a trial or retraining."""

STUDY = f"{_HIDDEN}study"
"""The study's uid, in all its runs."""

KIND = f"{_HIDDEN}kind"
"""`study`, `trial` or `retraining`."""

SEQ = f"{_HIDDEN}seq"
"""The watermark: rows of the ledger up to it are in the run."""

ORDER = f"{_HIDDEN}order"
"""The tag by which trials are sorted as `ganstudy best` ranks them; see `study.mlflow.view.order`."""

NOTE_SEQ = f"{_HIDDEN}note"
"""Of a study's run: the last row that its description knows of."""

DIGESTS = f"{_HIDDEN}files"
"""Of a study's run: the digest of each of its files, so that only changed files are sent again."""

PARENT = "mlflow.parentRunId"

NOTE = "mlflow.note.content"
"""What MLflow's pages show as a run's description, in Markdown."""

_VISIBLE = "ganstudy."
_EARLIER = {name: _VISIBLE + name.removeprefix(_HIDDEN) for name in (UID, STUDY, KIND, SEQ, ORDER, NOTE_SEQ, DIGESTS)}
_GONE = ("ganstudy.group", "ganstudy.version.", "ganstudy.trials.", "ganstudy.confirmation.")
"""Beginnings of tags that earlier versions wrote and this one does not."""


def earlier(name: str) -> str:
    """Return how earlier versions called a tag of this file."""
    return _EARLIER[name]


def known(tags: Mapping[str, str], name: str) -> str:
    """Return the value of a tag, by its name now or in earlier versions; "" without."""
    return tags.get(name) or tags.get(_EARLIER[name], "")


def row_of(tags: Mapping[str, str]) -> int:
    """Return the last row of the ledger that a run has, by whatever version; -1 without."""
    return int(seq) if (seq := known(tags, SEQ)).isdecimal() else -1


def of_earlier_version(tags: Mapping[str, str]) -> bool:
    """Whether an earlier version wrote the rows that the run has: then it lacks what this one writes of them."""
    return SEQ not in tags and _EARLIER[SEQ] in tags


def renew(client: "MlflowClient", run: "Run") -> None:
    """Give a run of an earlier version the tags by which it is found, and take away what is no longer shown."""
    from mlflow.entities import RunTag

    tags, run_id = run.data.tags, run.info.run_id
    if UID not in tags:
        lasting = [RunTag(name, tags[_EARLIER[name]]) for name in (UID, STUDY, KIND) if _EARLIER[name] in tags]
        client.log_batch(run_id, tags=lasting, synchronous=True)
    for name in tags:
        if name in _EARLIER.values() or name.startswith(_GONE):
            client.delete_tag(run_id, name)
