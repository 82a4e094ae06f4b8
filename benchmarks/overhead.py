"""What a study costs beside training and evaluation: `python benchmarks/overhead.py [STUDY.yaml] [--set KEY=VALUE]`.

Launches a study (the quickstart by default) into a temporary folder and reads what it left: how much of the slots'
time was training or evaluation, how long from `launch` to the first trial's work, what a switch of trials costs, and
what the driver itself computed meanwhile. Results go to benchmarks/results/overhead.json. About as long as the study.
"""

import argparse
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from measuring import launch_command, machine, write
from stretches import Stretch, Stretches, stretches

from study.ledger.catalogue import find_study

ROOT = Path(__file__).parents[1]


class CpuWatch:
    """Notes the CPU seconds of the driver, by thread, and of Ray's servers and workers, twice a second."""

    def __init__(self, driver: int) -> None:
        self._driver = psutil.Process(driver)
        self._seen: list[tuple[float, dict[str, float]]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._done.set()
        self._thread.join()

    def share(self, start: float, end: float) -> dict[str, float]:
        """CPU seconds per second of wall time between two moments, by kind of process."""
        inside = [(at, cpu) for at, cpu in self._seen if start <= at <= end]
        if len(inside) < 2:
            return {}
        (first, before), (last, after) = inside[0], inside[-1]
        return {kind: (after[kind] - before.get(kind, 0.0)) / (last - first) for kind in after}

    def _watch(self) -> None:
        of: dict[int, tuple[str, float]] = {}  # processes that have ended keep what they took
        while not self._done.wait(0.5):
            try:
                threads, processes = self._driver.threads(), self._driver.children(recursive=True)
            except psutil.NoSuchProcess:
                return
            for thread in threads:  # the first one runs Tune's loop, the ledger, ASHA and the sampler
                kind = "driver's loop" if thread.id == self._driver.pid else "driver's threads (MLflow's, Ray's)"
                of[thread.id] = kind, thread.user_time + thread.system_time
            for process in processes:
                with suppress(psutil.Error):
                    line, times = " ".join(process.cmdline()), process.cpu_times()
                    if line:  # one that is ending has none any more
                        kind = "trials" if line.startswith("ray::") else "ray's servers"
                        of[process.pid] = kind, times.user + times.system
            cpu: dict[str, float] = {}
            for kind, seconds in of.values():
                cpu[kind] = cpu.get(kind, 0.0) + seconds
            self._seen.append((time.time(), cpu))


def launch(study: Path, settings: Sequence[str], storage: Path) -> tuple[Stretches, float, float, CpuWatch]:
    """Run the study; return what it did when, when it was launched, its wall seconds, and the CPU it took."""
    name = "overhead"
    line = launch_command(study, storage, [f"name={name}", *settings])
    began = time.time()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    watch = CpuWatch(process.pid)
    code = process.wait()
    seconds = time.time() - began
    watch.close()
    if code:
        raise SystemExit(f"the study ended with exit code {code}")
    return stretches(find_study(name, storage)), began, seconds, watch


def measure(left: Stretches, began: float, seconds: float, watch: CpuWatch, slots: int) -> dict[str, Any]:
    """The numbers."""
    found = [one for trial in left.by_trial for one in trial]
    first, last = min(one.start for one in found), max(one.end for one in found)
    last_start = max(trial[0].start for trial in left.by_trial)
    last_reports = [trial.reports[-1] for trial in left.study.trials if trial.reports]
    evaluation, training = (sum(of.metrics[name] for of in last_reports) for name in ("eval_seconds", "train_seconds"))
    return {
        "wall_seconds": seconds,
        "trials": len(left.study.trials),
        "images_trained": 1000 * sum(trial.kimg for trial in left.study.trials),
        "launch_to_first_step_seconds": first - began,
        "busy": _busy(found, first, last, slots),
        "busy_until_the_last_trial_starts": _busy(found, first, last_start, slots),
        "evaluation_of_busy": evaluation / (evaluation + training),
        "between_reports_seconds": _spread(left.between_reports()),
        "switch_seconds": _spread(left.switches()),
        "end_seconds": began + seconds - last,
        "cpu_per_second": watch.share(first, last),
    }


def _busy(found: Sequence[Stretch], start: float, end: float, slots: int) -> float:
    """The part of the slots' time between two moments that lies in stretches."""
    inside = sum(max(0.0, min(one.end, end) - max(one.start, start)) for one in found)
    return inside / (slots * max(1e-9, end - start))


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "count": len(values)}


def main() -> None:
    """Launch, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=ROOT / "studies" / "quickstart.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a change of the study file")
    parser.add_argument("--slots", type=int, default=2, help="trials at a time, for the busy fraction")
    parser.add_argument("--name", default="overhead", help="of the result's file")
    parser.add_argument("--storage", type=Path, help="keep the study there, as `overhead`")
    options = parser.parse_args()
    before = machine()["load_average"]
    with tempfile.TemporaryDirectory() as passing:
        left, began, seconds, watch = launch(options.study, options.set, options.storage or Path(passing))
        numbers = measure(left, began, seconds, watch, options.slots)
    for name, value in numbers.items():
        print(f"{name:36} {value}")
    shown = options.study.resolve()
    shown = shown.relative_to(ROOT) if shown.is_relative_to(ROOT) else Path(shown.name)
    settings = {"study": str(shown), "set": options.set, "slots": options.slots}
    write(options.name, {"load_before": before, "settings": settings, **numbers})


if __name__ == "__main__":
    main()
