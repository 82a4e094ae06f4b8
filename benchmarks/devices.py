"""How much faster K processes train than one: `python benchmarks/devices.py`.

Each configuration is trained in turns by one process on the whole batch and by K on a part each, one thread each,
joined as `ganstudy train --devices K` joins them (Ray Train only starts the processes; it has no part in a step). The
ratio is that of the medians. Beside the speed stand the CPU seconds of the first process: a busy machine changes the
wall clock far more than these. The numbers go to docs/devices.json.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from trainables.gan.batches import Batches
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape
from trainables.gan.models.batch_norm import share_batch_norm
from trainables.gan.networks import build_networks
from trainables.gan.step import MEANS, Stepper
from trainables.streams import Streams
from trainables.world import SINGLE, DistributedWorld, World

ROOT = Path(__file__).parents[1]

COMMON: dict[str, Any] = {"data": {"name": "fashion_mnist"}, "batch_size": 64, "seed": 1}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "mlp, width 256": {"model": {"name": "mlp"}},
    "dcgan, width 32": {"model": {"name": "dcgan", "width": 32}},
    "dcgan, width 32, batch 256": {"model": {"name": "dcgan", "width": 32}, "batch_size": 256},
    "sndcgan, width 32, hinge, spectral norm": {
        "model": {"name": "sndcgan", "width": 32},
        "normalisation": "spectral",
        "loss": "hinge",
    },
}
"""What is not as in `COMMON`."""


class Trainer:
    """Steps of one configuration, alone or with others."""

    def __init__(self, config: TrialConfig, world: World) -> None:
        dataset = config.data.load()
        networks = build_networks(config, ImageShape(dataset.channels, dataset.size), dataset.classes or 0)
        for network in networks:
            share_batch_norm(network, world)
        streams = Streams(config.seed, torch.device("cpu"))
        self._stepper = Stepper(Batches.of(config, dataset, "cpu"), *networks, streams, world)
        self._sums = torch.zeros(len(MEANS), dtype=torch.float64)
        self._size, self._step = config.batch_size, 0

    def measure(self, steps: int) -> dict[str, float]:
        """Take steps; return images per second, and CPU seconds per thousand images."""
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            self._stepper.take(self._step, self._sums)
            self._step += 1
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        images = steps * self._size
        return {
            "images_per_second": round(images / wall, 1),
            "cpu_seconds_per_kimg": round(1000 * cpu / images, 4),
            "load": round(os.getloadavg()[0], 1),
        }


def compare(config: TrialConfig, runs: int, seconds: float) -> dict[str, list[dict[str, float]]]:
    """Measure alone and together in turns, blocks of about `seconds` of work; the others wait while one is alone."""
    world = DistributedWorld()
    alone = Trainer(config, SINGLE) if world.rank == 0 else None
    together = Trainer(config, world)
    speed = alone.measure(5)["cpu_seconds_per_kimg"] if alone else 1.0
    together.measure(3)
    steps = world.broadcast(max(3, int(seconds / (speed * config.batch_size / 1000))))
    found: dict[str, list[dict[str, float]]] = {"one": [], "several": []}
    for _ in range(runs):
        if alone:
            found["one"].append(alone.measure(steps))
        distributed.barrier()
        found["several"].append(together.measure(steps))
        distributed.barrier()
    return found


def work(rank: int, options: argparse.Namespace) -> None:
    """One of the processes; the first prints the table and writes the numbers."""
    torch.set_num_threads(1)
    store = f"file://{options.store}"
    distributed.init_process_group("gloo", store, rank=rank, world_size=options.devices)
    measured = []
    if rank == 0:
        print(
            f"| configuration | one | {options.devices} processes | ratio | by CPU seconds |\n|---|---:|---:|---:|---:|"
        )
    for name, changes in CONFIGURATIONS.items():
        found = compare(TrialConfig.from_dict(COMMON | changes), options.runs, options.seconds)
        if rank == 0:
            measured.append(summary(name, found))
    distributed.destroy_process_group()
    if rank == 0:
        about: dict[str, Any] = {"devices": options.devices, "device": "cpu", "backend": "gloo", "threads": 1}
        about |= {"cores": os.cpu_count(), "machine": platform.machine(), "torch": version("torch")}
        numbers = about | {"remark": options.remark, "measured": measured}
        options.out.write_text(json.dumps(numbers, indent=1) + "\n")


def summary(name: str, found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Print a row; return it with all runs."""

    def median(who: str, key: str) -> float:
        return statistics.median(run[key] for run in found[who])

    speeds = [median(who, "images_per_second") for who in ("one", "several")]
    ratio = speeds[1] / speeds[0]
    by_cpu = median("one", "cpu_seconds_per_kimg") / median("several", "cpu_seconds_per_kimg")
    print(f"| {name} | {speeds[0]:.0f} images/s | {speeds[1]:.0f} images/s | {ratio:.2f} | {by_cpu:.2f} |", flush=True)
    return {"configuration": name, "ratio": round(ratio, 3), "ratio_by_cpu_seconds": round(by_cpu, 3), "runs": found}


def main() -> None:
    """Start the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of work in each run, about")
    parser.add_argument("--remark", default="", help="kept in the JSON: what else the machine was doing")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "devices.json")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rank is not None:
        work(options.rank, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *sys.argv, "--store", str(Path(folder) / "store"), "--rank"]
        processes = [subprocess.Popen([*command, str(rank)]) for rank in range(options.devices)]
        codes = [process.wait() for process in processes]
        if any(codes):
            sys.exit("a process failed")


if __name__ == "__main__":
    main()
