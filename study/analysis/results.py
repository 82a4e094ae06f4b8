"""A study's results as tables: `ganstudy results`, and the frames of `study.load`."""

import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.analysis.ranking import rank
from study.analysis.rung_facts import schedule_of
from study.ledger.records import StudyRecord, TrialRecord
from trainables.display import shown
from trainables.errors import InvalidInput
from trainables.files import is_stream, write_named
from trainables.nested import flatten

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula; no text of a study's own begins like that."""


_FACTS = ("kimg", "rung", "cause", "origin", "attempts", "fid", "fid_best", "kimg_best", "collapsed", "collapsed_best")


def trial_facts(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial's number, state, and what it came to, as plain values."""
    return {"trial": trial.number, "state": str(trial.state)} | {name: getattr(trial, name) for name in _FACTS}


def trials_frame(study: StudyRecord) -> "pd.DataFrame":
    """Return one row per trial, by number.

    Columns: `trial`, `rank` (as `ganstudy best`, missing if unranked), `state`, `kimg`, `rung`, `cause`, `origin`,
    `attempts`, `fid` (the last), `fid_best`, `kimg_best`, `collapsed`, `collapsed_best`, `started_at`, `ended_at`
    (UTC), the best FID up to each rung as `fid_at_<kimg>` (missing below it), every other metric of the last report by
    its name, the sampled parameters as `params.<name>`, and the whole configuration as `config.<key>`.
    """
    import pandas as pd

    ranks = {r.trial.number: r.rank for r in rank(study.trials)}
    rungs = schedule_of(study.config).rungs()
    rows: list[dict[str, Any]] = []
    for trial in study.trials:
        row: dict[str, Any] = {"trial": trial.number, "rank": ranks.get(trial.number)} | trial_facts(trial)
        row |= {name: getattr(trial, name) for name in ("started_at", "ended_at")}
        row |= {f"fid_at_{rung}": trial.best_up_to(rung) if trial.kimg >= rung else None for rung in rungs}
        last = trial.reports[-1].metrics if trial.reports else {}
        row |= {name: value for name, value in last.items() if name not in row}
        row |= {f"params.{name}": value for name, value in trial.params.items()}
        config = flatten(trial.config, "config.")
        row |= {name: str(value) if isinstance(value, list | Mapping) else value for name, value in config.items()}
        rows.append(row)
    frame = pd.DataFrame(rows, columns=None if rows else ["trial"])
    whole = {name: "Int64" for name in ("rank", "rung", "kimg_best") if name in frame}
    flags = {name: "boolean" for name in ("collapsed", "collapsed_best") if name in frame}
    return _timed(frame.astype(whole | flags), "started_at", "ended_at")


def reports_frame(study: StudyRecord) -> "pd.DataFrame":
    """Return one row per report, by trial and budget: `trial`, `kimg`, `attempt`, `written_at` (UTC), the metrics."""
    import pandas as pd

    rows = [
        {"trial": trial.number, "kimg": report.kimg, "attempt": report.attempt, "written_at": report.written_at}
        | {name: value for name, value in report.metrics.items() if name != "kimg"}
        for trial in study.trials
        for report in trial.reports
    ]
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "kimg", "attempt", "written_at", "fid"])
    return _timed(frame, "written_at")


def _timed(frame: "pd.DataFrame", *columns: str) -> "pd.DataFrame":
    import pandas as pd

    for column in set(columns) & {*frame.columns}:
        frame[column] = pd.to_datetime(frame[column], unit="s", utc=True)
    return frame


def _csv(frame: "pd.DataFrame") -> bytes:
    texts = frame.select_dtypes(["object", "string"])
    frame = frame.assign(**{str(name): texts[name].map(_cell) for name in texts})
    return frame.rename(columns=_cell).to_csv(index=False).encode()


def _cell(value: Any) -> Any:
    """A text as a cell that neither a terminal nor a spreadsheet takes for anything else: no controls, no formula."""
    if not isinstance(value, str):
        return value
    return f"'{shown(value)}" if value.startswith(_FORMULA) else shown(value)


def _json(frame: "pd.DataFrame") -> bytes:
    return f"{frame.to_json(orient='records', date_format='iso', indent=1, double_precision=15)}\n".encode()


def _parquet(frame: "pd.DataFrame") -> bytes:
    for name in frame.columns:  # a key of the configuration may hold text in one trial and a number in another
        if frame[name].dtype == object:
            known = frame[name].dropna()
            if len({*map(type, known)}) > 1:
                frame[name] = frame[name].map(lambda value: None if value is None else str(value))
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()


FORMATS: dict[str, Callable[["pd.DataFrame"], bytes]] = {".csv": _csv, ".json": _json, ".parquet": _parquet}


def check_format(file: Path | None) -> Callable[["pd.DataFrame"], bytes]:
    """Return what makes a file's content, by the ending of its name; CSV for a pipe or a device without one.

    Raises:
        InvalidInput: for another ending.
    """
    if file is None or (not file.suffix and is_stream(file)):
        return _csv
    if file.suffix.lower() not in FORMATS:
        raise InvalidInput(f"--out {file}: choose a name that ends in {', '.join(FORMATS)}")
    return FORMATS[file.suffix.lower()]


def write_results(frame: "pd.DataFrame", file: Path | None) -> None:
    """Write a frame to a file (`check_format`), or as CSV to standard output.

    Raises:
        InvalidInput: for another ending, or if the file cannot be written.
    """
    content = check_format(file)(frame)
    if file is None:
        sys.stdout.write(content.decode())
    else:
        write_named(file, content)
