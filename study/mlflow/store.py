"""Which MLflow store a study uses, and how it is opened.

MLflow takes more than a second to import: only the functions that need it do.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import sqlalchemy as sa

from study.folder import StudyFolder
from study.mlflow.database import ready_database, sqlite_uri
from study.mlflow.settings import prepare_environment
from study.study_file.addresses import database_file
from trainables.display import one_line as shown_line
from trainables.display import quoted, redacted
from trainables.errors import InvalidInput

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT_PREFIX = "ganstudy/"

_MOST_TEXT = 10_000  # characters of an error: some quote a whole answer
_HTTP = ("http", "https")
_POSTGRESQL = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2")
_SQLITE = ("sqlite", "sqlite+pysqlite")
_RULE = "use http(s)://HOST:PORT, sqlite:///FILE or postgresql://HOST/DATABASE"


def experiment_name(name: str) -> str:
    """Return the name of the MLflow experiment that holds the study `name`."""
    return EXPERIMENT_PREFIX + name


display_uri = redacted  # an address as it may be printed, logged and tagged


def is_server(uri: str) -> bool:
    """Tell whether `uri` is an MLflow server, and not a database that this machine opens itself."""
    return urlsplit(uri).scheme in _HTTP


def resolve_uri(uri: str | None, folder: StudyFolder) -> str:
    """Return the address of the study's MLflow store; without `uri`, SQLite in the study's folder.

    Raises:
        InvalidInput: if `uri` is malformed, or of an unsupported kind.
    """
    if uri is None:
        return sqlite_uri(folder.mlflow_db.absolute())
    try:
        parts = urlsplit(uri)
        _ = parts.port
        if parts.netloc.count("@") > 1:  # the libraries that read it would not split it alike
            raise ValueError
    except ValueError:
        raise InvalidInput(f"MLflow URI {quoted(uri)} is malformed: {_RULE}") from None
    if parts.scheme in _HTTP and parts.hostname:
        return uri.rstrip("/")
    if parts.scheme in _SQLITE and (file := _named_file(uri)) is not None:
        return sqlite_uri(file)
    if parts.scheme in _POSTGRESQL and parts.path.strip("/"):
        return re.sub(r"^postgresql://", "postgresql+psycopg://", uri)
    raise InvalidInput(f"MLflow URI {quoted(uri)} is not supported: {_RULE}")


def _named_file(uri: str) -> Path | None:
    """Return the file that an SQLite address names; None if it names none, or more than that."""
    try:
        url = sa.make_url(uri)
    except (sa.exc.ArgumentError, ValueError):
        return None
    plain = not (url.host or url.username or url.query) and url.database not in (None, "", "/", ":memory:")
    return Path(str(url.database)) if plain else None


def open_client(uri: str) -> "MlflowClient":
    """Return MLflow's client on `uri` (as from `resolve_uri`), whose exchanges with a server all end.

    For a database call `check_database` first, or use `open_store`: the client makes tables in a file that lacks them.
    """
    prepare_environment()
    from mlflow.tracking import MlflowClient

    from study.mlflow.private import limit_exchanges

    limit_exchanges()
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def open_store(uri: str, folder: StudyFolder) -> "MlflowClient":
    """Return MLflow's client for writing a study to `uri`; its database is made first if need be.

    Raises:
        GanStudyError: if the database is not a store of this MLflow.
    """
    ours = database_file(uri) == folder.mlflow_db.absolute()
    if ours:
        folder.path.mkdir(parents=True, exist_ok=True)
    ready_database(uri, folder.mlflow_artifacts.absolute().as_uri(), ours)
    return open_client(uri)


def artifact_location(uri: str, folder: StudyFolder) -> str | None:
    """Return where a new experiment keeps its artifacts; None: the server decides."""
    return None if is_server(uri) else folder.mlflow_artifacts.absolute().as_uri()


def one_line(error: BaseException, limit: int = 300) -> str:
    """Return `error` with its class in one line, for a log or a status line."""
    return shown_line(f"{type(error).__name__}: {error}"[:_MOST_TEXT], limit)
