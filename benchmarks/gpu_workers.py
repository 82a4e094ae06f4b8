"""Processes that train on one GPU at the same time, for benchmarks/gpu.py, and NVIDIA's MPS around them."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import torch

from trainables.gan.batches import Batches
from trainables.gan.captured import CAPTURED, EAGER, STATIC, STEPS, Steps
from trainables.gan.config import TrialConfig
from trainables.gan.ema import Ema
from trainables.gan.models import ImageShape
from trainables.gan.networks import build_networks
from trainables.gan.step import MEANS, Stepper
from trainables.streams import Streams

HOW = ("eager", "graphs")
_ROWS = {("cuda", "eager"): EAGER, ("cuda", "graphs"): CAPTURED, ("cpu", "eager"): EAGER, ("cpu", "graphs"): STATIC}
_WARM_UP_STEPS = 64  # every kind of step of these networks is captured by then
_STEPS_A_LOOK = 16  # from one look at the sums to the next: a kimg of batches of 64
_PATIENCE = 300.0

Trial = tuple[Mapping[str, Any], str, str, str]
"""Changes to the plain trial, name of the data, precision, device."""


def trial_of(changes: Mapping[str, Any], data: str, precision: str) -> TrialConfig:
    """Return a trial of one of the compared networks."""
    base = {"data": {"name": data}, "latent": {"name": "normal", "dimension": 100}, "seed": 1}
    return TrialConfig.from_dict(base | dict(changes) | {"precision": precision})


def steps_of(trial: Trial, how: str) -> tuple[TrialConfig, Steps, torch.Tensor]:
    """Return a trial's steps without the rest of a session, and the sums they add to."""
    changes, data, precision, device = trial
    config, row = trial_of(changes, data, precision), STEPS[_ROWS[device, how]]
    dataset = config.data.load()
    shape = ImageShape(dataset.channels, dataset.size)
    generator, discriminator = (net.to(device) for net in build_networks(config, shape, dataset.classes or 0))
    streams = Streams(config.seed, torch.device(device))
    batches = Batches.of(config, dataset, device)
    stepper = Stepper(batches, generator, discriminator, streams, captured=row.captured)  # type: ignore[arg-type]
    sums = torch.zeros(len(MEANS), dtype=torch.float64, device=device)
    ema = Ema(generator, config.ema_kimg) if config.ema_kimg else None
    return config, row(config, stepper, generator, ema, sums), sums


def _work(orders: Connection, trial: Trial) -> None:
    """Make a trial of each kind, say so, then train as told: (how, seconds) -> images per second."""
    torch.set_num_threads(1)
    made = {how: steps_of(trial, how) for how in HOW}
    taken = dict.fromkeys(HOW, 0)

    def some(how: str, count: int) -> int:
        config, steps, sums = made[how]
        for _ in range(count):
            steps.take(taken[how])
            taken[how] += 1
        float(sums.sum())  # waits for the device
        return count * config.batch_size

    for how in HOW:
        some(how, _WARM_UP_STEPS)
    orders.send("ready")
    while order := orders.recv():
        how, seconds = order
        images, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            images += some(how, _STEPS_A_LOOK)
        orders.send(images / passed)


class Workers:
    """Processes with a trial each; the first so many of them work at a time, the others wait."""

    def __init__(self, count: int, trial: Trial, environment: Mapping[str, str]) -> None:
        """Start them with `environment` beside this process's own, and wait until all are warm."""
        spawn = get_context("spawn")
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            pipes = [spawn.Pipe() for _ in range(count)]
            self._processes = [spawn.Process(target=_work, args=(there, trial), daemon=True) for _, there in pipes]
            for process in self._processes:
                process.start()
        finally:
            for name in environment:
                del os.environ[name]
            os.environ.update({name: value for name, value in before.items() if value is not None})
        for _, there in pipes:
            there.close()  # so that a worker's death is the end of its pipe here
        self._orders = [here for here, _ in pipes]
        for orders in self._orders:
            self._answer(orders)

    def rate(self, count: int, how: str, seconds: float) -> float:
        """Let `count` of them train at once; return images per second of all together."""
        for orders in self._orders[:count]:
            orders.send((how, seconds))
        return sum(float(self._answer(orders)) for orders in self._orders[:count])

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def _answer(self, orders: Any) -> Any:
        try:
            if orders.poll(_PATIENCE):
                return orders.recv()
        except EOFError:
            pass
        self.close()
        raise SystemExit("gpu.py: a worker was lost or silent; its own message is above")


@contextmanager
def mps(device: str) -> Iterator[dict[str, str] | None]:
    """Start NVIDIA's multi-process service; give what its clients need in their environment, None where it cannot be.

    A daemon of this run alone, in a folder of its own. The device stays in whatever compute mode it is.
    """
    control = shutil.which("nvidia-cuda-mps-control")
    if device != "cuda" or control is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        whole = os.environ | environment
        started = subprocess.run([control, "-d"], env=whole, capture_output=True, check=False).returncode == 0
        try:
            yield environment if started else None
        finally:
            if started:
                subprocess.run([control], input=b"quit\n", env=whole, capture_output=True, check=False, timeout=60)
