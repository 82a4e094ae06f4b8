"""How many images a second one GPU trains: `python benchmarks/gpu.py`. One, two, four and eight trials on it at once.

Each trial is a process, as under Ray with a fraction of a GPU each. For each network, in float32 and in bf16: steps as
they come (eager) against steps captured as CUDA graphs (`resources: {cuda_graphs: true}`), and the floor: the bare
products of benchmarks/bound.py, themselves captured, so that nothing is lost between them. Where NVIDIA's MPS can be
started its processes take turns with the others; no setting of the device is touched. Results go to
benchmarks/results/gpu.json. About 8 minutes.

Without a GPU it ends with code 2. `--device cpu` tries the script out: replayed steps are called again there, the
numbers mean nothing and are written only if `--name` says where.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from bound import Bound
from gpu_workers import HOW, Workers, mps, trial_of
from measuring import machine, write

from trainables.gan.models import ImageShape
from trainables.gan.networks import build_networks

NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"name": "mlp", "width": 256}, "batch_size": 64},
    "dcgan": {"model": {"name": "dcgan", "width": 32}, "normalisation": "batch", "batch_size": 64},
    "sndcgan": {"model": {"name": "sndcgan", "width": 64}, "normalisation": "spectral", "batch_size": 64},
    "mlp, R1 every 16th step": {
        "model": {"name": "mlp", "width": 256},
        "normalisation": "spectral",
        "penalty": {"name": "r1", "weight": 10, "interval": 16},
        "ema_kimg": 10.0,
        "batch_size": 64,
    },
}
PRECISIONS = ("float32", "bf16")
DATA = ("fashion_mnist", "mnist", "cifar10", "digits")
Rates = dict[str, list[float]]


def floor(changes: Mapping[str, Any], data: str, precision: str, device: str) -> Callable[[float], float]:
    """Return what does the bare products of steps for some seconds, and returns images per second."""
    config = trial_of(changes, data, precision)
    dataset = config.data.load()
    shape = ImageShape(dataset.channels, dataset.size)
    networks = [net.to(device) for net in build_networks(config, shape, dataset.classes or 0)]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    bound = Bound(networks[0], networks[1], config.latent.dimension, config.batch_size, kind)
    step: Callable[[], object] = bound
    if device == "cuda":
        beside, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.stream(beside):
            bound()
        with torch.cuda.graph(graph, stream=beside):
            bound()
        step = graph.replay

    def run(seconds: float) -> float:
        images, began = 0, time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds:
            for _ in range(20):
                step()
            if device == "cuda":
                torch.cuda.synchronize()
            images += 20 * bound.batch
        return images / passed

    return run


def compare(changes: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """All cases of a network, taking turns."""
    rates: Rates = {}
    most = max(options.trials)
    with mps(options.device) as with_mps:
        places = {"": {}} | ({", MPS": with_mps} if with_mps else {})
        pools = {
            f"{precision}{place}": Workers(most, (changes, options.data, precision, options.device), environment)
            for precision in PRECISIONS
            for place, environment in places.items()
        }
        floors = {p: floor(changes, options.data, p, options.device) for p in PRECISIONS}
        try:
            for turn in range(options.rounds + 1):  # the first does not count
                for name, pool in pools.items():
                    for count in options.trials:
                        for how in HOW:
                            rate = pool.rate(count, how, options.seconds)
                            if turn:
                                rates.setdefault(f"{name}, {how}, {count}", []).append(rate)
                for precision, run in floors.items():
                    rate = run(options.seconds)
                    if turn:
                        rates.setdefault(f"{precision}, floor", []).append(rate)
        finally:
            for pool in pools.values():
                pool.close()
    return {"rates": summary(rates), "ratios": ratios(rates, list(pools), options.trials)}


def summary(rates: Rates) -> dict[str, dict[str, float]]:
    """Images per second of all trials of a case together: median and spread over the rounds."""
    return {
        name: {"images_per_second": statistics.median(of), "low": min(of), "high": max(of)}
        for name, of in rates.items()
    }


def ratios(rates: Rates, pools: Sequence[str], counts: Sequence[int]) -> dict[str, dict[str, float]]:
    """Graphs over eager at each count; the most trials over the fewest; one trial's graphs over the floor."""
    few, many = min(counts), max(counts)
    pairs = [(f"{pool}, graphs, {count}", f"{pool}, eager, {count}") for pool in pools for count in counts]
    if few != many:
        pairs += [(f"{pool}, {how}, {many}", f"{pool}, {how}, {few}") for pool in pools for how in HOW]
    pairs += [(f"{p}, {how}, {few}", f"{p}, floor") for p in PRECISIONS for how in HOW]
    found = {}
    for one, other in pairs:
        within = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
        found[f"{one} / {other}"] = {"median": statistics.median(within), "low": min(within), "high": max(within)}
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--trials", type=int, nargs="+", default=[1, 2, 4, 8], help="at once")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each case in each round")
    parser.add_argument("--data", choices=DATA, default=DATA[0])
    parser.add_argument("--name", help="of the result's file; by default gpu, and nothing is written with --device cpu")
    options = parser.parse_args()
    if min(*options.trials, options.rounds, 1) < 1 or options.seconds <= 0:
        parser.error("--trials and --rounds are at least 1, and --seconds above 0")
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "gpu.py: torch finds no GPU; run it where there is one (--device cpu only tries it out)",
            file=sys.stderr,
        )
        sys.exit(2)
    before = machine()["load_average"]
    torch.set_num_threads(1)
    compared = {}
    for network in options.networks:
        compared[network] = compare(NETWORKS[network], options)
        print(f"{network}, images/s of all trials together:")
        for case, rate in compared[network]["rates"].items():
            print(f"  {case:32} {rate['images_per_second']:10.0f}  ({rate['low']:.0f} to {rate['high']:.0f})")
        for pair, of in compared[network]["ratios"].items():
            print(f"  {pair:60} {of['median']:5.2f}  ({of['low']:.2f} to {of['high']:.2f})", flush=True)
    if name := options.name or ("gpu" if options.device == "cuda" else None):
        keys = ("device", "trials", "rounds", "seconds", "data")
        settings = {"networks": NETWORKS, **{key: getattr(options, key) for key in keys}}
        print(f"written: {write(name, {'load_before': before, 'settings': settings, 'compared': compared}).name}")


if __name__ == "__main__":
    main()
