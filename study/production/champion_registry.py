"""Generators in MLflow's model registry: one version per generator, and the alias `champion` on the one to use.

All goes through MLflow's client, never through its global state: so the run that a generator came from keeps its
status and its metrics, and no other store is opened on the way.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from study.folder import check_name
from study.mlflow.experiment import holding_experiment
from study.mlflow.runs import find_run
from study.mlflow.store import display_uri, one_line
from study.mlflow.values import flatten
from study.production.champion_text import ALIAS, Candidate, about, description
from trainables.display import quoted, shown
from trainables.errors import GanStudyError, InvalidInput
from trainables.generator import Generator, GeneratorFacts
from trainables.portable import example_inputs, portable
from trainables.quiet import quiet

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature
    from mlflow.tracking import MlflowClient

WEIGHTS = "ganstudy.weights"
"""The tag by which a generator is known again: the digest of its weights."""

KIND, GENERATOR = "ganstudy.kind", "generator"
"""The tag of registered models that this program made."""

_EXAMPLE = "input_example.json"


def registered_name(name: str) -> str:
    """Return `name` if it can name a registered model: as a study's, so that MLflow and shells take it as it is.

    Raises:
        InvalidInput: if it cannot.
    """
    try:
        return check_name(name)
    except InvalidInput as error:
        raise InvalidInput(f"--as {str(error).removeprefix('study name ')}") from None


@contextmanager
def reaching(uri: str, otherwise: str) -> Iterator[None]:
    """Turn whatever MLflow and its libraries raise into one line that ends with `otherwise`.

    Raises:
        GanStudyError: in their place.
    """
    try:
        yield
    except GanStudyError:
        raise
    except Exception as error:
        raise GanStudyError(f"MLflow at {display_uri(uri)}: {one_line(error)}; {otherwise}") from error


def held_run(client: "MlflowClient", experiment: str, uid: str, *wanted: str) -> "Run | None":
    """Return the first of the `wanted` runs that is there, by their uids; None if none is.

    Args:
        client: MLflow's.
        experiment: the name that the experiment was given.
        uid: of the study or the training whose runs it holds.
        wanted: the uids of the runs.
    """
    held = holding_experiment(client, experiment, uid)
    found = (find_run(client, held.experiment_id, run) for run in wanted) if held else ()
    return next((run for run in found if run), None)


def register(client: "MlflowClient", generator: Generator, candidate: Candidate, run: "Run") -> tuple[str, bool]:
    """Have a version with this generator, from `run`, and the alias on it; one that is there gets no second version.

    Whether it may is for `study.production.champion_rules` to say before.

    Returns:
        The version's number, and whether it is new.

    Raises:
        Exception: whatever MLflow raises.
    """
    _make(client, candidate.model)
    known = f"name = '{candidate.model}' AND tags.`{WEIGHTS}` = '{candidate.facts.weights}'"
    found = max(client.search_model_versions(known), key=lambda version: int(version.version), default=None)
    version = found or _new_version(client, generator, candidate, run)
    client.set_registered_model_alias(candidate.model, ALIAS, version.version)
    return str(version.version), found is None


def champion_of(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """Return the champion of a registered model, if there is one.

    Raises:
        InvalidInput: if the registered model is somebody else's: an alias on it would move what they serve.
        Exception: whatever MLflow raises.
    """
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    if model.tags.get(KIND) != GENERATOR:
        raise InvalidInput(
            f"MLflow has a registered model {quoted(name)} that is not ganstudy's; choose another name with --as"
        )
    version = model.aliases.get(ALIAS)
    return client.get_model_version(name, str(version)) if version else None


def _make(client: "MlflowClient", name: str) -> None:
    """Make the registered model unless it is there."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, {KIND: GENERATOR}, about(name))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _new_version(client: "MlflowClient", generator: Generator, candidate: Candidate, run: "Run") -> "ModelVersion":
    from mlflow.entities import LoggedModelOutput

    facts, run_id = generator.facts, run.info.run_id
    tags = {
        **candidate.tags,
        WEIGHTS: facts.weights,
        "ganstudy.kimg": str(facts.kimg),
        "ganstudy.fid": f"{facts.fid:.6g}",
        "ganstudy.fid_fingerprint": facts.fid_fingerprint,
        "ganstudy.fid_images": str(facts.images_judged),
    }
    tags = {name: shown(value) for name, value in tags.items()}
    with TemporaryDirectory(prefix="ganstudy-") as temporary, quiet():
        folder = Path(temporary) / "model"
        model = _save(generator, folder)  # before anything is in the store: what cannot be exported leaves no trace
        params = flatten(facts.trial.to_dict())
        logged = client.create_logged_model(run.info.experiment_id, candidate.model, run_id, tags, params, GENERATOR)
        model.model_uuid = model.model_id = logged.model_id
        model.run_id, model.artifact_path = run_id, logged.artifact_location
        model.save(str(folder / "MLmodel"))
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, facts.kimg)])
    # By its path and not models:/ID: for that MLflow would ask its global store, which is another one.
    return client.create_model_version(
        candidate.model,
        logged.artifact_location,
        run_id,
        tags,
        description=shown(description(candidate)),
        model_id=logged.model_id,
    )


def _save(generator: Generator, folder: Path) -> "Model":
    """Write the generator as a model of MLflow's that takes any number of latents.

    As a module that `torch.save` wrote and not as torch.export's program, MLflow's default: that one's `eval`, `train`
    raise, and it stays on the device it was exported on.
    """
    import mlflow
    import torch
    from mlflow.models import Model

    arrays = [value.numpy() for value in example_inputs(generator)]
    several = len(arrays) > 1  # of which MLflow makes no example
    known = {"artifact_path": _EXAMPLE, "type": "ndarray"}
    model = Model(saved_input_example_info=known if several else None)
    mlflow.pytorch.save_model(
        portable(generator),
        str(folder),
        mlflow_model=model,
        signature=_signature(generator.facts),
        input_example=None if several else arrays[0],
        serialization_format="pickle",
        # Given, since inferring them loads the model in another process and takes long.
        pip_requirements=[f"mlflow=={mlflow.__version__}", f"torch=={torch.__version__.partition('+')[0]}"],
    )
    if several:
        del model.flavors["python_function"]  # which gives a module of torch one tensor only
        named = {name: array.tolist() for name, array in zip(("latents", "labels"), arrays, strict=True)}
        (folder / _EXAMPLE).write_text(json.dumps(named), encoding="utf-8")
    return model


def _signature(facts: GeneratorFacts) -> "ModelSignature":
    """Inputs only where there are classes: MLflow's pyfunc would refuse float64, NumPy's own, for a float32 tensor."""
    import numpy as np
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    latents, images = (-1, facts.trial.latent.dimension), (-1, facts.channels, facts.size, facts.size)
    single, whole = np.dtype("float32"), np.dtype("int64")
    named = [TensorSpec(single, latents, "latents"), TensorSpec(whole, (-1,), "labels")]
    return ModelSignature(Schema([*named]) if facts.trial.uses_labels else None, Schema([TensorSpec(single, images)]))
