"""Do cheaper steps cost quality? FIDs of the same configurations from several seeds: `python benchmarks/quality.py`.

Each configuration is trained to the same kimg as it is, in bf16, with D's images used for G's step again, and with
both, from the same seeds (the same first weights; runs are chaotic, so they part after some steps and are as good as
independent). All are judged in float32. Given are the mean difference of FIDs, of the cheaper less the plain, with its
95 % interval (Welch), relative to the plain as well; and images per second. "No loss" means that the interval's upper
end is below 5 % of the plain one's mean FID. Results go to benchmarks/results/quality.json; each run is kept there as
it ends, and a run that was cut off goes on.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

from measuring import machine, pin, runs_so_far, write
from scipy.stats import t

from trainables.data import FashionMnist
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.prepare import prepare
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session

MARGIN = 0.05
_RATES = {
    "generator_optimiser": {"name": "adam", "lr": 1e-3, "beta1": 0.0},
    "discriminator_optimiser": {"name": "adam", "lr": 2e-3, "beta1": 0.0},
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "dcgan": {
        "model": {"name": "dcgan", "width": 24},
        "normalisation": "spectral",
        "loss": "hinge",
        "batch_size": 32,
        "ema_kimg": 1.0,
        **_RATES,
    },
    "mlp": {
        "model": {"name": "mlp", "width": 256},
        "normalisation": "spectral",
        "loss": "hinge",
        "batch_size": 32,
        "ema_kimg": 1.0,
        **_RATES,
    },
}
PLAIN = "plain"
WAYS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "bf16": {"precision": "bf16"},
    "fakes reused": {"reuse_fakes": True},
    "bf16, fakes reused": {"precision": "bf16", "reuse_fakes": True},
}


def difference(one: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Mean of `one` less mean of `other`, with its 95 % interval: Welch 1947."""
    parts = [statistics.variance(of) / len(of) for of in (one, other)]
    error = sum(parts) ** 0.5
    freedom = sum(parts) ** 2 / sum(p**2 / (len(of) - 1) for p, of in zip(parts, (one, other), strict=True))
    mean = statistics.mean(one) - statistics.mean(other)
    half = float(t.ppf(0.975, freedom)) * error
    return {
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "relative_high": (mean + half) / statistics.mean(other),
    }


def main() -> None:
    """Train what is missing, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--kimg", type=int, default=15)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=9.0, help="begin no run after; run again to go on")
    parser.add_argument("--fresh", action="store_true", help="measure all anew, also what the file has")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--name", default="quality", help="of the result's file")
    parser.add_argument("--configurations", nargs="+", choices=CONFIGURATIONS, default=list(CONFIGURATIONS))
    options = parser.parse_args()
    began, before = time.monotonic(), machine()["load_average"]
    pin(options.core)
    settings = {"kimg": options.kimg, "count": options.count, "configurations": CONFIGURATIONS}
    runs = runs_so_far(options.name, settings, options.fresh)
    evaluation = Evaluation(count=options.count, metrics=())
    prepared = prepare(FashionMnist(), evaluation)
    evaluator = Evaluator(prepared)
    wanted = [(seed, name, way) for seed in range(options.seeds) for name in options.configurations for way in WAYS]
    for seed, name, way in wanted:
        if any((run["seed"], run["name"], run["way"]) == (seed, name, way) for run in runs):
            continue
        if time.monotonic() - began > 60 * options.minutes:
            print("time is up: run again to go on")
            break
        changes = {**WAYS[way], "seed": seed, "evaluation": evaluation.model_dump(mode="json")}
        config = TrialConfig.from_dict({"data": {"name": "fashion_mnist"}} | CONFIGURATIONS[name] | changes)
        session = Session(config, prepared, evaluator=evaluator)
        training = session.train(options.kimg)
        fid = session.evaluate()["fid"]
        speed = training.images / training.seconds
        runs.append({"seed": seed, "name": name, "way": way, "fid": fid, "images_per_second": speed})
        print(f"{name} {way} seed {seed}: FID {fid:.2f}, {speed:.0f} images/s", flush=True)
        write(options.name, {"load_before": before, "settings": settings, "runs": runs, "compared": compare(runs)})
    for name, of in compare(runs).items():
        print(f"{name}: {of}")


def compare(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """For each configuration with two runs of each way, the means and how far the others are from the plain one."""
    compared = {}
    for name in CONFIGURATIONS:
        fids = {way: [run["fid"] for run in runs if (run["name"], run["way"]) == (name, way)] for way in WAYS}
        fids = {way: of for way, of in fids.items() if len(of) > 1}
        if PLAIN not in fids:
            continue
        apart = {way: difference(of, fids[PLAIN]) for way, of in fids.items() if way != PLAIN}
        compared[name] = {
            "fid": {
                way: {"seeds": len(of), "mean": statistics.mean(of), "sd": statistics.stdev(of)}
                for way, of in fids.items()
            },
            "less_plain": {way: d | {"no_loss": d["relative_high"] <= MARGIN} for way, d in apart.items()},
        }
    return compared


if __name__ == "__main__":
    main()
