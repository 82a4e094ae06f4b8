"""The leaderboard that `ganstudy ui` opens: a saved view of MLflow's run table, and its address.

MLflow 3 keeps saved views as experiment tags (`mlflow.sharedViewState.<id>`), a format that its own pages
write and no document describes. So it is best effort: without it the address still filters and sorts.
"""

import json
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

TAG_PREFIX = "mlflow.sharedViewState."
SORT_BY = "metrics.`fid`"

_COLUMNS = (
    ("metrics", "fid"),
    ("metrics", "fid_best"),
    ("metrics", "kimg"),
    ("tags", "ganstudy.state"),
    ("tags", "ganstudy.rung"),
    ("params", "loss"),
    ("params", "penalty.name"),
    ("params", "model.name"),
    ("params", "normalisation"),
    ("params", "generator_optimiser.lr"),
    ("params", "discriminator_optimiser.lr"),
    ("params", "n_critic"),
    ("tags", "ganstudy.origin"),
)


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
        opened_at_ms: when it began; the view's date, so that its value does not change from call to call.
        params: names of the parameters that the trials have; of the useful ones these become columns.
    """
    columns = [f"{kind}.`{name}`" for kind, name in _COLUMNS if kind != "params" or name in params]
    state: dict[str, Any] = {
        "searchFilter": trials_filter(uid),
        "orderByKey": SORT_BY,
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {
            column: max(80 if column.startswith("metrics") else 110, 7 * len(column.split("`")[1]) + 30)
            for column in columns
        },
    }
    envelope = {"name": f"{name}: trials by FID", "createdAt": opened_at_ms, "updatedAt": opened_at_ms}
    return json.dumps({**envelope, "state": json.dumps(state)})


def view_url(server: str, experiment_id: str, uid: str, saved: bool) -> str:
    """Return the address of the study's trials sorted by FID, without credentials.

    Args:
        server: the MLflow server's address.
        experiment_id: MLflow's id of the study's experiment.
        uid: the study's.
        saved: whether the experiment has the saved view; if not, the address carries filter and order.
    """
    parts = urlsplit(server)
    base = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    query = {"workflowType": "machine_learning"}  # MLflow's pages for training, not those for language models
    if saved:
        query |= {"viewStateShareKey": view_id(uid)}
    else:
        query |= {"searchFilter": trials_filter(uid), "orderByKey": SORT_BY, "orderByAsc": "true"}
    return f"{base}/#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"
