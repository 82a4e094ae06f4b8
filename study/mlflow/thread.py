"""The driver's MLflow thread: training never waits for MLflow, and MLflow gets every row of the ledger."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple

from study.ledger.rows import Row
from study.mlflow.projection import FinalState, MlflowProjection
from study.mlflow.runs import Counts
from study.mlflow.store import display_uri, one_line
from study.mlflow.system import SystemMetrics
from trainables.errors import GanStudyError

Read = Callable[[int], Sequence[Row]]
"""`read(seq)` returns the ledger's rows after `seq`, in order. The thread calls it, on its own connection."""

FIRST_RETRY = 1.0
LAST_RETRY = 60.0
LONGEST_PAUSE = 15.0
_log = logging.getLogger(__name__)


def catch_up(read: Read, projection: MlflowProjection, final: FinalState | None = None) -> None:
    """Project all rows that the ledger holds now, then `final`.

    Raises:
        Exception: whatever MLflow or the ledger raised.
    """
    if not projection.opened:
        projection.open()  # before the rows are read: while the server is down that is all that happens
    while rows := read(projection.position):
        projection.check_not_beyond(rows)
        projection.project(rows, ending=final is not None)
    if final is not None:
        projection.close(final)


def sync(read: Read, projection: MlflowProjection, final: FinalState | None = None) -> Counts:
    """Bring MLflow up to the ledger's last row, in the foreground; return how much was sent.

    Not while another process drives the study: that one projects by itself, and the slower of the two would
    overwrite newer states with older ones.

    Raises:
        GanStudyError: if MLflow could not be brought up to date; nothing is lost, and the same call resumes.
    """
    before = astuple(projection.counts)
    try:
        catch_up(read, projection, final)
    except GanStudyError:
        raise
    except Exception as error:
        store = display_uri(projection.uri)
        raise GanStudyError(f"MLflow at {store}: {one_line(error)}; fix this, then run sync again") from error
    return Counts(*(now - then for now, then in zip(astuple(projection.counts), before, strict=True)))


class ProjectionThread:
    """A daemon thread that projects the ledger's new rows when woken, then pauses, so that many rows share one call.

    On an error it warns once, keeps the text in `error`, and tries again after 1, 2, 4 ... 60 seconds.
    """

    def __init__(
        self,
        read: Read,
        projection: MlflowProjection,
        interval: float = 1.0,
        system: SystemMetrics | None = None,
        patience: float = 0.0,
        share: float = 1.0,
    ) -> None:
        """Start the thread.

        Args:
            read: the ledger's reader.
            projection: used by the thread alone until `close` returns True.
            interval: seconds between two projections.
            system: kept running while the study's run is; None for none.
            patience: seconds before the first projection: MLflow's import and tables take three of a core's.
            share: part of a core that projecting may take: a long projection is followed by a longer pause, up to
                `LONGEST_PAUSE`.
        """
        self.error: str | None = None
        self._read, self._projection = read, projection
        self._interval, self._patience, self._share = interval, patience, share
        self._system = system or SystemMetrics(False, projection.uri)
        self._final: FinalState | None = None
        self._complete = False
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ganstudy-mlflow", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that the ledger has new rows. Returns at once."""
        self._wanted.set()

    def close(self, timeout: float, final: FinalState | None = None) -> bool:
        """Project what is left, then `final`; wait at most `timeout` seconds.

        Returns:
            True if everything is in MLflow. Otherwise `error` says why, and `sync` will catch up.
        """
        self._final = final
        self._closing.set()
        self._wanted.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self.error = self.error or f"MLflow did not answer within {timeout:g} s"
        return self._complete

    def _work(self) -> None:
        delay = FIRST_RETRY
        self._closing.wait(self._patience)
        while True:
            self._wanted.wait()
            self._wanted.clear()
            last = self._closing.is_set()
            began = time.thread_time()
            try:
                if last:
                    self._system.stop()  # it would take the run's end for its own
                catch_up(self._read, self._projection, self._final if last else None)
                if not last:
                    self._system.keep(self._projection.running_id)
            except Exception as error:
                self._projection.reset()
                if self.error is None:
                    store = display_uri(self._projection.uri)
                    _log.warning(
                        "MLflow at %s: %s; the study goes on, and MLflow catches up later", store, one_line(error)
                    )
                self.error = one_line(error)
                if last:
                    return
                self._closing.wait(delay)
                delay = min(delay * 2, LAST_RETRY)
                self._wanted.set()
                continue
            if self.error is not None:
                _log.warning("MLflow is back: everything is projected")
                self.error = None
            delay = FIRST_RETRY
            if last:
                self._complete = True
                return
            wished = (time.thread_time() - began) / self._share
            self._closing.wait(max(self._interval, min(wished, LONGEST_PAUSE)))
