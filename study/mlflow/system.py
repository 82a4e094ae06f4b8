"""MLflow's system metrics (CPU, memory, disk, network, GPU) in a study's run, if the study asks for them.

They are measured on the driver's machine every 10 s (`MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` changes that). They are
not in the ledger: `ganstudy sync` cannot bring back what was not logged while MLflow was away.
"""

import logging
from importlib.util import find_spec
from threading import Event
from typing import Any

from study.mlflow.private import system_metrics_monitor
from trainables.errors import InvalidInput

_log = logging.getLogger(__name__)


def check_system_metrics(wanted: bool) -> None:
    """Refuse a study that asks for system metrics that cannot be measured.

    Raises:
        InvalidInput: if psutil is not installed.
    """
    if wanted and find_spec("psutil") is None:
        raise InvalidInput("mlflow.system_metrics true: needs psutil; pip install psutil, or remove the key")


class SystemMetrics:
    """A monitor of MLflow's for the store `uri`, if `wanted`.

    The monitor ends by itself when the server is away: call `keep` again and again.
    """

    def __init__(self, wanted: bool, uri: str) -> None:
        self._wanted, self._uri = wanted, uri
        self._monitor: Any = None
        self._ended = Event()

    def keep(self, run_id: str | None) -> None:
        """Start the monitor unless it runs, if `run_id` names a running run."""
        if not self._wanted or run_id is None or (self._monitor and not self._ended.is_set()):
            return
        try:
            logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)  # a server away is logged already
            self._ended.clear()
            self._monitor = system_metrics_monitor(run_id, self._uri, self._ended.set)
            self._monitor.start()
        except Exception as error:  # from any library that it measures with; no study fails for this
            self._wanted = False
            _log.warning("MLflow's system metrics cannot be measured: %s", error)

    def stop(self) -> None:
        """Send what the monitor holds, and end it."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
