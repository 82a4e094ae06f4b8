"""A production training on several devices of this machine: Ray Train runs one process for each, torch joins them.

Ray Train starts the processes, joins them by gloo (CPU) or NCCL (GPU), and starts them again when one dies. Nothing
else of it is used: the first process does what the one of a training on one device does, and its folder is the truth.
"""

import os
import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import ray
from ray import ObjectRef
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError, UserCallback
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util.queue import Empty, Queue

from study.production.plan import TrainingPlan
from study.production.recorder import TrainingRun
from study.production.run import follow, run
from study.running.cluster import connected
from study.running.halt import Halt
from study.running.ray_start import RayStart
from study.terminal.say import Say
from trainables.display import one_line
from trainables.errors import GanStudyError
from trainables.evaluation.prepare import Prepared
from trainables.faults import cause_of, end_with_raylet, is_disk_shut
from trainables.threads import fixed_threads
from trainables.world import DistributedWorld

_RESTARTS = 3  # after the death of a process; what happens again and again is no accident
_COLLECTIVE_SECONDS = 4 * 3600  # others wait so long for the first to evaluate; a death is noticed at once
_PERIOD = 0.25  # seconds between looks whether Ray has ended
_CHDIR = "RAY_CHDIR_TO_TRIAL_DIR"


def run_parallel(plan: TrainingPlan, prepared: Prepared, say: Say) -> None:
    """Train on `plan.order.devices` devices; as `study.production.run.run`, which the first process runs.

    Raises:
        GanStudyError: as the first process does, or if the processes died too often, or Ray did.
    """
    try:
        _run_parallel(plan, prepared, say)
    except BaseException as error:
        if plan.mlflow:  # whose run the first process cannot close when Ray has ended it
            with suppress(GanStudyError), plan.folder.writing():  # that process's last report is there
                TrainingRun(plan, say).stop(plan.folder.read_measured(), error)
        raise


def _run_parallel(plan: TrainingPlan, prepared: Prepared, say: Say) -> None:
    halt, devices = Halt(), plan.order.devices
    os.environ[_CHDIR] = "0"  # paths in the plan may be relative
    unused = tempfile.TemporaryDirectory(prefix="ganstudy-", ignore_cleanup_errors=True)
    with unused as storage, connected(RayStart(None, cpus=devices * plan.origin.threads), halt):
        told = Queue(actor_options={"num_cpus": 0})
        share = plan.config.batch_size // devices
        say(f"{devices} devices, each with {share} images of every batch of {plan.config.batch_size}", True)
        try:
            _attend(_fit.remote(plan, [ray.put(prepared)], told, storage), told, halt, say)
        except RayError as error:  # its servers or one of its own processes died
            cause = _cause(error)
            raise GanStudyError(f"Ray failed ({cause}); the same command resumes from the last report") from error


@ray.remote(num_cpus=0, max_retries=0)
def _fit(plan: TrainingPlan, prepared: list["ObjectRef[Prepared]"], told: Queue, storage: str) -> str | None:
    """Run Ray Train in a process of its own, so that Ctrl-C reaches the driver; return why it failed, if it did."""
    devices, gpu = plan.order.devices, plan.device == "cuda"
    resources = {"CPU": float(plan.origin.threads)} | ({"GPU": 1.0} if gpu else {})
    trainer = TorchTrainer(
        _work,
        train_loop_config={"plan": plan, "prepared": prepared, "told": told},
        scaling_config=ScalingConfig(num_workers=devices, use_gpu=gpu, resources_per_worker=resources),
        run_config=RunConfig(
            storage_path=storage,
            failure_config=FailureConfig(max_failures=_RESTARTS),
            callbacks=[_Deaths(told, devices)],  # type: ignore[list-item]  # V2's; the hints are V1's
        ),
        torch_config=TorchConfig(timeout_s=_COLLECTIVE_SECONDS),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        return _cause(error)
    return None


def _attend(fit: "ObjectRef[str | None]", told: Queue, halt: Halt, say: Say) -> None:
    """Repeat what the first process says until all have ended."""
    over = False
    while not over:
        halt.check()
        over = bool(ray.wait([fit], timeout=0)[0])  # asked before the last words are heard
        with suppress(Empty):
            while True:
                words = told.get(timeout=_PERIOD)
                if isinstance(words, Exception):
                    raise words
                say(*words)
    if cause := ray.get(fit):
        raise GanStudyError(
            f"the processes that train together failed {_RESTARTS + 1} times ({cause}); "
            "the same command resumes from the last report"
        )


def _work(options: dict[str, Any]) -> None:
    """What each process does."""
    end_with_raylet()
    plan: TrainingPlan = replace(options["plan"], device=str(get_device()))
    (prepared,) = ray.get(options["prepared"])
    told: Queue = options["told"]
    world = DistributedWorld()
    with fixed_threads(plan.origin.threads):
        if world.rank:
            follow(plan, prepared, world)
            return
        try:
            run(plan, prepared, lambda text, done: told.put((text, done)), world)
        except Exception as error:
            if isinstance(error, ImportError):
                error = GanStudyError(f"{cause_of(error)}; install what is missing, then run the same command again")
            if isinstance(error, GanStudyError) or is_disk_shut(error, plan.folder.path):
                told.put(error)  # nothing that another start would mend
                threading.Event().wait()  # the driver ends all
            raise


class _Deaths(UserCallback):
    """Says which processes died. Runs in Ray Train's own process."""

    def __init__(self, told: Queue, count: int) -> None:
        self._told, self._count, self._deaths = told, count, 0

    def after_exception(self, run_context: object, worker_exceptions: dict[int, Exception]) -> None:
        self._deaths += 1
        if self._deaths <= _RESTARTS:
            ranks = ", ".join(str(rank + 1) for rank in sorted(worker_exceptions))
            self._told.put((f"process {ranks} of {self._count} failed; all restart from the last report", True))


def _cause(error: Exception) -> str:
    """The first failure, in a few words."""
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    first = failures[min(failures)] if failures else error
    lines = [line.strip() for line in str(first).splitlines() if line.strip()]
    return one_line(f"{type(first).__name__}: {lines[-1] if lines else ''}", 300)
