"""The leaderboard that `ganstudy ui` opens: a saved view of MLflow's run table, and its address.

MLflow 3 keeps saved views as experiment tags (`mlflow.sharedViewState.<id>`) in an undocumented format of its pages.
Where that fails, the address itself filters and sorts.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from study.mlflow.images import NEWEST, SAMPLES
from study.mlflow.sections import SECTIONS, placed
from study.mlflow.tags import KIND, ORDER, STUDY
from trainables.evaluation.image_counts import IMAGES

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

TAG_PREFIX = "mlflow.sharedViewState."
SORT_BY = f"tags.`{ORDER}`"

_TRAINING = {"workflowType": "machine_learning"}  # MLflow's pages for training, not those for language models
_BEST, _FID = placed("fid_best"), placed("fid")
_COLUMNS = (
    *(("metrics", name) for name in (_BEST, "kimg", IMAGES, _FID)),
    ("tags", "ganstudy.state"),
    *(("params", name) for name in ("loss", "penalty.name", "model.name")),
    *(("params", f"{one}_optimiser.lr") for one in ("generator", "discriminator")),
)
"""The first ones; what else varies follows, then `_QUALITY`."""

_QUALITY = tuple(("metrics", placed(name)) for name in ("kid", "recall", "modes_covered", "collapsed"))
_MOST = 12  # parameters as columns, and as axes of a chart
_SAME = frozenset({"seed"})  # differs in every trial, and means nothing
_LINE: dict[str, Any] = {
    "xAxisKey": "step",
    "xAxisScaleType": "linear",
    "lineSmoothness": 0,
    "yAxisKey": "metric",
    "range": {},
}
_RUNS_SHOWN = 20
_PARAMETERS = "parameters"
_MLFLOWS = ("Model metrics", "System metrics")  # its own sections, for what is in no other
_PICTURED, _PER_ROW = 10, 4  # trials whose pictures MLflow shows at once, and in a row of a window of 1600 pixels
_AROUND, _ROW, _AXES = 110, 285, 400  # heights in pixels: of the card around the rows, of a row, of parallel axes
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
    return f"tags.`{STUDY}` = '{uid}' AND tags.`{KIND}` = 'trial'"


def leaderboard(uid: str, name: str, opened_at_ms: int, params: Mapping[str, Counter[str]]) -> str:
    """Return the value of the experiment tag `TAG_PREFIX + view_id(uid)`.

    Args:
        uid: the study's.
        name: the study's.
        opened_at_ms: when it began; the view's date, so that the value is the same in every call.
        params: the values of each of the trials' parameters, with how many trials have them. They become columns, and
            axes if they differ and all trials have one.
    """
    varied = [one for one in params if one not in _SAME]
    shown = [(kind, column) for kind, column in _COLUMNS if kind != "params" or column in varied]
    named = {column for _, column in shown}
    shown += [("params", one) for one in varied if one not in named][: _MOST - len(named & {*varied})]
    shown += _QUALITY
    columns = [f"{kind}.`{column}`" for kind, column in shown]
    trials = max((values.total() for values in params.values()), default=0)
    axes = {name for name, values in params.items() if values.total() == trials and len(values) > 1}
    state: dict[str, Any] = {
        "searchFilter": trials_filter(uid),
        "orderByKey": SORT_BY,
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": columns,
        # In pixels, for a column's title and its usual values.
        "columnWidths": {f"{k}.`{n}`": max(90 if k == "metrics" else 108, round(6.2 * len(n) + 28)) for k, n in shown},
        **charts([column for kind, column in shown if kind == "params" and column in axes], trials),
    }
    dates = {"createdAt": opened_at_ms, "updatedAt": opened_at_ms}
    return json.dumps({"name": f"{name}: trials by rank", **dates, "state": json.dumps(state)})


def charts(params: Sequence[str], trials: int) -> dict[str, Any]:
    """Return what MLflow's chart view shows first: samples, FIDs against parameters, FIDs; all else follows.

    Args:
        params: the axes of the parallel coordinates.
        trials: how many there are.
    """
    samples, scores = SAMPLES.partition("/")[0], _FID.partition("/")[0]
    cards: list[tuple[str, dict[str, Any]]] = [
        (samples, {"type": "IMAGE", "imageKeys": [SAMPLES], "step": NEWEST, "showRunParams": False}),
        (_PARAMETERS, {"type": "PARALLEL", "selectedParams": [*params], "selectedMetrics": [_BEST]}),
        (scores, {"type": "LINE", "metricKey": _FID, "selectedMetricKeys": [_FID], "scaleType": "log", **_LINE}),
        (scores, {"type": "BAR", "metricKey": _BEST}),
    ]
    sections = [samples, _PARAMETERS, scores, *(name for name in SECTIONS if name != scores), *_MLFLOWS]
    rows = math.ceil(min(max(trials, 1), _PICTURED) / _PER_ROW)
    heights = {samples: _AROUND + _ROW * rows, _PARAMETERS: _AXES}
    whole_rows = {name: {"columns": 1, "cardHeight": height} for name, height in heights.items()}
    common = {"deleted": False, "isGenerated": False, "runsCountToCompare": _RUNS_SHOWN}
    shown = {"display": True, "isReordered": True, "deleted": False, "isGenerated": True}
    return {
        "compareRunCharts": [
            {"uuid": f"ganstudy-chart-{number}", "metricSectionId": f"ganstudy-{section}", **common, **card}
            for number, (section, card) in enumerate(cards)
        ],
        "compareRunSections": [
            {"uuid": f"ganstudy-{name}", "name": name, **shown, **whole_rows.get(name, {})} for name in sections
        ],
        "isAccordionReordered": True,
        "runsHiddenMode": "FIRST_20_RUNS",
    }


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


def leaderboard_path(experiment_id: str, uid: str, saved: bool, charts: bool = False) -> str:
    """Return the part of `view_url` after the server's address: a link from one of MLflow's pages to another.

    With `charts` it is that of MLflow's chart view, see `charts`.
    """
    query = _TRAINING | ({"compareRunsMode": "CHART"} if charts else {})
    if saved:
        query |= {"viewStateShareKey": view_id(uid)}
    else:
        query |= {"searchFilter": trials_filter(uid), "orderByKey": SORT_BY, "orderByAsc": "true"}
    return f"#/experiments/{experiment_id}/runs?{urlencode(query, quote_via=quote)}"
