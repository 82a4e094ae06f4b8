"""The data set as an input of an MLflow run: name, fingerprint, source, shape, counts."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from study.ledger.events import StudyOpened
from study.views.seen_images import is_seen
from trainables.data.images import DataFacts
from trainables.display import redacted
from trainables.paths import DATA_KEYS

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

    from trainables.evaluation.prepare import Prepared

DATA = "data"
"""Where the opening launch writes `data_facts`, among the study's versions."""

SPLITS = ("train", "validation", "test")
_DIGEST_LENGTH = 36  # the most that MLflow takes


def data_facts(prepared: "Prepared") -> dict[str, Any]:
    """Return what the ledger keeps of a data set, to tell what a generator was trained on."""
    facts = prepared.dataset.facts
    return asdict(facts) | {"shape": list(facts.shape), "class_counts": list(facts.class_counts)}


def known_data(versions: Mapping[str, Any]) -> DataFacts | None:
    """Return the data set as the ledger knows it; None if an older ganstudy wrote it."""
    facts: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in versions.get(DATA, {}).items()}
    return DataFacts(**facts) if {field.name for field in fields(DataFacts)} <= facts.keys() else None


def data_input(opened: StudyOpened) -> "DatasetInput":
    """Return the study's data set as an input of its run; the digest is the FID's fingerprint."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    asked, facts = dict(opened.config.get("data", {})), opened.versions.get(DATA, {})
    name = str(asked.get("name", "unknown"))
    # Of a path on this machine only the last part is told.
    source = {key: PurePath(value).name if key in DATA_KEYS else value for key, value in asked.items() if value}
    evaluation = opened.config.get("evaluation", {})
    profile = {
        **{f"{split}_images": facts.get("images", {}).get(split) for split in SPLITS},
        "classes": facts.get("classes"),
        "fid_split": "train" if is_seen(opened.config) else evaluation.get("split"),
        "fid_generated_images": evaluation.get("count"),
    }
    return DatasetInput(
        Dataset(
            name=name,
            digest=opened.fingerprint[:_DIGEST_LENGTH],
            source_type="ganstudy",
            source=redacted(json.dumps(source)),
            schema=_schema(facts["shape"]) if "shape" in facts else None,
            profile=json.dumps({key: value for key, value in profile.items() if value is not None}),
        ),
        [InputTag("mlflow.data.context", "training")],
    )


def _schema(shape: list[int]) -> str:
    """Images as uint8 N x C x H x W, in the words of MLflow's tensor schema."""
    images = [{"name": "images", "type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1, *shape]}}]
    return json.dumps({"mlflow_tensorspec": {"features": json.dumps(images), "targets": None}})
