"""MLflow's own metrics of the machine (CPU, memory, disk, network, GPU) in a study's run, where the study asks for it.

They are of the driver's machine, every 10 s (`MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` changes that), and not in the
ledger: what was not logged while MLflow was away is lost, and `ganstudy sync` cannot bring it.
"""

import logging
from importlib.util import find_spec
from threading import Event
from typing import Any

from study.mlflow.private import system_metrics_monitor
from trainables.errors import InvalidInput

_log = logging.getLogger(__name__)


def check_system_metrics(wanted: bool) -> None:
    """Refuse a study that asks for them where they cannot be had.

    Raises:
        InvalidInput: if psutil is not installed.
    """
    if wanted and find_spec("psutil") is None:
        raise InvalidInput("mlflow.system_metrics true: needs psutil; pip install psutil, or leave it out")


class SystemMetrics:
    """One monitor of MLflow's; it ends by itself when the server is away, so `keep` is to be called again and again."""

    def __init__(self, wanted: bool, uri: str) -> None:
        """Start nothing yet.

        Args:
            wanted: whether the study asks for it.
            uri: MLflow's store.
        """
        self._wanted, self._uri = wanted, uri
        self._monitor: Any = None
        self._ended = Event()

    def keep(self, run_id: str | None) -> None:
        """See to it that a monitor runs if `run_id` names a run that is running."""
        if not self._wanted or run_id is None or (self._monitor and not self._ended.is_set()):
            return
        try:
            logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)  # the thread tells of a server away
            self._ended.clear()
            self._monitor = system_metrics_monitor(run_id, self._uri, self._ended.set)
            self._monitor.start()
        except Exception as error:  # of whatever it measures with; a study never fails for want of it
            self._wanted = False
            _log.warning("MLflow's system metrics cannot be measured: %s", error)

    def stop(self) -> None:
        """End the monitor, with what it holds sent."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
