"""A soak: a study of many tiny trials while something is killed every few seconds, then an audit of its ledger.

    python benchmarks/soak.py --trials 200 --every 6 --seed 0
    python benchmarks/soak.py --launches 50

Each time, one of driver, worker and raylet gets SIGKILL; a driver that ended is launched again, until the study is
done. Afterwards the ledger is read (each row's checksum, and the chain) and held against itself: no result lost,
none counted twice, decisions equal to a replay of the ledger; and `ganstudy verify` must agree.

With `--launches`, each launch is struck at an instant drawn at random, from its first second on: Ray's start, the
making of MLflow's store and the study's first rows are among what is cut off. `ganstudy verify` must agree after each.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "faults")]

from fault_studies import Driver, Struck, check_promises, struck  # noqa: E402

RESTARTS = 1000  # of one trial: the soak kills workers by the dozen, and no trial is to be given up for it


def strike(driver: Driver, rng: random.Random) -> str | None:
    """Kill one process of a kind drawn at random, if there is one; return the kind."""
    kind = rng.choice(["driver", "worker", "worker", "raylet"])
    found = {"driver": lambda: [psutil.Process(driver.process.pid)], "worker": driver.workers, "raylet": driver.raylets}
    try:
        candidates = sorted(found[kind](), key=lambda process: process.pid)
        if not candidates:
            return None
        rng.choice(candidates).kill()
    except psutil.Error:
        return None
    return kind


def run_to_the_end(study: Struck, seconds: float, rng: random.Random, limit: float) -> tuple[Counter[str], int]:
    """Launch and strike until the study is done; return the kills by kind, and the number of launches."""
    kills: Counter[str] = Counter()
    launches, began = 0, time.monotonic()
    while True:
        driver = study.start()
        launches += 1
        before = study.count()
        # A launch that is killed before it is ready proves little: each gets its first new report, or its end.
        while driver.process.poll() is None:
            if study.count() > before:
                time.sleep(rng.uniform(0.2, 2 * seconds - 0.2))
                before = study.count()
                if kind := strike(driver, rng):
                    kills[kind] += 1
            time.sleep(0.1)
            if time.monotonic() - began > limit:
                raise SystemExit(f"not done after {limit:g} s: {study.count('ended')} trials ended, {dict(kills)}")
        code = driver.wait()
        driver.clean()
        if code == 0:
            return kills, launches
        print(f"launch {launches} ended with {code}; {study.count('ended')} trials ended, {kills.total()} kills")
        if code not in (1, -9):
            raise SystemExit(driver.output)


def kill_loop(study: Struck, launches: int, latest: float, rng: random.Random) -> Counter[str]:
    """Launch again and again, strike each within `latest` seconds, and have each verified; return the ends by kind."""
    ends: Counter[str] = Counter()
    for number in range(1, launches + 1):
        driver = study.start()
        time.sleep(rng.uniform(0.5, latest))
        kind = rng.choice(["driver: SIGKILL", "group: SIGTERM", "raylet: SIGKILL", "gcs: SIGKILL", "worker: SIGKILL"])
        try:
            if kind == "group: SIGTERM":
                os.killpg(driver.process.pid, signal.SIGTERM)
            elif found := {"raylet": driver.raylets, "gcs": driver.gcs, "worker": driver.workers}.get(kind[:-9]):
                rng.choice(found()).kill()
            else:
                driver.process.kill()
        except (IndexError, psutil.Error):  # none of that kind yet
            kind = "driver: SIGKILL"
            driver.process.kill()
        if kind == "worker: SIGKILL":  # which its study survives
            time.sleep(rng.uniform(0.5, 10))
            driver.process.kill()
        code = driver.wait(120)
        driver.clean()
        ends[kind] += 1
        if "Traceback" in driver.output or code not in (-9, 1, 130):
            raise SystemExit(f"launch {number}, {kind}: exit {code}\n{driver.output}")
        said = "nothing begun yet"
        if study.count("study_opened"):
            verify = study.start(command="verify")
            if code := verify.wait():
                raise SystemExit(f"launch {number}, {kind}: verify ended with {code}\n{verify.output}")
            said = verify.output.strip().splitlines()[-1]
        print(f"launch {number:3d}  {kind}  {study.count():4d} reports; verify: {said}", flush=True)
    return ends


def main() -> None:
    """Soak, audit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--every", type=float, default=6.0, help="mean seconds between two kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--launches", type=int, help="strike so many launches instead, each verified")
    parser.add_argument(
        "--latest", type=float, default=30.0, help="seconds after which a launch is struck at the latest"
    )
    parser.add_argument("--limit", type=float, default=7200.0, help="give up after so many seconds")
    arguments = parser.parse_args()
    changes = {
        "trials": arguments.trials,
        "concurrency": arguments.concurrency,
        "max_failures": RESTARTS,
        "space": {"base": "quick", "fix": {"model.name": "mlp", "mlp.width": 128}},
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, struck(Path(folder), **changes) as study:
        rng = random.Random(arguments.seed)
        if arguments.launches:
            study.changes["trials"] = 100 * arguments.launches  # more than there is time for
            ends = kill_loop(study, arguments.launches, arguments.latest, rng)
            check_promises(study)
            struck_in = f"{time.monotonic() - began:.0f} s"
            print(f"{arguments.launches} launches struck, {study.count()} results, {struck_in}; {dict(ends)}")
            return
        kills, launches = run_to_the_end(study, arguments.every, rng, arguments.limit)
        found = check_promises(study)
        assert len(found.trials) == arguments.trials, "a trial is lost"
        assert not any(trial.unfinished for trial in found.trials), "a trial has no end"
        states = Counter(trial.state.value for trial in found.trials)
        starts = sum(trial.attempts for trial in found.trials)
        reports = sum(len(trial.curve) for trial in found.trials)
        verify = study.start(command="verify")
        code = verify.wait()
        print(
            f"{arguments.trials} trials, {reports} results, {kills.total()} kills ({dict(kills)}), "
            f"{launches} launches, {starts} starts of trials, {time.monotonic() - began:.0f} s; {dict(states)}\n"
            "nothing lost, nothing counted twice, decisions equal a replay of the ledger\n"
            f"ganstudy verify: exit {code}: {verify.output.strip().splitlines()[-1]}"
        )
        if code:
            raise SystemExit(code)


if __name__ == "__main__":
    main()
