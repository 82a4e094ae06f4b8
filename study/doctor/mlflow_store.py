"""Doctor: the MLflow store: whether it answers, and whether its clock agrees with ours."""

import base64
import email.utils
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from study.doctor.base import Finding, Patient, fail, ok, warn
from study.folder import StudyFolder
from study.mlflow.store import (
    check_database_folder,
    database_file,
    display_uri,
    is_server,
    one_line,
    open_client,
    resolve_uri,
)
from trainables.display import one_line as shown_line
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
        yield fail("mlflow", str(error), "")
        return
    shown = display_uri(uri)
    if is_server(uri):
        yield from _server(uri, shown)
        return
    file = database_file(uri)
    if file is not None and not file.exists():
        yield ok("mlflow", f"{shown}: not there yet; its first launch makes it")
    elif patient.quick:
        yield ok("mlflow", f"{shown}: not opened", "leave --quick out to have it tried")
    else:
        yield _opened(uri, shown, file)


def _opened(uri: str, shown: str, file: Path | None) -> Finding:
    try:
        found = open_client(uri).search_experiments(max_results=1000)
    except Exception as error:  # of MLflow, SQLAlchemy or the driver
        return fail("mlflow", f"{shown}: {one_line(error)}", f"mend it, or move {file} away" if file else "mend it")
    return ok("mlflow", f"{shown}: {len(found)} experiments")


def _server(uri: str, shown: str) -> Iterator[Finding]:
    advice = "start it (mlflow server), or correct the address; a study runs without it, `ganstudy sync` catches up"
    try:
        before = time.time()
        with urllib.request.urlopen(_request(f"{uri}/version"), timeout=_SECONDS) as answer:
            there = answer.read(100).decode("utf-8", "replace").strip()
            date = answer.headers.get("Date")
        after = time.time()
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        yield fail("mlflow", f"{shown}: {shown_line(str(reason), 200)}", advice)
        return
    yield ok("mlflow", f"{shown}: version {there}, answered in {1000 * (after - before):.0f} ms")
    skew = _skew(date, (before + after) / 2)
    if skew is None:
        return
    if abs(skew) > _SKEW:
        yield warn("mlflow clock", f"{skew:+.0f} s from ours", "set both (NTP): times in MLflow are this machine's")
    else:
        yield ok("mlflow clock", f"within {max(1, round(abs(skew)))} s of ours")


def _request(url: str) -> urllib.request.Request:
    """The request, with user and password of the address as Basic authorisation: urllib takes them for the port."""
    parts = urlsplit(url)
    userinfo, at, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place).geturl())
    if at:
        user, _, password = userinfo.partition(":")
        token = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _skew(date: str | None, here: float) -> float | None:
    """Seconds by which a server's Date header is ahead of us (it has whole seconds)."""
    try:
        return None if date is None else email.utils.parsedate_to_datetime(date).timestamp() - here
    except ValueError:
        return None
