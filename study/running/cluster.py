"""The Ray that a study runs on: a local one of its own, or a cluster, which is left as it was found."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray

from study.analysis.export import threads_per_trial
from study.running.halt import Halt
from study.running.ray_errors import ray_failed
from study.running.ray_start import RayStart
from study.running.ray_watch import Address, RayWatch
from study.running.same_code import live_nodes
from study.study_file.config import StudyConfig
from trainables.errors import GanStudyError, InvalidInput

_PATIENCE = 30.0  # seconds without the GCS; Ray itself gives up after 60
_OWN_PATIENCE = 1.0


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
def connected(start: RayStart, halt: Halt) -> Iterator[None]:
    """Be connected to Ray while the block runs, and watch it.

    Args:
        start: of Ray, begun or not; ended with the block.
        halt: told, from another thread, if Ray dies; the block must then be left soon.

    Raises:
        GanStudyError: if Ray cannot be reached, or died and so made the block fail.
    """
    with start:
        start.wait()
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # our own display reports lost workers
        try:
            servers = _servers(patience=_PATIENCE if start.address else _OWN_PATIENCE)
        except Exception as error:  # it has died since
            raise ray_failed(start.address, error) from error
        with RayWatch(servers, halt) as watch:
            try:
                yield
            except Exception as error:
                if not isinstance(error, GanStudyError):
                    watch.look()
                    if halt.lost:
                        raise GanStudyError(halt.lost) from error
                raise
        if halt.at_once:
            start.leave()


def _servers(patience: float) -> dict[str, tuple[Address, float]]:
    """Return the two servers that a driver needs: the cluster's GCS, and the raylet of its own node.

    Args:
        patience: seconds that the GCS may be gone. (One with Redis behind it comes back; a raylet never does.)
    """
    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    here = next(node for node in live_nodes() if node["NodeID"] == context.get_node_id())
    raylet = here["NodeManagerAddress"], int(here["NodeManagerPort"])
    return {"Ray's GCS": ((host, int(port)), patience), "Ray's raylet": (raylet, _OWN_PATIENCE)}


def plan_slots(config: StudyConfig) -> Slots:
    """Resolve `auto` resources on the connected cluster.

    Raises:
        InvalidInput: if no node has room for a single trial (Tune would wait for ever).
    """
    nodes = [node["Resources"] for node in live_nodes()]
    cpus = 1.0 if config.resources.cpus == "auto" else float(config.resources.cpus)
    has_gpus = any(node.get("GPU", 0) for node in nodes)
    gpus = float(has_gpus) if config.resources.gpus == "auto" else float(config.resources.gpus)
    fitting = sum(_fitting(node, cpus, gpus) for node in nodes)
    if not fitting:
        largest = max(nodes, key=lambda node: (node.get("GPU", 0), node.get("CPU", 0)))
        raise InvalidInput(
            f"resources cpus {cpus:g}, gpus {gpus:g} per trial: no node has that much "
            f"(the largest: {largest.get('CPU', 0):g} CPUs, {largest.get('GPU', 0):g} GPUs); lower them"
        )
    wanted = fitting if config.concurrency == "auto" else config.concurrency
    threads = threads_per_trial(config.to_dict())
    return Slots(cpus, gpus, threads, min(wanted, fitting, config.trials))


def _fitting(node: dict[str, float], cpus: float, gpus: float) -> int:
    """Return how many trials fit on a node."""
    by_cpu = node.get("CPU", 0) / cpus
    return int((min(by_cpu, node.get("GPU", 0) / gpus) if gpus else by_cpu) + 1e-9)  # 1 / 0.1 is 10, not 9.99...
