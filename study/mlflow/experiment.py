"""A study's experiment in MLflow, whatever its name is now, and its runs: each uid once."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from study.mlflow.tags import UID, earlier, known

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

_PAGE = 200  # runs in one answer of a search
_EXPERIMENTS = 100  # in one answer of a search, and asked for runs at once
_DUPLICATE = "/duplicate"
_log = logging.getLogger(__name__)


def holding_experiment(client: "MlflowClient", name: str, uid: str) -> "Experiment | None":
    """Return the experiment that has the runs of `uid`; None if there is none.

    People rename and archive experiments, and make new ones with the old name, so the runs' tags decide. Among several
    with such runs, one that is not deleted comes first, then the one with the name, then the oldest.

    Args:
        client: MLflow's client.
        name: the experiment's when it was made.
        uid: the study's, or a training's.
    """
    named = client.get_experiment_by_name(name)
    there = named is not None and named.lifecycle_stage != "deleted"
    if named is not None and there and _runs_of(client, [named.experiment_id], uid, most=1):
        return named
    holding = {run.info.experiment_id for run in runs_anywhere(client, uid)}
    found = [client.get_experiment(experiment_id) for experiment_id in holding]
    oldest = sorted(found, key=lambda one: (one.creation_time or 0, one.experiment_id))
    return min(oldest, key=lambda one: (one.lifecycle_stage == "deleted", one.name != name), default=None)


def runs_anywhere(client: "MlflowClient", uid: str) -> "list[Run]":
    """Return all runs with `uid` or one below it, in any experiment, deleted ones too."""
    from mlflow.entities import ViewType

    found: list[Run] = []
    for page in _pages(partial(client.search_experiments, ViewType.ALL, _EXPERIMENTS)):
        if page:
            found += _runs_of(client, [experiment.experiment_id for experiment in page], uid)
    return found


def made_experiment(client: "MlflowClient", name: str, uid: str, artifacts: str | None) -> str:
    """Return the id of an experiment, made or restored if need be.

    Args:
        client: MLflow's client.
        name: of a new experiment.
        uid: of the runs in an existing one.
        artifacts: where a new experiment keeps its artifacts; None: the server decides.
    """
    from mlflow.exceptions import MlflowException

    found = holding_experiment(client, name, uid) or client.get_experiment_by_name(name)
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
        _log.warning("MLflow experiment %s had been deleted: restored it", found.name)
    return found.experiment_id


def single_runs(client: "MlflowClient", experiment_id: str) -> "dict[str, Run]":
    """Return all runs by uid; of two with the same uid the one with the larger id is deleted."""
    runs: dict[str, Run] = {}
    found = _search(client, [experiment_id], "")
    for run in sorted(found, key=lambda run: (run.info.lifecycle_stage == "deleted", run.info.run_id)):
        uid = known(run.data.tags, UID)
        if uid in runs or uid.endswith(_DUPLICATE):
            _remove_duplicate(client, run, uid)
        elif uid:
            runs[uid] = run
    return runs


def _runs_of(client: "MlflowClient", experiment_ids: list[str], uid: str, most: int | None = None) -> "list[Run]":
    """Those of an earlier version too, once each: one that was killed while it renewed a run has left it both tags."""
    found: dict[str, Run] = {}
    for tag in (UID, earlier(UID)):
        for run in _search(client, experiment_ids, f"tags.`{tag}` LIKE '{uid}%'", most):
            if f"{known(run.data.tags, UID)}/".startswith(f"{uid}/"):
                found[run.info.run_id] = run
    return [*found.values()]


def _search(client: "MlflowClient", experiment_ids: list[str], query: str, most: int | None = None) -> "list[Run]":
    from mlflow.entities import ViewType

    pages = _pages(partial(client.search_runs, experiment_ids, query, ViewType.ALL, most or _PAGE))
    return list(islice(chain.from_iterable(pages), most))


def _pages(search: Callable[..., Any]) -> Iterator[Any]:
    """Yield the pages of an MLflow search, each fetched when it is needed."""
    token: str | None = None
    while True:
        page = search(page_token=token)
        yield page
        token = page.token
        if not token:
            return


def _remove_duplicate(client: "MlflowClient", run: "Run", uid: str) -> None:
    if run.info.lifecycle_stage == "deleted":
        return
    client.set_tag(run.info.run_id, UID, uid.removesuffix(_DUPLICATE) + _DUPLICATE, synchronous=True)
    client.delete_run(run.info.run_id)
    _log.warning("MLflow had a second run for %s: deleted %s", uid, run.info.run_id)
