"""Holds the code that Ray's workers would run against the driver's, before anything is trained.

Ray puts the driver's working directory on its workers' path, in front: a folder of another checkout, or a file called
`torch.py`, would go before what is installed. And a node of a cluster has what was installed there.
"""

import sys
from functools import cache
from pathlib import Path
from typing import Any

import ray
from ray import ObjectRef, cloudpickle
from ray.exceptions import RayError
from ray.job_config import JobConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables import source
from trainables.errors import GanStudyError, OtherCode, reason_of

_PACKAGES = ("trainables", "search_spaces", "study")
_VERSIONS = ("ganstudy", "torch", "torchvision", "numpy")  # what a trial's numbers come from
_SECONDS = 120.0  # for a worker to start; on a busy machine it takes its time
_MEND = "install the driver's ganstudy there"


@cache
def driver_code() -> source.Code:
    """Return the code of this process, as it was when first asked for."""
    return source.read_code(_PACKAGES, _VERSIONS)


class DriverPath(JobConfig):
    """Ray's settings of a job, which bring workers no folder to import from but the driver's own, if it needs one."""

    def __init__(self) -> None:
        super().__init__(_py_driver_sys_path=_own_place())

    def _runtime_env_has_working_dir(self) -> bool:
        """Keep Ray from adding the working directory, and the folder of the script that was started."""
        return True


def _own_place() -> list[str]:
    """Where our packages lie, if this process finds them only by the folder it was started with (`python -m`)."""
    place, first = Path(__file__).resolve().parents[2], Path(sys.path[0] or ".").resolve()
    return [str(place)] if place == first else []


def check_workers() -> None:
    """Have a worker of each node of the connected Ray say what it would import.

    Raises:
        OtherCode: if that is not the driver's, naming the node, what differs and where it lies.
        GanStudyError: if no worker answers.
    """
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in known if node["Alive"]}
    here = nodes[ray.get_runtime_context().get_node_id()]
    asked = {_ask(node): address for node, address in nodes.items()}
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_SECONDS)
    failures, same = [f"none came up within {_SECONDS:g} s; see Ray's logs"], 0
    for answer in answered:
        address = asked[answer]
        try:
            found = ray.get(answer)
        except RayError as error:  # of a node that has died meanwhile, perhaps
            failures.append(reason_of(error, most=200))
            continue
        if difference := _difference(found, driver_code(), same_host=address == here):
            where = "Ray's workers" if len(asked) == 1 else f"Ray's workers on {address}"
            raise OtherCode(f"{where} would run other code than this driver: {difference}")
        same += 1
    if not same:
        raise GanStudyError(f"no worker of Ray's answers ({failures[-1]})")


def _ask(node: str) -> "ObjectRef[source.Code]":
    """Ask a worker of a node, by a function that does not depend on what it has installed."""
    cloudpickle.register_pickle_by_value(source)  # type: ignore[no-untyped-call]
    try:
        task: Any = ray.remote(num_cpus=0, max_retries=0)(source.read_code)
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        answer: ObjectRef[source.Code] = task.options(scheduling_strategy=there).remote(_PACKAGES, _VERSIONS)
        return answer
    finally:
        cloudpickle.unregister_pickle_by_value(source)  # type: ignore[no-untyped-call]


def _difference(there: source.Code, here: source.Code, same_host: bool) -> str | None:
    """Say in what they differ and what to do, None if they are the same."""
    for package, place in here["folders"].items():
        if package not in there["folders"]:
            return f"there is no {package}; {_MEND}"
        if same_host and there["folders"][package] != place:
            return f"{there['folders'][package]}, and not {place}; start Ray with the driver's Python and PYTHONPATH"
    for name, version in here["versions"].items():
        found = there["versions"].get(name)
        if found is None or _public(found) != _public(version):
            return f"{name} {found or 'is missing'}, the driver has {version}; install the same there"
    pairs = (there["files"], here["files"])
    if differing := sorted({name for name, _ in pairs[0].items() ^ pairs[1].items()}):
        more = f" and {len(differing) - 1} more files" if differing[1:] else ""
        place = there["folders"][differing[0].partition("/")[0]]
        return f"{differing[0]}{more} in {place} {'are' if more else 'is'} not the driver's; {_MEND}"
    return None


def _public(version: str) -> str:
    """Leave out by what it was built: `+cpu` and `+cu130` are one version."""
    return version.partition("+")[0]
