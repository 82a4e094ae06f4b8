"""A study as files and parameters of its MLflow run: no credentials, and the same content is not sent twice."""

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from study.mlflow.runs import ProjectedRun
from study.mlflow.values import flatten
from study.study_file.config import is_changeable
from trainables.display import redacted
from trainables.paths import DATA_KEYS

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_LASTING = ("seed", "data", "space", "sampler", "schedule", "evaluation", "resources")
_PLANNED = ("trials", "schedule.max_kimg")  # may change; MLflow's parameters cannot, see `changed_params`
_COMPARED = (
    *("loss", "penalty.name", "model.name", "normalisation", "seed"),
    *("generator_optimiser.lr", "discriminator_optimiser.lr"),
)
_TEXT = frozenset({".csv", ".yaml", ".yml", ".json", ".txt", ".md"})  # may hold an address with a password


def study_params(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what a study is and how long it is to go on; nothing of the machine."""
    kept = {name: config[name] for name in ("trials", *_LASTING) if name in config}
    kept["data"] = {name: value for name, value in config.get("data", {}).items() if name not in DATA_KEYS}
    return {name: value for name, value in flatten(kept).items() if name in _PLANNED or not is_changeable(name)}


def changed_params(before: Mapping[str, Any], after: Mapping[str, Any], revision: int) -> dict[str, str]:
    """Return what a changed study file plans otherwise; MLflow's parameters cannot change, so under new names.

    >>> changed_params({"trials": 16}, {"trials": 40}, 1)
    {'revision_1.trials': '40'}
    """
    told = study_params(before)
    return {f"revision_{revision}.{name}": text for name, text in study_params(after).items() if told.get(name) != text}


def trial_params(config: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, str]:
    """Return what was sampled, and what every trial has that people compare; all of it is in `config.yaml`.

    MLflow's pages write all parameters of a run above its images, so few leave room for these.
    """
    flat = flatten(config)
    return {name: flat[name] for name in _COMPARED if name in flat} | flatten(params)


def as_yaml(config: Mapping[str, Any]) -> str:
    """Return the resolved study file, or a trial's configuration as `ganstudy run-trial` and `train` read it."""
    return redacted(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))


def log_file(client: "MlflowClient", run: ProjectedRun, path: str, content: Path | str | bytes) -> str:
    """Log a file, or a content as one, unless the run has the same already; return its digest."""
    target = PurePosixPath(path)
    data = content.read_bytes() if isinstance(content, Path) else content
    if isinstance(data, str):
        data = data.encode()
    if target.suffix in _TEXT:
        data = redacted(data.decode()).encode()
    digest = hashlib.sha256(data).hexdigest()[:16]
    if run.digests.get(path) != digest:
        with TemporaryDirectory(prefix="ganstudy-") as folder:
            copy = Path(folder) / target.name
            copy.write_bytes(data)
            within = str(target.parent)
            client.log_artifact(run.run_id, str(copy), None if within == "." else within)
    return digest
