"""An experiment in MLflow, and its runs: each uid once."""

import logging
from typing import TYPE_CHECKING

from study.mlflow.runs import UID

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_PAGE = 500  # runs in one answer of a search
_DUPLICATE = "/duplicate"
_log = logging.getLogger(__name__)


def made_experiment(client: "MlflowClient", name: str, artifacts: str | None) -> str:
    """Return the id of an experiment, made or restored where need be.

    Args:
        client: MLflow's client.
        name: the experiment's.
        artifacts: where a new experiment keeps its artifacts, None where the server decides.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        # The kind whose page opens on runs and charts, not on traces of language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        try:
            return client.create_experiment(name, artifacts, tags)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)
            assert found is not None
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
        _log.warning("MLflow experiment %s had been deleted: restored it", name)
    return found.experiment_id


def single_runs(client: "MlflowClient", experiment_id: str) -> "dict[str, Run]":
    """Return all runs by uid; of two with one uid the one with the smaller id stays, and the other is deleted."""
    runs: dict[str, Run] = {}
    for run in all_runs(client, experiment_id):
        uid = run.data.tags.get(UID, "")
        if uid in runs or uid.endswith(_DUPLICATE):
            _remove_duplicate(client, run, uid)
        elif uid:
            runs[uid] = run
    return runs


def all_runs(client: "MlflowClient", experiment_id: str) -> "list[Run]":
    """Return all runs, those that were deleted last, in order of their ids."""
    from mlflow.entities import ViewType

    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], "", ViewType.ALL, _PAGE, None, token)
        runs.extend(page)
        token = page.token
        if not token:
            return sorted(runs, key=lambda run: (run.info.lifecycle_stage == "deleted", run.info.run_id))


def _remove_duplicate(client: "MlflowClient", run: "Run", uid: str) -> None:
    if run.info.lifecycle_stage == "deleted":
        return
    client.set_tag(run.info.run_id, UID, uid.removesuffix(_DUPLICATE) + _DUPLICATE, synchronous=True)
    client.delete_run(run.info.run_id)
    _log.warning("MLflow had a second run for %s: deleted %s", uid, run.info.run_id)
