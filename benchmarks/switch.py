"""How long a slot stands idle between two trials: `python benchmarks/switch.py`. Ours beside Ray Tune's own.

Both with processes that take over one trial after another. Tune's own: a trainable that does nothing, with the trials
known beforehand; from the driver's callback on a trial's end to the next one's first step. Ours: small studies of the
quickstart; from a trial's end in the ledger until the next one draws the pictures of step 0 and takes its first, so
with the ledger, the networks and the optimisers. They take turns. Results go to benchmarks/results/switch.json. About
five minutes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import launch_command, machine, write
from stretches import stretches

from study.ledger.catalogue import find_study
from study.running.ray_environment import prepare_ray_environment

ROOT = Path(__file__).parents[1]
KIMG = 2


def tune_alone(trials: int, folder: Path) -> None:
    """Run trials that do nothing under Ray Tune; write the switches' seconds to `folder`."""
    prepare_ray_environment(local=True)
    import ray
    from ray import tune

    class Nothing(tune.Trainable):
        def step(self) -> dict[str, Any]:
            began = time.time()
            time.sleep(0.1)
            return {"began": began, "fid": 1.0, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

    ended: list[float] = []

    class Ends(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            ended.append(time.time())

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    results = tune.Tuner(
        tune.with_resources(Nothing, {"cpu": 1}),
        tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(folder), callbacks=[Ends()], verbose=0),
    ).fit()
    seconds = []
    for began in sorted(result.metrics["began"] for result in results if result.metrics):
        before = [end for end in ended if end <= began]
        if before:
            seconds.append(began - before[-1])
            ended.remove(before[-1])
    (folder / "seconds.json").write_text(json.dumps(seconds))
    ray.shutdown()


def theirs(trials: int, folder: Path) -> list[float]:
    """The seconds of Tune's own switches."""
    line = [sys.executable, __file__, "--alone", str(folder), "--trials", str(trials)]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds: list[float] = json.loads((folder / "seconds.json").read_text())
    return seconds


def ours(trials: int, folder: Path) -> list[float]:
    """The seconds of our switches."""
    changes = [f"trials={trials}", f"schedule.grace_kimg={KIMG}", f"schedule.max_kimg={KIMG}"]
    line = launch_command(ROOT / "studies" / "quickstart.yaml", folder, changes)
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return stretches(find_study("quickstart", folder)).switches()


def main() -> None:
    """Let them take turns, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        tune_alone(options.trials, options.alone)
        return
    before = machine()["load_average"]
    rounds: list[dict[str, Any]] = []
    for _ in range(options.rounds):
        taken = {}
        for name, run in (("ours", ours), ("ray_tune", theirs)):
            with tempfile.TemporaryDirectory() as folder:
                taken[name] = run(options.trials, Path(folder))
        rounds.append({name: statistics.median(seconds) for name, seconds in taken.items()})
        print(rounds[-1], flush=True)
    more = [of["ours"] - of["ray_tune"] for of in rounds]
    settings = {"trials": options.trials, "kimg": KIMG}
    numbers = {"median": statistics.median(more), "low": min(more), "high": max(more)}
    print(numbers)
    write("switch", {"load_before": before, "settings": settings, "rounds": rounds, "ours_less_ray_tune": numbers})


if __name__ == "__main__":
    main()
