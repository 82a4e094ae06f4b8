"""Does a worker grow over many trials? `python benchmarks/memory.py`, 200 tiny trials in one reused process.

Runs Ray's trainable as Tune does with `reuse_actors`, without Ray: setup, a report, `reset_config`, the next trial, of
changing architectures. Prints resident memory (RSS) on the way and the growth per trial of the second half (the
first fills caches). Results go to benchmarks/results/memory.json. About 2 minutes.
"""

import argparse
import gc
import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil
import torch
from measuring import machine, write

from trainables.data import Digits
from trainables.evaluation.config import Evaluation
from trainables.evaluation.prepare import Prepared, prepare
from trainables.gan.config import TrialConfig
from trainables.tune import GanTrainable

_SHAPES: list[dict[str, Any]] = [
    {"model": {"name": "mlp", "width": 64}, "batch_size": 32},
    {"model": {"name": "dcgan", "width": 8}, "normalisation": "spectral", "loss": "hinge", "batch_size": 50},
    {"model": {"name": "upsample", "width": 4}, "normalisation": "batch", "ema_kimg": 1.0, "batch_size": 64},
    {"model": {"name": "mlp", "width": 48}, "penalty": {"name": "r1", "weight": 1.0}, "batch_size": 100},
    {"model": {"name": "dcgan", "width": 8}, "precision": "bf16", "batch_size": 64},
]


def trials(prepared: Prepared, count: int, folder: Path) -> list[float]:
    """Run them one after the other in this process; RSS in MB after each."""

    class Ready(GanTrainable):
        def setup(self, config: dict[str, Any], prepared: Prepared | None = prepared) -> None:
            super().setup(config, prepared)

    worker: GanTrainable | None = None
    sizes = []
    for number, shape in enumerate(islice(cycle(_SHAPES), count)):
        config = TrialConfig.from_dict(
            {"data": {"name": "digits"}, "seed": number, "evaluation": prepared.evaluation.model_dump(mode="json")}
            | shape
        )
        options = {"trial": config.to_dict(), "folder": str(folder / str(number)), "report_kimg": 1, "threads": 1}
        options |= {"device": "cpu", "attempt": 1, "reported": 0, "deadline_seconds": 600}
        if worker is None:
            worker = Ready(options)
        else:
            worker.reset_config(options)
        report = worker.train()
        if report.get("ended") == "failed":
            raise SystemExit(f"trial {number} failed: {report['cause']}")
        sizes.append(psutil.Process().memory_info().rss / 2**20)
        if number % 20 == 19:
            print(f"{number + 1:4} trials: {sizes[-1]:.0f} MB, {_tensors()} tensors", flush=True)
    return sizes


def _tensors() -> int:
    gc.collect()
    return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    before = machine()["load_average"]
    prepared = prepare(Digits(), Evaluation(count=200))
    with tempfile.TemporaryDirectory() as folder:
        sizes = trials(prepared, options.trials, Path(folder))
    half = len(sizes) // 2
    growth = 1024 * (sizes[-1] - sizes[half]) / max(1, len(sizes) - 1 - half)
    print(
        f"RSS {sizes[0]:.0f} MB after 1, {sizes[half]:.0f} MB after {half + 1}, {sizes[-1]:.0f} MB after {len(sizes)}"
    )
    print(f"{growth:.0f} KB per trial over the second half")
    write("memory", {"load_before": before, "trials": len(sizes), "rss_mb": sizes, "kb_per_trial": growth})


if __name__ == "__main__":
    main()
