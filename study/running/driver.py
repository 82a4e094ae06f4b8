"""One driver at work on a study, whatever it runs: Ray, the ledger as its one owner, MLflow's thread, Ctrl-C."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from study.exit_codes import ENDING_SIGNALS
from study.ledger.busy import Endless, Wait, for_a_while
from study.ledger.events import Event
from study.ledger.ledger import Ledger, Row, Writer
from study.ledger.modes import MODES
from study.ledger.records import Fold
from study.mlflow.page import FinalStatus
from study.mlflow.projection import FinalState, MlflowProjection
from study.mlflow.store import display_uri
from study.mlflow.system import SystemMetrics
from study.mlflow.thread import ProjectionThread
from study.running.cluster import Slots, connected, plan_slots
from study.running.halt import Halt
from study.running.ray_start import RayStart
from study.study_file.config import StudyConfig
from trainables.errors import InvalidInput

_MLFLOW_SECONDS_AFTER_ERROR = 10.0
_MLFLOW_LATER_BY = 10.0  # seconds: the cores are the first trials' workers', which import torch then
_MLFLOW_EVERY = 5.0  # seconds: many reports share the work of a projection
_MLFLOW_SHARE = 0.005  # of a core


@dataclass
class Driver:
    """What a driver has in hand; `fold` has taken all that is in the ledger, and `shown` is told of each event then."""

    slots: Slots
    fold: Fold
    writer: Writer
    thread: ProjectionThread
    halt: Halt
    projection: MlflowProjection
    disconnect: Callable[[], None]
    """Ends Ray, or leaves it; what follows needs none. The block's end does it too."""
    shown: Callable[[Event], None] = lambda event: None

    def __post_init__(self) -> None:
        """Follow what the writer writes."""
        self.writer.committed = self._take

    def _take(self, row: Row) -> None:
        self.fold.take(row)
        self.shown(row.event)
        self.thread.wake()

    def behind(self, done: bool) -> str | None:
        """Why MLflow lacks something, None if all is `done` (what closing the thread returned)."""
        return None if done else f"{display_uri(self.projection.uri)}: {self.thread.error}"


@contextmanager
def driving(
    config: StudyConfig,
    command: str,
    start: RayStart,
    projection: MlflowProjection,
    fold: Fold,
    begin: Callable[[Writer], None],
    after_error: FinalStatus = "failed",
) -> Iterator[Driver]:
    """Connect to Ray, own the ledger, and project it on MLflow while the block runs; close the thread at its end.

    Args:
        config: the study; it lies in `config.folder`.
        command: what is run, for whoever finds the study taken.
        start: of Ray, begun or not.
        projection: on MLflow.
        fold: of the ledger, as far as it was read.
        begin: writes the first rows, by what `fold` has then taken, before MLflow is told of any.
        after_error: how the study stands in MLflow if the block raises.

    Raises:
        InvalidInput: if the folder cannot be made.
        GanStudyError: if another driver runs this study, or the ledger or Ray fails.
    """
    halt = Halt()
    with ExitStack() as ray:
        ray.enter_context(connected(start, halt))
        slots = plan_slots(config)
        _create(config.folder.path)
        host, head = socket.gethostname(), config.folder.head
        with (
            study_ledger(config, wait=Endless(lambda: halt.asked)) as ledger,
            ledger.own(host, os.getpid(), command, head) as writer,
        ):
            fold.follow(ledger.read)  # nobody else writes from here on
            begin(writer)
            fold.follow(ledger.read)
            with study_ledger(config) as reader:
                system = SystemMetrics(config.mlflow.system_metrics, projection.uri)
                thread = ProjectionThread(
                    reader.read, projection, _MLFLOW_EVERY, system, _MLFLOW_LATER_BY, _MLFLOW_SHARE
                )
                try:
                    yield Driver(slots, fold, writer, thread, halt, projection, ray.close)
                except BaseException:
                    thread.close(_MLFLOW_SECONDS_AFTER_ERROR, FinalState(after_error))
                    raise


def study_ledger(config: StudyConfig, create: bool = True, wait: Wait = for_a_while) -> Ledger:
    """Open the study's ledger, or make it."""
    folder, mode = config.folder, MODES[config.storage.readers]
    location = config.storage.ledger or folder.ledger
    return Ledger.open(location, schema=folder.name, create=create, mode=mode, wait=wait)


@contextmanager
def interruptible(halt: Halt) -> Iterator[None]:
    """End the run cleanly on the first Ctrl-C, SIGTERM or SIGHUP; the next one is not held back."""
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING_SIGNALS)}
    before = {number: handler for number, handler in heard.items() if handler != signal.SIG_IGN}

    def ask(number: int, frame: object) -> None:
        halt.ask(f"interrupted by {signal.Signals(number).name}", by_signal=True)
        signal.signal(number, before[signal.Signals(number)])

    in_main_thread = threading.current_thread() is threading.main_thread()
    for number in before if in_main_thread else ():
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items() if in_main_thread else ():
            signal.signal(number, handler)


def _create(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"storage {path}: cannot be created: {error.strerror}; set storage.path") from None
    if not os.access(path, os.W_OK):
        raise InvalidInput(f"storage {path}: not writable; set storage.path or mend its permissions")
