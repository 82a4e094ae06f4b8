"""What asking ahead spares a slot, and what it costs the study: `python benchmarks/sampling.py`. About 8 minutes.

Both on the quickstart's study with made-up FIDs and a real ledger. First the seconds of `Conductor.next()`, for which a
slot waits, after so many trials, with and without the configuration asked ahead. Then the best FID of studies with two
slots that ask when a slot is free (and know the result that freed it) and of such that ask ahead, over the same seeds.
Results go to benchmarks/results/sampling.json.
"""

import argparse
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measuring import machine, write
from scipy.stats import t

from study.ledger.events import StudyOpened
from study.ledger.ledger import Ledger
from study.ledger.records import Fold
from study.running.conductor import Conductor, Running
from study.study_file.config import read_study
from trainables.trial import report_keys

ROOT = Path(__file__).parents[1]
HISTORY = 10, 50, 100, 200
EACH = 10
"""So many proposals are timed after each of these histories."""

AHEAD = {"asked when a slot is free": False, "asked ahead": True}

CEILING = 130.0
SLOTS = 2


@contextmanager
def conducted(*changes: str) -> Iterator[Conductor]:
    """The quickstart's study with changes, about to begin."""
    with tempfile.TemporaryDirectory() as storage:
        config = read_study(ROOT / "studies" / "quickstart.yaml", changes, Path(storage))
        config.folder.path.mkdir(parents=True)
        opened = Ledger.open(config.folder.ledger, schema=config.name, create=True)
        with opened as ledger, ledger.own("here", 1, "launch") as writer:
            writer.append(StudyOpened("benchmark", config.to_dict(), "fingerprint", 0.3, CEILING, {}))
            yield Conductor(config, CEILING, writer, Fold.of(ledger.read()))


def train(conductor: Conductor, running: Running, draw: random.Random) -> None:
    """Report made-up FIDs until the trial is stopped or complete."""
    quality, kimg = draw.uniform(20, 90), 0
    every = conductor.config.schedule.report_every
    keys = report_keys(conductor.config.evaluation)
    while True:
        kimg += every
        metrics = {**dict.fromkeys(keys, 1.0), "fid": quality + 40 / (1 + kimg), "kimg": kimg}
        if not conductor.report(running.number, metrics):
            return


def waits(conductor: Conductor, history: Sequence[int], draw: random.Random) -> dict[str, Any]:
    """Seconds of `next()` by the trials before it; the other slot's trial runs meanwhile, as in a study.

    `prepare()` is not timed: no slot waits for it. It does nothing where asking ahead is off.
    """
    seconds: dict[int, list[float]] = {count: [] for count in history}
    in_hand: list[Running] = []
    for number in range(max(history) + EACH):
        began = time.perf_counter()
        running = conductor.next()
        took = time.perf_counter() - began
        assert running is not None
        conductor.prepare()
        for count in history:
            if count <= number < count + EACH:
                seconds[count].append(took)
        in_hand.append(running)
        if len(in_hand) == SLOTS:
            train(conductor, in_hand.pop(0), draw)
    return {str(count): _spread(found) for count, found in seconds.items()}


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "count": len(values)}


def made_up_fid(config: Mapping[str, Any], kimg: int) -> float:
    """A curve with one best place: rates of 1e-3 and 2e-3, batches of 32, hinge, spectral norm; and a seed's luck."""
    rates = (config["generator_optimiser"]["lr"] / 1e-3, config["discriminator_optimiser"]["lr"] / 2e-3)
    off = 20 * math.hypot(*(math.log10(rate) for rate in rates))
    off += 4 * (config["loss"] != "hinge") + 6 * (config["normalisation"] != "spectral")
    off += 3 * abs(math.log2(config["batch_size"] / 32))
    return 13 + off + 60 / kimg + random.Random(f"{config['seed']}/{kimg}").gauss(0, 1.5)


def best_of_study(ahead: bool, seed: int, trials: int) -> float:
    """The lowest FID at the end of training that a study with two slots finds."""
    changes = f"seed={seed}", f"trials={trials}", f"sampler.ask_ahead={ahead}", "space.baselines=false"
    with conducted(*changes) as conductor:
        schedule, keys = conductor.config.schedule, report_keys(conductor.config.evaluation)
        in_hand: dict[int, Running] = {}
        completed = []
        while not conductor.done:
            while len(in_hand) < SLOTS and (running := conductor.next()):
                in_hand[running.number] = running
                conductor.prepare()
            for number, running in list(in_hand.items()):
                kimg = running.kimg + schedule.report_every
                fid = made_up_fid(running.config, kimg)
                if kimg == schedule.max_kimg:
                    completed.append(fid)
                if not conductor.report(number, {**dict.fromkeys(keys, 1.0), "fid": fid, "kimg": kimg}):
                    del in_hand[number]
    return min(completed)


def knowledge(seeds: int, trials: int) -> dict[str, Any]:
    """Best FIDs by seed both ways, and the mean difference with its 95 % interval (paired t)."""
    best = {name: [best_of_study(ahead, seed, trials) for seed in range(seeds)] for name, ahead in AHEAD.items()}
    differences = [ahead - free for free, ahead in zip(*best.values(), strict=True)]
    mean = statistics.mean(differences)
    half = float(t.ppf(0.975, seeds - 1)) * statistics.stdev(differences) / seeds**0.5
    return {"trials": trials, "best": best, "ahead_less_free": {"mean": mean, "low": mean - half, "high": mean + half}}


def main() -> None:
    """Propose, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=100, help="studies of each kind")
    parser.add_argument("--trials", type=int, default=40, help="of each of these studies")
    options = parser.parse_args()
    before, seconds = machine()["load_average"], {}
    for name, ahead in AHEAD.items():
        with conducted(f"trials={max(HISTORY) + EACH + 1}", f"sampler.ask_ahead={ahead}") as conductor:
            seconds[name] = waits(conductor, HISTORY, random.Random(1))
        for count, spread in seconds[name].items():
            median, low, high = (1000 * spread[part] for part in ("median", "low", "high"))
            print(f"{name}, after {count:>3} trials: {median:.1f} ms ({low:.1f} to {high:.1f})")
    found = knowledge(options.seeds, options.trials)
    print(f"best FID, ahead less when free: {found['ahead_less_free']}")
    write("sampling", {"load_before": before, "next_seconds": seconds, "knowledge": found})


if __name__ == "__main__":
    main()
