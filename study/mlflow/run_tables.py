"""The table of trials as files of the study's MLflow run: one that MLflow's pages show, and CSV and Parquet."""

import json
from typing import Any

from study.analysis.ranking import rank
from study.analysis.results import FORMATS, trials_frame
from study.ledger.records import StudyRecord, TrialRecord
from study.report.words import state, words

TABLE = "trials.json"
TABLE_TAG = "mlflow.loggedArtifacts"
"""The tag by which MLflow's pages know a table: they show `TABLE` as one."""

_PLACES = 3  # of numbers in the table that people read; the two others have all


def table_files(study: StudyRecord) -> dict[str, bytes]:
    """Return the files by name: `TABLE` to be read in MLflow, best trials first, and all of `ganstudy results`."""
    frame = trials_frame(study)
    full = {f"trials{ending}": FORMATS[ending](frame) for ending in (".csv", ".parquet")}
    return {TABLE: _shown(study), **full}


def table_tag() -> dict[str, str]:
    """Return the tag of a run that has `TABLE`, as `mlflow.log_table` writes it."""
    return {TABLE_TAG: json.dumps([{"path": TABLE, "type": "table"}])}


def _shown(study: StudyRecord) -> bytes:
    ranks = {r.trial.number: r.rank for r in rank(study.trials)}
    rows = [_row(trial, ranks.get(trial.number)) for trial in study.trials]
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"], row["trial"]))
    columns = list(rows[0]) if rows else ["trial"]
    data = [[row[column] for column in columns] for row in rows]
    return json.dumps({"columns": columns, "data": data}).encode()  # `orient="split"` of pandas


def _row(trial: TrialRecord, place: int | None) -> dict[str, Any]:
    last = trial.reports[-1].metrics if trial.reports else {}
    return {
        "rank": place,
        "trial": trial.number,
        "state": state(trial),
        "best FID": _rounded(trial.fid_best),
        "last FID": _rounded(trial.fid),
        "configuration": trial.cause or words(trial),
        "kimg": trial.kimg,
        "best at kimg": trial.kimg_best,
        "KID": _rounded(last.get("kid")),
        "recall": _rounded(last.get("recall")),
        "modes": _rounded(last.get("modes_covered")),
        "collapsed": {None: None, True: "yes", False: "no"}[trial.collapsed],
        "proposed by": trial.origin,
    }


def _rounded(value: float | None) -> float | int | None:
    if value is None:
        return None
    return int(value) if value == int(value) else round(value, _PLACES)
