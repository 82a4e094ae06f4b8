"""Which MLflow store a study uses, and how it is opened: addresses, credentials, patience, quiet.

MLflow itself is imported only by the functions that need it (it takes more than a second).
"""

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from study.folder import StudyFolder
from trainables.display import one_line as shown_line
from trainables.display import quoted, redacted
from trainables.errors import InvalidInput

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT_PREFIX = "ganstudy/"

_HTTP = ("http", "https")
_POSTGRESQL = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2")
_RULE = "use http(s)://HOST:PORT, sqlite:///FILE or postgresql://HOST/DATABASE"

ENVIRONMENT = {
    # No retries inside MLflow: it would repeat a create call whose answer was lost and so make a second run.
    # The projection's own retry looks first. With MLflow's defaults a dead server holds each call for 246 s.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""MLflow's own settings as this program wants them; a variable that the user has set wins."""


def prepare_environment() -> None:
    """Set `ENVIRONMENT` where the user has not. Call once, before MLflow is imported anywhere."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def experiment_name(name: str) -> str:
    """Return the name of the MLflow experiment that holds the study `name`."""
    return EXPERIMENT_PREFIX + name


def display_uri(uri: str) -> str:
    """Return `uri` as it may be printed, logged and tagged: without credentials."""
    return redacted(uri)


def is_server(uri: str) -> bool:
    """Tell whether `uri` is an MLflow server, and not a database that this machine opens itself."""
    return urlsplit(uri).scheme in _HTTP


def resolve_uri(uri: str | None, folder: StudyFolder) -> str:
    """Return the address of the study's MLflow store; without `uri`, SQLite in the study's folder.

    Raises:
        InvalidInput: if `uri` is of a kind that MLflow 3 or this program does not use.
    """
    if uri is None:
        return f"sqlite:///{folder.mlflow_db.absolute()}"
    try:
        parts = urlsplit(uri)
        _ = parts.port
        if parts.netloc.count("@") > 1:  # which each library that reads it would split elsewhere
            raise ValueError
    except ValueError:
        raise InvalidInput(f"MLflow URI {quoted(uri)} is malformed: {_RULE}") from None
    if parts.scheme in _HTTP and parts.hostname:
        return uri.rstrip("/")
    if parts.scheme == "sqlite" and re.match(r"sqlite:///[^/?]|sqlite:////[^/?]", uri):
        return uri
    if parts.scheme in _POSTGRESQL and parts.path.strip("/"):
        return re.sub(r"^postgresql://", "postgresql+psycopg://", uri)
    raise InvalidInput(f"MLflow URI {quoted(uri)} is not supported: {_RULE}")


def database_file(uri: str) -> Path | None:
    """Return the file behind `uri` (as from `resolve_uri`), None if it is a server's."""
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]) if uri.startswith("sqlite:") else None


def check_database_folder(uri: str) -> None:
    """Refuse a database file that could never be made.

    Raises:
        InvalidInput: if `uri` (as from `resolve_uri`) is a file in a folder that is not there, or is a folder.
    """
    file = database_file(uri)
    if file is not None and not file.parent.is_dir():
        raise InvalidInput(
            f"MLflow URI {quoted(uri)}: there is no folder {file.parent}; make it, or correct mlflow.uri"
        )
    if file is not None and file.is_dir():
        raise InvalidInput(f"MLflow URI {quoted(uri)}: is a folder; name a file in it")


def open_client(uri: str) -> "MlflowClient":
    """Return MLflow's client on `uri` (as from `resolve_uri`), with its chatter below a warning turned off.

    The first call for a database creates its tables (about 2 s): let one process, the driver, make it.
    """
    prepare_environment()
    from mlflow.tracking import MlflowClient

    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # It logs an error of its database with a traceback, and raises it as well: we tell it, in one line.
    logging.getLogger("mlflow.store").setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def artifact_location(uri: str, folder: StudyFolder) -> str | None:
    """Return where a new experiment keeps its artifacts; None where the server decides."""
    return None if is_server(uri) else folder.mlflow_artifacts.absolute().as_uri()


def one_line(error: BaseException, limit: int = 300) -> str:
    """Return `error` with its class in one line, for a log or a status line."""
    return shown_line(f"{type(error).__name__}: {error}", limit)
