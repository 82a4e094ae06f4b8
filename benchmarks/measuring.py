"""What every benchmark here needs: the machine's facts, rounds that take turns, ratios within a round, writing.

A machine is never equally fast twice, so nothing is compared across runs: the cases of a comparison take turns, a
round gives each the same time, and what is reported is the median over rounds of the ratio within a round.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"

Step = Callable[[], int]
"""Does some work and returns how many images it was."""

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


@dataclass(frozen=True)
class Rate:
    """Images per second of wall time, and per second of this process's CPU time (the same on a quiet machine)."""

    wall: float
    cpu: float


def machine() -> dict[str, Any]:
    """Return what a reader must know of where numbers come from; no names of hosts or places."""
    flags = _cpuinfo("flags").split()
    return {
        "cpu": _cpuinfo("model name") or platform.processor(),
        "family_model": f"{_cpuinfo('cpu family')}/{_cpuinfo('model')}",
        "cores": os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "ray", "optuna", "mlflow", "numpy")},
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def pin(core: int = 0) -> None:
    """Keep this process, its threads and its children on one core: what a trial has when all slots are busy."""
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)


def interleaved(cases: Mapping[str, Step], rounds: int, seconds: float) -> dict[str, list[Rate]]:
    """Let the cases take turns, `seconds` each in every one of `rounds`, after a first turn that does not count."""
    rates: dict[str, list[Rate]] = {name: [] for name in cases}
    for turn in range(rounds + 1):
        for name, step in cases.items():
            rate = _rate(step, seconds if turn else min(seconds, 0.3))
            if turn:
                rates[name].append(rate)
    return rates


def ratio(rates: Mapping[str, Sequence[Rate]], one: str, other: str) -> dict[str, float]:
    """How many times as fast `one` is as `other`: median, lowest and highest over the rounds, by wall time."""
    within = [a.wall / b.wall for a, b in zip(rates[one], rates[other], strict=True)]
    return {"median": statistics.median(within), "low": min(within), "high": max(within)}


def summary(rates: Mapping[str, Sequence[Rate]]) -> dict[str, dict[str, float]]:
    """Median images per second of each case, and the spread."""
    return {
        name: {
            "images_per_second": statistics.median(r.wall for r in of),
            "low": min(r.wall for r in of),
            "high": max(r.wall for r in of),
            "per_cpu_second": statistics.median(r.cpu for r in of),
        }
        for name, of in rates.items()
    }


def write(name: str, numbers: Mapping[str, Any]) -> Path:
    """Write `numbers` with the machine's facts to `results/NAME.json`, floats to four digits."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(_rounded({"machine": machine(), **numbers}), indent=1) + "\n")
    return path


def launch_command(study: Path, storage: Path, changes: Iterable[str]) -> list[str]:
    """Return the command line that launches a study file in `storage`, with `KEY=VALUE` changes."""
    words = [word for change in changes for word in ("--set", change)]
    return [sys.executable, "-m", "study.cli", "launch", str(study), "--storage", str(storage), *words]


def runs_so_far(name: str, settings: Mapping[str, Any], fresh: bool) -> list[dict[str, Any]]:
    """Return the runs that `results/NAME.json` has of these settings, to go on from; none if all is to be `fresh`."""
    path = RESULTS / f"{name}.json"
    if fresh or not path.exists():
        return []
    old = json.loads(path.read_text())
    runs: list[dict[str, Any]] = old["runs"] if old["settings"] == settings else []
    return runs


def _rate(step: Step, seconds: float) -> Rate:
    images, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        images += step()
    return Rate(images / (time.perf_counter() - wall), images / max(1e-9, time.process_time() - cpu))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")
