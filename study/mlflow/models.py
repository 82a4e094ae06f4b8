"""A trial's generator as a logged model of MLflow: its configuration, where it is from, and how good it is.

Its weights are not in it: a study would upload those of every trial, and load torch to export them. So it stays
pending, MLflow's word for a model that cannot be loaded yet, and its type says why. `ganstudy promote` registers one
that can.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.mlflow.tags import NOTE

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.tracking import MlflowClient

TYPE = "generator without weights"
"""MLflow's type of such a model, by which it is told from the promoted ones of the same run."""

_PAGE = 100


@dataclass(frozen=True)
class TrialModel:
    """What is to be logged: a name, a description, the parameters, and its metrics, at the `kimg` of its best FID.

    The points are some of its run's: name, value, milliseconds, step.
    """

    name: str
    note: str
    params: Mapping[str, str]
    kimg: int
    points: Sequence[tuple[str, float, int, int]]


def have_model(client: "MlflowClient", experiment_id: str, run_id: str, model: TrialModel) -> str:
    """Return the id of the run's model, made unless it is there: repeats, also after a kill, make no second one."""
    from mlflow.entities import LoggedModelOutput

    found = models_of(client, experiment_id, run_id)
    if found:
        model_id = found[0].model_id
        if found[0].tags.get(NOTE) != model.note:  # it went on, and has another best
            client.set_logged_model_tags(model_id, {NOTE: model.note})
        outputs = client.get_run(run_id).outputs
        linked = {output.model_id for output in outputs.model_outputs} if outputs else set()
    else:
        made = client.create_logged_model(experiment_id, model.name, run_id, {NOTE: model.note}, {**model.params}, TYPE)
        model_id, linked = made.model_id, set[str]()
    if model_id not in linked:
        client.log_outputs(run_id, [LoggedModelOutput(model_id, model.kimg)])
    return model_id


def models_of(client: "MlflowClient", experiment_id: str, run_id: str = "") -> "list[LoggedModel]":
    """Return the models of this kind in an experiment, or of one of its runs, the oldest first."""
    query = f"model_type = '{TYPE}'" + (f" AND source_run_id = '{run_id}'" if run_id else "")
    models: list[LoggedModel] = []
    token: str | None = None
    while True:
        page = client.search_logged_models([experiment_id], query, max_results=_PAGE, page_token=token)
        models += page
        token = page.token
        if not token:
            return sorted(models, key=lambda model: (model.creation_timestamp, model.model_id))
