"""Checks that Ray's workers would run the driver's code, before anything is trained.

Ray puts the driver's working directory first on its workers' path: another checkout there, or a file called `torch.py`,
would hide what is installed. And each node of a cluster has its own installation.
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
    """Ray's settings of a job, in which workers import from no folder of the driver's but that of our packages.

    From that only if this process finds them by the folder that it was started in (`python -m`).
    """

    def __init__(self) -> None:
        root, first = Path(__file__).resolve().parents[2], Path(sys.path[0] or ".").resolve()
        super().__init__(_py_driver_sys_path=[str(root)] if root == first else [])

    def _runtime_env_has_working_dir(self) -> bool:
        """Keep Ray from adding the working directory, and the folder of the script that was started."""
        return True


def live_nodes() -> list[dict[str, Any]]:
    """Return what the connected Ray tells of each node that is alive."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def check_workers() -> None:
    """Ask a worker on each node of the connected Ray what it would import.

    Raises:
        OtherCode: if that is not the driver's code, naming the node, what differs and where it is.
        GanStudyError: if no worker answers.
    """
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in live_nodes()}
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
    """Ask a worker on a node, by a function that does not depend on what is installed there."""
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
    for package, path in here["folders"].items():
        if package not in there["folders"]:
            return f"there is no {package}; {_MEND}"
        if same_host and there["folders"][package] != path:
            return f"{there['folders'][package]}, and not {path}; start Ray with the driver's Python and PYTHONPATH"
    for name, version in here["versions"].items():
        found = there["versions"].get(name)
        # `+cpu` and `+cu130` are builds of one version.
        if found is None or found.partition("+")[0] != version.partition("+")[0]:
            return f"{name} {found or 'is missing'}, the driver has {version}; install the same there"
    if differing := sorted({name for name, _ in there["files"].items() ^ here["files"].items()}):
        more = f" and {len(differing) - 1} more files" if differing[1:] else ""
        path = there["folders"][differing[0].partition("/")[0]]
        return f"{differing[0]}{more} in {path} {'are' if more else 'is'} not the driver's; {_MEND}"
    return None
