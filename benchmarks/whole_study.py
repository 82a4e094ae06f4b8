"""The whole system against what a user would take instead, at one wall time: `python benchmarks/whole_study.py`.

Ours, Ray Tune with OptunaSearch and ASHAScheduler, Optuna alone, random search (benchmarks/contestants.py): the same
data, networks, space, machine and wall time, start-up included. One after the other, for several seeds. Given are the
best FID so far against time, when ours reaches the best FID of each other, and how many trials there were. Results go
to benchmarks/results/study.json, each run as it ends; a run that was cut off goes on.
"""

import argparse
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contestants import CONTESTANTS, COUNT, MAX_KIMG
from measuring import launch_command, machine, runs_so_far, write

from study.catalogue import find_study, load_study

ROOT = Path(__file__).parents[1]
OURS = "ganstudy"
Reports = list[dict[str, Any]]


def ours(seconds: float, seed: int, folder: Path, settings: Sequence[str]) -> Reports:
    """Launch our study and end it as Ctrl-C does when the time is up."""
    line = launch_command(ROOT / "benchmarks" / "whole_study.yaml", folder, [f"seed={seed}", *settings])
    began = time.time()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        raise SystemExit(f"our study ended early, with exit code {process.wait(seconds)}")
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        process.wait()
    record = load_study(find_study("benchmark", folder))
    return [
        {"seconds": r.written_at - began, "trial": str(trial.number), "kimg": r.kimg, "fid": r.fid, "images": images}
        for trial in record.trials
        for r in trial.reports
        for images in [r.estimate.images or COUNT]
    ]


def other(name: str, seconds: float, seed: int, folder: Path) -> Reports:
    """Run another contestant."""
    out = folder / "reports.jsonl"
    out.touch()
    line = [sys.executable, str(ROOT / "benchmarks" / "contestants.py"), name, "--seconds", str(seconds)]
    line += ["--seed", str(seed), "--out", str(out), "--began", str(time.time())]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": (folder / "errors.log").open("w")}
    process = subprocess.Popen(line, env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}, **quiet)
    code = process.wait()
    if code:
        print(f"{name} ended with {code}: {(folder / 'errors.log').read_text()[-500:]}")
    return [json.loads(text) for text in out.read_text().splitlines()]


def facts(reports: Reports, seconds: float) -> dict[str, Any]:
    """The curve of the best FID of `COUNT` images so far, and counts, from what was reported in time."""
    inside = sorted((r for r in reports if r["seconds"] <= seconds), key=lambda r: r["seconds"])
    best, curve = math.inf, []
    for report in inside:
        if report["fid"] < best and report.get("images", COUNT) == COUNT:
            best = report["fid"]
            curve.append([report["seconds"], best])
    return {
        "curve": curve,
        "best": best if curve else None,
        "trials": len({r["trial"] for r in inside}),
        "completed": sum(r["kimg"] == MAX_KIMG for r in inside),
        "first_report_seconds": inside[0]["seconds"] if inside else None,
    }


def reached(curve: Sequence[Sequence[float]], fid: float) -> float | None:
    """When a curve came down to an FID."""
    return next((at for at, best in curve if best <= fid), None)


def compare(runs: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Per contestant the best FIDs over seeds, and when ours had reached each: as a part of the wall time."""
    found: dict[str, Any] = {}
    mine = {run["seed"]: run for run in runs if run["name"] == OURS}
    for name in (OURS, *CONTESTANTS):
        of = [run for run in runs if run["name"] == name and run["best"] is not None]
        if not of:
            continue
        found[name] = {
            "best": [run["best"] for run in of],
            "median_best": statistics.median(run["best"] for run in of),
            "trials": [run["trials"] for run in of],
            "completed": [run["completed"] for run in of],
        }
        if name != OURS:
            times = [reached(mine[run["seed"]]["curve"], run["best"]) for run in of if run["seed"] in mine]
            found[name]["ours_reached_it_after"] = [None if at is None else at / seconds for at in times]
    return found


def main() -> None:
    """Run what is missing, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="wall time of each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--contestants", nargs="+", choices=[OURS, *CONTESTANTS], default=[OURS, *CONTESTANTS])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a change of our study file")
    parser.add_argument("--name", default="study", help="of the result's file")
    parser.add_argument("--fresh", action="store_true", help="measure all anew, also what the file has")
    options = parser.parse_args()
    before, seconds = machine()["load_average"], 60 * options.minutes
    settings = {"minutes": options.minutes, "set": options.set}
    runs = runs_so_far(options.name, settings, options.fresh)
    for seed in range(1, options.seeds + 1):
        for name in options.contestants:
            if any((run["name"], run["seed"]) == (name, seed) for run in runs):
                continue
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder)
                reports = ours(seconds, seed, place, options.set) if name == OURS else other(name, seconds, seed, place)
            runs.append({"name": name, "seed": seed, **facts(reports, seconds)})
            print({key: value for key, value in runs[-1].items() if key != "curve"}, flush=True)
            compared = compare(runs, seconds)
            write(options.name, {"load_before": before, "settings": settings, "runs": runs, "compared": compared})
    for name, of in compare(runs, seconds).items():
        print(name, of)


if __name__ == "__main__":
    main()
