"""The leaderboard that `ganstudy ui` opens: a saved view of MLflow's run table, and its address.

MLflow 3 keeps saved views as experiment tags (`mlflow.sharedViewState.<id>`) in an undocumented format of its pages.
Where that fails, the address itself filters and sorts.
"""

import json
import math
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TAG_PREFIX = "mlflow.sharedViewState."
ORDER = "ganstudy.order"
"""The tag by which trials are sorted as `ganstudy best` ranks them; see `order`."""

SORT_BY = f"tags.`{ORDER}`"

_TRAINING = {"workflowType": "machine_learning"}  # MLflow's pages for training, not those for language models
_COLUMNS = (
    *(("metrics", "fid_best"), ("metrics", "fid"), ("tags", "ganstudy.state"), ("tags", "ganstudy.rung")),
    *(("params", "loss"), ("params", "penalty.name"), ("params", "model.name")),
    *(("params", "generator_optimiser.lr"), ("params", "discriminator_optimiser.lr")),
    *(("metrics", "kid"), ("metrics", "recall"), ("metrics", "modes_covered"), ("metrics", "collapsed")),
)
_UNRANKED = "9"
_REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "PERMISSION_DENIED", "FEATURE_DISABLED", "NOT_IMPLEMENTED")


def order(kimg: int, fid_best: float, ranked: bool = True) -> str:
    """Return a text that sorts trials as the ranking does: larger budgets first, then the lower best FID.

    MLflow sorts by one column only, and by the FID alone a lucky early trial would lead. All texts have the same length
    and differ only in digits, so every database sorts them alike; unranked trials come last.
    """
    if not math.isfinite(fid_best):
        ranked, fid_best = False, 0.0
    return f"{'1' if ranked else _UNRANKED} {10**9 - kimg:010d} {fid_best:020.9f}"


def view_id(uid: str) -> str:
    """Return the id of the study's saved view."""
    return "ganstudy-" + re.sub(r"[^A-Za-z0-9-]", "-", uid)[:40]


def trials_filter(uid: str) -> str:
    """Return MLflow's search filter for the trials of the study `uid`."""
    return f"tags.`ganstudy.study` = '{uid}' AND tags.`ganstudy.kind` = 'trial'"


def leaderboard(uid: str, name: str, opened_at_ms: int, params: Collection[str]) -> str:
    """Return the value of the experiment tag `TAG_PREFIX + view_id(uid)`.

    Args:
        uid: the study's.
        name: the study's.
        opened_at_ms: when it began; the view's date, so that the value is the same in every call.
        params: names of the trials' parameters; the useful ones become columns.
    """
    shown = [(kind, column) for kind, column in _COLUMNS if kind != "params" or column in params]
    columns = [f"{kind}.`{column}`" for kind, column in shown]
    state: dict[str, Any] = {
        "searchFilter": trials_filter(uid),
        "orderByKey": SORT_BY,
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": columns,
        # In pixels, for a column's title and its usual values.
        "columnWidths": {f"{k}.`{n}`": max(70 if k == "metrics" else 108, round(6.2 * len(n) + 28)) for k, n in shown},
    }
    dates = {"createdAt": opened_at_ms, "updatedAt": opened_at_ms}
    return json.dumps({"name": f"{name}: trials by rank", **dates, "state": json.dumps(state)})


def save_view(client: "MlflowClient", experiment_id: str, view: str, value: str) -> bool:
    """Save `value` as the view `view` of an experiment; return False if the server refuses such a tag.

    Raises:
        Exception: whatever else MLflow raised.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.set_experiment_tag(experiment_id, TAG_PREFIX + view, value)
    except MlflowException as error:
        if error.error_code not in _REFUSED:
            raise
        return False
    return True


def view_url(server: str, experiment_id: str, uid: str, saved: bool) -> str:
    """Return the address of the study's trials, the best first, without credentials.

    Args:
        server: the MLflow server's address.
        experiment_id: MLflow's id of the study's experiment.
        uid: the study's.
        saved: whether the experiment has the saved view; if not, the address has filter and order.
    """
    parts = urlsplit(server)
    base = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    return f"{base}/{leaderboard_path(experiment_id, uid, saved)}"


def run_path(experiment_id: str, run_id: str) -> str:
    """Return the part of a run's address after the server's."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{urlencode(_TRAINING)}"


def leaderboard_path(experiment_id: str, uid: str, saved: bool) -> str:
    """Return the part of `view_url` after the server's address: a link from one of MLflow's pages to another."""
    query = dict(_TRAINING)
    if saved:
        query |= {"viewStateShareKey": view_id(uid)}
    else:
        query |= {"searchFilter": trials_filter(uid), "orderByKey": SORT_BY, "orderByAsc": "true"}
    return f"#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"
