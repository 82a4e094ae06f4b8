"""Generators in MLflow's model registry: one version per generator, and the alias `champion` on the one to use.

All goes through MLflow's client, never through its global state: so the run that a generator came from keeps its
status and its metrics, and no other store is opened on the way.
"""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from study.folder import check_name
from study.production.champion_text import ALIAS, Registered
from trainables.display import quoted, shown
from trainables.errors import InvalidInput
from trainables.generator import Generator, GeneratorFacts
from trainables.portable import example_inputs, portable

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.tracking import MlflowClient

WEIGHTS = "ganstudy.weights"
"""The tag by which a generator is known again: the digest of its weights."""

KIND, GENERATOR = "ganstudy.kind", "generator"
"""The tag of registered models that this program made."""

_EXAMPLE = "input_example.json"
_CHATTY = ("mlflow", "torch.export", "torch._export", "torch.fx")


@dataclass(frozen=True)
class Entry:
    """What is to be registered beside the generator itself.

    Attributes:
        name: of the registered model.
        about: its description.
        experiment_id: MLflow's, of the run.
        run_id: MLflow's, of the run that the generator came from.
        tags: of the version, beside those that the generator tells itself.
        description: of the version, Markdown.
        params: the configuration, flat.
    """

    name: str
    about: str
    experiment_id: str
    run_id: str
    tags: Mapping[str, str]
    description: str
    params: Mapping[str, str]


def register(client: "MlflowClient", generator: Generator, entry: Entry) -> Registered:
    """Have a version with this generator, and the alias on it; a generator that is there gets no second one.

    Raises:
        InvalidInput: if the registered model is somebody else's.
        Exception: whatever MLflow raises.
    """
    _own(client, entry)
    known = f"name = '{entry.name}' AND tags.`{WEIGHTS}` = '{generator.facts.weights}'"
    found = max(client.search_model_versions(known), key=lambda version: int(version.version), default=None)
    version = found or _new_version(client, generator, entry)
    client.set_registered_model_alias(entry.name, ALIAS, version.version)
    return Registered(entry.name, str(version.version), new=found is None)


def registered_name(name: str) -> str:
    """Return `name` if it can name a registered model: as a study's, so that MLflow and shells take it as it is.

    Raises:
        InvalidInput: if it cannot.
    """
    try:
        return check_name(name)
    except InvalidInput as error:
        raise InvalidInput(f"--as {str(error).removeprefix('study name ')}") from None


def facts_tags(facts: GeneratorFacts) -> dict[str, str]:
    """Return the tags that a generator tells itself."""
    return {
        WEIGHTS: facts.weights,
        "ganstudy.kimg": str(facts.kimg),
        "ganstudy.fid": f"{facts.fid:.6g}",
        "ganstudy.fid_fingerprint": facts.fid_fingerprint,
        "ganstudy.fid_images": str(facts.images_judged),
    }


def _own(client: "MlflowClient", entry: Entry) -> None:
    """Make the registered model, or make sure that it is ours: an alias on another's would move what they serve."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(entry.name, {KIND: GENERATOR}, entry.about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        if client.get_registered_model(entry.name).tags.get(KIND) != GENERATOR:
            raise InvalidInput(
                f"MLflow has a registered model {quoted(entry.name)} that is not ganstudy's; choose another name with "
                "--as"
            ) from None


def _new_version(client: "MlflowClient", generator: Generator, entry: Entry) -> "ModelVersion":
    tags = {name: shown(value) for name, value in {**entry.tags, **facts_tags(generator.facts)}.items()}
    with TemporaryDirectory(prefix="ganstudy-") as temporary, _quiet():
        folder = Path(temporary) / "model"
        model = _save(generator, folder)  # before anything is in the store: what cannot be exported leaves no trace
        logged = client.create_logged_model(
            entry.experiment_id, entry.name, entry.run_id, dict(tags), dict(entry.params), GENERATOR
        )
        model.model_uuid = model.model_id = logged.model_id
        model.run_id, model.artifact_path = entry.run_id, logged.artifact_location
        model.save(str(folder / "MLmodel"))
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    _tell_run(client, entry.run_id, logged.model_id, generator.facts.kimg)
    # Its place and not models:/ID: for that MLflow would ask its global store, which is another one.
    return client.create_model_version(
        entry.name,
        logged.artifact_location,
        entry.run_id,
        tags,
        description=shown(entry.description),
        model_id=logged.model_id,
    )


def _tell_run(client: "MlflowClient", run_id: str, model_id: str, kimg: int) -> None:
    from mlflow.entities import LoggedModelOutput

    client.log_outputs(run_id, [LoggedModelOutput(model_id, kimg)])


def _save(generator: Generator, folder: Path) -> "Model":
    """Write the generator as a model of MLflow's, exported with a dynamic batch."""
    import mlflow
    import torch
    from mlflow.models import Model

    arrays = [value.numpy() for value in example_inputs(generator)]
    # One array MLflow writes as the example, and adds its pyfunc flavour; of several it does neither.
    several = len(arrays) > 1
    known = {"artifact_path": _EXAMPLE, "type": "ndarray"}
    model = Model(saved_input_example_info=known if several else None)
    mlflow.pytorch.save_model(
        portable(generator),
        str(folder),
        mlflow_model=model,
        signature=_signature(generator.facts),
        input_example=arrays if several else arrays[0],
        serialization_format="pt2",
        # Given, since inferring them loads the model in another process and takes long.
        pip_requirements=[f"mlflow=={mlflow.__version__}", f"torch=={torch.__version__.partition('+')[0]}"],
    )
    if several:
        named = {name: array.tolist() for name, array in zip(("latents", "labels"), arrays, strict=True)}
        (folder / _EXAMPLE).write_text(json.dumps(named), encoding="utf-8")
    return model


def _signature(facts: GeneratorFacts) -> "ModelSignature":
    """Names only where there are two inputs: with a name MLflow's pyfunc wants a dict, which its pytorch refuses."""
    import numpy as np
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    latents, images = (-1, facts.trial.latent.dimension), (-1, facts.channels, facts.size, facts.size)
    single, whole = np.dtype("float32"), np.dtype("int64")
    named = [TensorSpec(single, latents, "latents"), TensorSpec(whole, (-1,), "labels")]
    inputs = Schema([*named] if facts.trial.uses_labels else [TensorSpec(single, latents)])
    return ModelSignature(inputs, Schema([TensorSpec(single, images)]))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of MLflow and torch.export: there is nothing that a user could do about them."""
    before = {name: logging.getLogger(name).level for name in _CHATTY}
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
