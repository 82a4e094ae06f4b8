"""The Ray a study runs on: a local one of its own, or a cluster that is left as it was found."""

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from study.analysis.export import threads_per_trial
from study.running.ray_watch import Address, RayWatch
from study.study_file.config import StudyConfig
from trainables.errors import GanStudyError, InvalidInput

_PATIENCE = 30.0  # seconds without the GCS; Ray itself gives up after 60
_OWN_PATIENCE = 1.0
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Slots:
    """What each trial takes, and how many run at once."""

    cpus: float
    gpus: float
    threads: int
    concurrency: int

    @property
    def device(self) -> str:
        """Where torch puts a trial."""
        return "cuda" if self.gpus else "cpu"


@contextmanager
def connected(address: str | None, lost: Callable[[str], None], cpus: int | None = None) -> Iterator[None]:
    """Connect to the cluster at `address`, or start a local Ray (on loopback, see `study.running.ray_environment`).

    Args:
        address: "auto", "HOST:PORT", or None for a local Ray.
        lost: told, from another thread, if Ray dies; the block is then to be left soon, and the process ends with it.
        cpus: of a local Ray; None: those of this machine.

    Raises:
        GanStudyError: if there is no Ray at `address`.
    """
    _refuse_dead(address)
    # "local": ray.init() alone would join any cluster that a file on this machine still names.
    own = {"address": "local", "include_dashboard": False, "num_cpus": cpus}
    where: dict[str, Any] = {"address": address} if address else own
    try:
        with _own_sigterm():
            ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        place = f"Ray at {address}" if address else "a local Ray"
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise GanStudyError(f"cannot reach {place}: {reason}; check `ray status`, or leave --address out") from None
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # lost workers are told by our own display
    try:
        with RayWatch(_servers(patience=_PATIENCE if address else _OWN_PATIENCE), lost):
            yield
    finally:
        ray.shutdown()


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep a handler of SIGTERM that `ray.init` would replace by one that exits with 15."""
    ours = signal.getsignal(signal.SIGTERM)
    if not callable(ours) or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        yield
    except SystemExit:  # that one's
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, ours)


def _refuse_dead(address: str | None) -> None:
    """Refuse an address where nobody listens: Ray itself would go on trying for minutes.

    Raises:
        GanStudyError: naming the address.
    """
    host, _, port = (address or "").rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise GanStudyError(f"no Ray at {address}: {reason}; check `ray status`, or leave --address out") from None


def _servers(patience: float) -> dict[str, tuple[Address, float]]:
    """Return the two servers a driver cannot do without: the cluster's GCS, and the raylet of its own node.

    Args:
        patience: seconds that the GCS may be gone. (One with Redis behind it comes back; a raylet never does.)
    """
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    here = next(node for node in nodes if node["NodeID"] == context.get_node_id())
    raylet = here["NodeManagerAddress"], int(here["NodeManagerPort"])
    return {"Ray's GCS": ((host, int(port)), patience), "Ray's raylet": (raylet, _OWN_PATIENCE)}


def plan_slots(config: StudyConfig) -> Slots:
    """Resolve `auto` resources on the connected cluster.

    Raises:
        InvalidInput: if no node can hold a single trial (Tune would wait for ever).
    """
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = [node["Resources"] for node in known if node["Alive"]]
    cpus = 1.0 if config.resources.cpus == "auto" else float(config.resources.cpus)
    has_gpus = any(node.get("GPU", 0) for node in nodes)
    gpus = float(has_gpus) if config.resources.gpus == "auto" else float(config.resources.gpus)
    fitting = sum(_fitting(node, cpus, gpus) for node in nodes)
    if not fitting:
        largest = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)))
        raise InvalidInput(
            f"resources cpus {cpus:g}, gpus {gpus:g} per trial: no node has so much "
            f"(the largest: {largest.get('CPU', 0):g} CPUs, {largest.get('GPU', 0):g} GPUs); lower them"
        )
    wanted = fitting if config.concurrency == "auto" else config.concurrency
    threads = threads_per_trial(config.to_dict())
    return Slots(cpus, gpus, threads, min(wanted, fitting, config.trials))


def _fitting(node: dict[str, float], cpus: float, gpus: float) -> int:
    """Return how many trials fit on a node."""
    by_cpu = node.get("CPU", 0) / cpus
    return int((min(by_cpu, node.get("GPU", 0) / gpus) if gpus else by_cpu) + 1e-9)  # 1 / 0.1 is 10, not 9.99...
