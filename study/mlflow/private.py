"""Names of MLflow that no document describes, all that are used. Where one has moved a study does without: `verify` and
`sync` are slower, there are no system metrics, or MLflow itself makes its database, which a kill may leave half made.
"""

import os
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from study.private_names import found

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from study.mlflow.exchange import LimitedSession

NAMES = {
    "mlflow.utils.request_utils:_get_request_session": "an exchange with a server has no limit as a whole",
    "mlflow.store.db.utils:_get_latest_schema_revision": "a database of another version is told by MLflow itself",
    "mlflow.store.tracking.sqlalchemy_store:SqlAlchemyStore": "MLflow makes its database where it belongs, not aside",
    "mlflow.store.tracking.sqlalchemy_store:SqlAlchemyStore._engine_map": "a database put in place is seen late",
    "mlflow.store.tracking.sqlalchemy_store:SqlAlchemyStore.get_metric_history_bulk": "`verify` takes longer",
    "mlflow.store.model_registry.sqlalchemy_store:SqlAlchemyStore._engine_map": "as the other engine map",
    "mlflow.system_metrics.system_metrics_monitor:SystemMetricsMonitor.monitor": "there are no system metrics",
}
"""What happens without each."""

_SESSION, _REVISION, _STORE, _ENGINES, _BULK, _REGISTRY_ENGINES, _MONITOR = NAMES
History = Callable[[list[str], str, int], Iterable[Any]]


def limit_exchanges() -> None:
    """Have MLflow's client send all its requests through a `LimitedSession`: it has no public way to give it one."""
    from mlflow.utils import request_utils

    request_utils._get_request_session = _session


def newest_schema() -> str | None:
    """Return the revision of a database that this MLflow makes; None if it does not say."""
    revision = found(_REVISION)
    return None if revision is None else str(revision())


def makes_stores() -> bool:
    """Whether `make_store` can be called."""
    return found(_STORE) is not None


def make_store(uri: str, artifacts: str) -> None:
    """Make a database with MLflow's tables, and close it.

    Args:
        uri: of the database.
        artifacts: URI where its first experiment keeps artifacts.
    """
    found(_STORE)(uri, artifacts)
    forget_connections(uri)


def forget_connections(uri: str) -> None:
    """Close this process's connections to a database: its file may be another by now."""
    for name in (_ENGINES, _REGISTRY_ENGINES):
        if (engine := (found(name) or {}).get(uri)) is not None:
            engine.dispose()


def history_reader(client: "MlflowClient") -> History | None:
    """Return what reads a metric of many runs at once, of a store that is a database; else None.

    40 runs of 15 metrics are read in 0.3 s instead of 4 s.
    """
    store = getattr(getattr(client, "_tracking_client", None), "store", None)
    reader: History | None = getattr(store, "get_metric_history_bulk", None)
    return reader


def system_metrics_monitor(run_id: str, uri: str, ended: Callable[[], None]) -> Any:
    """Return a monitor of this machine with `start()` and `finish()`, which calls `ended` when it measures no more.

    Raises:
        Exception: whatever keeps it from measuring.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Monitor(SystemMetricsMonitor):
        def monitor(self) -> None:
            try:
                super().monitor()  # type: ignore[no-untyped-call]
            finally:
                ended()

    return Monitor(run_id, resume_logging=True, tracking_uri=uri)  # type: ignore[no-untyped-call]


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
