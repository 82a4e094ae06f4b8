"""All names of MLflow's that are not public and that this program uses, with what each is for.

With a new version of MLflow look here first; `tests/study/test_mlflow_private.py` has a line for each.
"""

import os
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
    from mlflow.tracking import MlflowClient

    from study.mlflow.exchange import LimitedSession


def limit_exchanges() -> None:
    """Have MLflow's client send all its requests through a `LimitedSession`: it has no public way to give it one."""
    from mlflow.utils import request_utils

    request_utils._get_request_session = _session


def newest_schema() -> str:
    """Return the revision of a database that this MLflow makes."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())  # type: ignore[no-untyped-call]


def make_store(uri: str, artifacts: str) -> None:
    """Make a database with MLflow's tables, and close it.

    Args:
        uri: of the database.
        artifacts: URI where its first experiment keeps artifacts.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri, artifacts)  # type: ignore[no-untyped-call]
    forget_connections(uri)


def forget_connections(uri: str) -> None:
    """Close this process's connections to a database: its file may be another by now."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for store in (SqlAlchemyStore, Registry):
        if (engine := store._engine_map.get(uri)) is not None:
            engine.dispose()


def histories(client: "MlflowClient") -> "Callable[[Sequence[str], str, int], Sequence[Any]] | None":
    """Return what reads a metric's points of many runs at once; None for a server, which has no such call."""
    bulk: Any = getattr(client._tracking_client.store, "get_metric_history_bulk", None)
    return None if bulk is None else lambda run_ids, name, most: list(bulk(list(run_ids), name, most))


def monitor_thread(monitor: "SystemMetricsMonitor") -> Thread | None:
    """Return the thread that measures."""
    return monitor._process


def _session(
    retries: int, backoff: float, jitter: float, codes: Collection[int], raises: bool, respects: bool
) -> "LimitedSession":
    del respects  # a server may ask for hours
    return _kept(os.getpid(), retries, backoff, jitter, frozenset(codes), raises)


@lru_cache(maxsize=8)
def _kept(
    pid: int, retries: int, backoff: float, jitter: float, codes: Collection[int], raises: bool
) -> "LimitedSession":
    from urllib3.util import Retry

    from study.mlflow.exchange import LimitedSession

    del pid  # each process has its own
    return LimitedSession(
        Retry(
            retries,
            backoff_factor=backoff,
            backoff_jitter=jitter,
            status_forcelist=codes,
            raise_on_status=raises,
            respect_retry_after_header=False,
            allowed_methods=None,
        )
    )
