"""Doctor: Ray, started here as a launch would, or reached at its address, and a task run on each node."""

import time
from collections.abc import Iterator
from importlib.metadata import version

from study.doctor.base import Finding, Patient, fail, ok
from study.running.ray_environment import prepare_ray_environment
from study.terminal.hints import counted
from trainables.errors import GanStudyError, reason_of


def check_ray(patient: Patient) -> Iterator[Finding]:
    """Run a task on each node: that tells more than any version."""
    if patient.quick:
        yield ok("ray", f"{version('ray')}, not tried", "without --quick it is tried")
        return
    prepare_ray_environment(local=patient.address is None)
    import ray

    from study.running.cluster import connected
    from study.running.halt import Halt
    from study.running.ray_start import RayStart

    where = f"at {patient.address}" if patient.address else "started here"
    began, halt = time.monotonic(), Halt()
    try:
        with connected(RayStart(patient.address), halt):  # with a task on each node
            resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
            nodes = sum(node["Alive"] for node in ray.nodes())  # type: ignore[no-untyped-call]
    except GanStudyError as error:
        yield fail("ray", str(error))
        return
    except Exception as error:  # of Ray, of many kinds
        reason = reason_of(error, most=200)
        yield fail("ray", f"{where}: does not answer ({reason})", "see `ray status`, and Ray's own logs")
        return
    took = time.monotonic() - began
    has = f"{counted({'nodes': nodes})}, {resources.get('CPU', 0):g} CPUs, {resources.get('GPU', 0):g} GPUs"
    yield ok("ray", f"{where}: {has}; a task came back, {took:.0f} s in all")
