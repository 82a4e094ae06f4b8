"""Doctor: the MLflow store: whether it answers, and whether its clock agrees with ours."""

import email.utils
import time
from collections.abc import Iterator
from pathlib import Path

from study.doctor.base import Finding, Patient, fail, ok, warn
from study.folder import StudyFolder
from study.mlflow.database import check_database, check_database_folder
from study.mlflow.exchange import LimitedSession, LimitExceeded
from study.mlflow.store import display_uri, is_server, one_line, open_client, resolve_uri
from study.study_file.addresses import database_file
from trainables.errors import InvalidInput

_SECONDS = 5.0
_SKEW = 5.0  # seconds; MLflow's times are ours, but people compare them with the server's


def check_mlflow(patient: Patient) -> Iterator[Finding]:
    """The store that a study would write to; the default one, SQLite in each study's folder, is only named."""
    if patient.mlflow is None:
        yield ok("mlflow", "the default: SQLite in each study's folder, made by its first launch")
        return
    try:
        uri = resolve_uri(patient.mlflow, StudyFolder(patient.storage, "doctor"))
        check_database_folder(uri)
    except InvalidInput as error:
        yield fail("mlflow", str(error))
        return
    shown = display_uri(uri)
    if is_server(uri):
        yield from _server(uri, shown)
        return
    file = database_file(uri)
    if file is not None and not file.exists():
        yield ok("mlflow", f"{shown}: not there yet; its first launch makes it")
    elif patient.quick:
        yield ok("mlflow", f"{shown}: not opened", "without --quick it is opened")
    else:
        yield _opened(uri, shown, file)


def _opened(uri: str, shown: str, file: Path | None) -> Finding:
    try:
        check_database(uri, "its next launch makes it anew")
        found = open_client(uri).search_experiments(max_results=1000)
    except Exception as error:  # of MLflow, SQLAlchemy or the driver
        return fail("mlflow", f"{shown}: {one_line(error)}", f"repair it, or move {file} away" if file else "repair it")
    return ok("mlflow", f"{shown}: {len(found)} experiments")


def _server(uri: str, shown: str) -> Iterator[Finding]:
    advice = "start it (mlflow server), or correct the address; a study runs without it, `ganstudy sync` catches up"
    try:
        before = time.time()
        answer = LimitedSession().get(f"{uri}/version", timeout=_SECONDS)
        answer.raise_for_status()
        after = time.time()
    except (LimitExceeded, OSError, ValueError) as error:  # requests' errors are OSErrors
        yield fail("mlflow", f"{shown}: {one_line(_cause(error))}", advice)
        return
    yield ok("mlflow", f"{shown}: version {answer.text[:100].strip()}, answered in {1000 * (after - before):.0f} ms")
    skew = _skew(answer.headers.get("Date"), (before + after) / 2)
    if skew is not None and abs(skew) > _SKEW:
        yield warn("mlflow clock", f"{skew:+.0f} s from ours", "set both (NTP): times in MLflow are this machine's")
    elif skew is not None:
        yield ok("mlflow clock", f"within {max(1, round(abs(skew)))} s of ours")


def _cause(error: BaseException) -> BaseException:
    """The error beneath those that the layers of an HTTP client wrap around it."""
    inner = getattr(error, "reason", None) or next((part for part in error.args if isinstance(part, Exception)), None)
    return _cause(inner) if isinstance(inner, Exception) else error


def _skew(date: str | None, here: float) -> float | None:
    """Seconds by which a server's Date header is ahead of us (it has whole seconds)."""
    try:
        return None if date is None else email.utils.parsedate_to_datetime(date).timestamp() - here
    except ValueError:
        return None
