"""What an evaluation costs, and what cheaper ones change: `python benchmarks/evaluation.py`. About 4 minutes.

Trains a few generators of different quality, then evaluates each several times with fresh latents: with 500, 1,000 and
5,000 images, in float32 and in bf16. Given are the time by phase (generate, extract, metrics, pictures, checkpoint),
the FID's mean and deviation over latents, and how far bf16 moves it, in units of that deviation; from these
benchmarks/plot.py works out the part of a trial's time that its reports take. Results go to
benchmarks/results/evaluation.json.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import machine, pin, write

from trainables.data import FashionMnist
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.prepare import Prepared, prepare
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session
from trainables.trial import Trial

_RATES = {
    "generator_optimiser": {"name": "adam", "lr": 1e-3, "beta1": 0.0},
    "discriminator_optimiser": {"name": "adam", "lr": 2e-3, "beta1": 0.0},
}
_DCGAN = {"model": {"name": "dcgan", "width": 32}, "normalisation": "spectral", "loss": "hinge", **_RATES}
_MLP = {"model": {"name": "mlp", "width": 256}, "loss": "nonsaturating", **_RATES}
GENERATORS: dict[str, tuple[dict[str, Any], int]] = {
    "dcgan, 5 kimg": (_DCGAN, 5),
    "dcgan, 15 kimg": (_DCGAN, 15),
    "mlp, 5 kimg": (_MLP, 5),
    "mlp, 30 kimg": (_MLP, 30),
}
PRECISIONS = ("float32", "bf16")
COUNTS = (500, 1000, 5000)


def begun(changes: dict[str, Any], prepared: Prepared, folder: Path) -> Trial:
    """A trial that has not trained yet."""
    evaluation = prepared.evaluation.model_dump(mode="json")
    base = {"data": {"name": "fashion_mnist"}, "seed": 3, "batch_size": 32, "ema_kimg": 1.0, "evaluation": evaluation}
    return Trial(TrialConfig.from_dict(base | changes), prepared, folder)


def again(session: Session, prepared: Prepared, evaluator: Evaluator) -> Session:
    """The same networks, for another evaluation."""
    evaluation = prepared.evaluation.model_dump(mode="json")
    config = TrialConfig.from_dict(session.config.to_dict() | {"evaluation": evaluation})
    other = Session(config, prepared, evaluator=evaluator)
    other.load_state_dict(session.state_dict())
    return other


def phases(trial: Trial) -> dict[str, float]:
    """Seconds of the parts of a report, each the fastest of five, in turn."""
    session = trial.session

    def generate() -> list[torch.Tensor]:
        return list(session._finite_bytes(session._streams.at("evaluate", 1)))

    images, evaluator = generate(), session._evaluator
    works: dict[str, Callable[[], object]] = {
        "generate": generate,
        "extract": lambda: [evaluator._extractor(batch) for batch in images],
        "evaluate": lambda: evaluator.evaluate(images),
        "pictures": trial._draw,
        "checkpoint": lambda: trial._checkpoints.save(session.kimg, trial.checkpoint()),
    }
    for work in works.values():
        work()  # the first one is slower
    rounds = [{name: _seconds(work) for name, work in works.items()} for _ in range(5)]
    fastest = {name: min(times[name] for times in rounds) for name in works}
    evaluate = fastest.pop("evaluate")
    return fastest | {"metrics": max(0.0, evaluate - fastest["extract"])}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10, help="evaluations of each kind, with fresh latents")
    parser.add_argument("--core", type=int, default=0)
    options = parser.parse_args()
    before = machine()["load_average"]
    pin(options.core)
    preparations = {
        (count, precision): prepare(FashionMnist(), Evaluation(count=count, precision=precision), cached=True)
        for count in COUNTS
        for precision in PRECISIONS
    }
    evaluators = {kind: Evaluator(prepared) for kind, prepared in preparations.items()}
    numbers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        first = preparations[COUNTS[-1], PRECISIONS[0]]
        trials: dict[str, Trial] = {}
        for name, (changes, kimg) in GENERATORS.items():
            network = name.partition(",")[0]
            if network not in trials:
                trials[network] = begun(changes, first, Path(folder) / network)
            trial = trials[network]
            further = kimg - trial.session.kimg
            per_kimg = trial.session.train(further).seconds / further
            numbers[name] = {"train_seconds_per_kimg": per_kimg, "phases": phases(trial), "judged": {}}
            print(f"{name}: training {per_kimg:.3f} s/kimg; " + _line(numbers[name]["phases"]))
            for kind, prepared in preparations.items():
                other = again(trial.session, prepared, evaluators[kind])
                numbers[name]["judged"][f"{kind[0]}, {kind[1]}"] = of = judged(other, options.draws)
                print(
                    f"  {kind[0]:5} {kind[1]:8} FID {of['mean']:.3f} ± {of['sd']:.3f}, {of['seconds']:.2f} s",
                    flush=True,
                )
    write("evaluation", {"load_before": before, "draws": options.draws, "generators": numbers})


def judged(session: Session, draws: int) -> dict[str, float]:
    """FIDs over fresh latents (the same for each precision), and the seconds of one."""
    began = time.perf_counter()
    fids = [session.evaluate(draw)["fid"] for draw in range(1, draws + 1)]
    seconds = (time.perf_counter() - began) / draws
    return {"mean": statistics.mean(fids), "sd": statistics.stdev(fids), "seconds": seconds}


@torch.no_grad()
def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _line(of: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.3f} s" for name, seconds in of.items())


if __name__ == "__main__":
    main()
