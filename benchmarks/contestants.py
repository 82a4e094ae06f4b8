"""What a user would take instead of ganstudy, as `benchmarks/whole_study.py` starts it: each a script of its own kind.

`python benchmarks/contestants.py NAME --seconds N --seed S --out LINES`: Ray Tune with OptunaSearch, ASHAScheduler and
MLflow's callback; Optuna alone, its default sampler and pruner, two processes on SQLite; random search without
stopping, two processes. All train by the step of PyTorch's tutorial (benchmarks/other_steps.py) on the networks and
the space that ours has, and are given our FID for their metric. Every report is a line of JSON in LINES.
"""

import argparse
import json
import math
import multiprocessing
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from other_steps import OthersStep, as_torchs

from trainables.data import FashionMnist
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.prepare import Prepared, prepare
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape
from trainables.gan.networks import build_networks
from trainables.images import to_bytes

MAX_KIMG, GRACE_KIMG, FACTOR = 45, 5, 3
COUNT = 5000
LATENT = 64
LR = (1e-4, 4e-3)
CHOICES: dict[str, list[Any]] = {"beta1": [0.0, 0.5], "width": [16, 24, 32], "batch_size": [16, 32, 64]}


class Recorder:
    """Writes reports with their time since `began`; several processes may."""

    def __init__(self, path: Path, began: float) -> None:
        self._path, self._began = path, began

    def __call__(self, trial: str, kimg: int, fid: float) -> None:
        line = {"seconds": time.time() - self._began, "trial": trial, "kimg": kimg, "fid": fid}
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def fids(params: dict[str, Any], seed: int, prepared: Prepared) -> Iterator[tuple[int, float]]:
    """Train a configuration as the tutorial does; yield (kimg, FID) every five kimg, NaN where it diverged."""
    torch.manual_seed(seed)
    config = TrialConfig.from_dict(
        {
            "data": {"name": "fashion_mnist"},
            "model": {"name": "dcgan", "width": params["width"]},
            "normalisation": "batch",
            "latent": {"name": "normal", "dimension": LATENT},
            "seed": seed,
        }
    )
    generator, discriminator = build_networks(config, ImageShape(1, 28), 0)
    for network in (generator, discriminator):
        as_torchs(network)
    rates = params["lr_g"], params["lr_d"]
    step = OthersStep(
        generator,
        lambda x: discriminator(x).logits,
        discriminator,
        LATENT,
        prepared.dataset.train.images,
        params["batch_size"],
        rates=rates,
        beta1=params["beta1"],
    )
    evaluator, shown = Evaluator(prepared), 0
    for kimg in range(GRACE_KIMG, MAX_KIMG + 1, GRACE_KIMG):
        while shown < 1000 * kimg:
            shown += step()
        fid = math.nan
        if all(map(math.isfinite, step.losses[-1])):
            generator.eval()
            with torch.no_grad():
                batches = (to_bytes(generator(torch.randn(500, LATENT))) for _ in range(COUNT // 500))
                fid = evaluator.evaluate(batches)["fid"]
            generator.train()
        yield kimg, fid


def evaluation() -> Evaluation:
    """The FID alone: they would measure no more."""
    return Evaluation(count=COUNT, metrics=())


def ray_tune(seconds: float, seed: int, record: Recorder) -> None:
    """Ray Tune's parts as its documentation puts them together."""
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    ended = time.time() + seconds

    def train(params: dict[str, Any], prepared: Prepared) -> None:
        torch.set_num_threads(1)
        name = tune.get_context().get_trial_id()
        for kimg, fid in fids(params, seed, prepared):
            record(name, kimg, fid)
            tune.report({"fid": fid if math.isfinite(fid) else 1e6, "kimg": kimg})

    with tempfile.TemporaryDirectory() as folder:
        tune.Tuner(
            tune.with_resources(
                tune.with_parameters(train, prepared=prepare(FashionMnist(), evaluation())), {"cpu": 1}
            ),
            param_space={
                "lr_g": tune.loguniform(*LR),
                "lr_d": tune.loguniform(*LR),
                **{name: tune.choice(values) for name, values in CHOICES.items()},
            },
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(metric="fid", mode="min", seed=seed),
                scheduler=ASHAScheduler(
                    "kimg", "fid", "min", max_t=MAX_KIMG, grace_period=GRACE_KIMG, reduction_factor=FACTOR
                ),
                num_samples=10_000,
                max_concurrent_trials=2,
                time_budget_s=max(1.0, ended - time.time()),
            ),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                callbacks=[MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="study")],
            ),
        ).fit()
    ray.shutdown()


def optuna_alone(seconds: float, seed: int, record: Recorder) -> None:
    """Two processes on one SQLite study, the default sampler and pruner."""
    with tempfile.TemporaryDirectory() as folder:
        _in_two_processes(_optuna_worker, f"sqlite:///{folder}/optuna.db", seconds, seed, record)


def _optuna_worker(url: str, seconds: float, seed: int, record: Recorder, worker: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    time.sleep(worker)  # two that create the tables at once would clash
    sampler = optuna.samplers.TPESampler(seed=2 * seed + worker)
    study = optuna.create_study(storage=url, study_name="study", sampler=sampler, load_if_exists=True)
    prepared = prepare(FashionMnist(), evaluation())

    def objective(trial: Any) -> float:
        params = {name: trial.suggest_float(name, *LR, log=True) for name in ("lr_g", "lr_d")}
        params |= {name: trial.suggest_categorical(name, values) for name, values in CHOICES.items()}
        best = math.inf
        for kimg, fid in fids(params, seed, prepared):
            record(str(trial.number), kimg, fid)
            if not math.isfinite(fid):
                raise optuna.TrialPruned
            best = min(best, fid)
            trial.report(fid, kimg)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    study.optimize(objective, timeout=seconds)


def random_search(seconds: float, seed: int, record: Recorder) -> None:
    """Two processes, every configuration to the end."""
    _in_two_processes(_random_worker, "", seconds, seed, record)


def _random_worker(url: str, seconds: float, seed: int, record: Recorder, worker: int) -> None:
    ended = time.time() + seconds
    draws = random.Random(2 * seed + worker)
    prepared = prepare(FashionMnist(), evaluation())
    number = 0
    while time.time() < ended:
        params = {name: math.exp(draws.uniform(*map(math.log, LR))) for name in ("lr_g", "lr_d")}
        params |= {name: draws.choice(values) for name, values in CHOICES.items()}
        for kimg, fid in fids(params, seed, prepared):
            record(f"{worker}-{number}", kimg, fid)
            if time.time() > ended or not math.isfinite(fid):
                break
        number += 1


def _in_two_processes(work: Callable[..., None], url: str, seconds: float, seed: int, record: Recorder) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=work, args=(url, seconds, seed, record, worker)) for worker in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(seconds + 5)
        process.terminate()


CONTESTANTS: dict[str, Callable[[float, int, Recorder], None]] = {
    "ray_tune": ray_tune,
    "optuna": optuna_alone,
    "random": random_search,
}


def main() -> None:
    """Run one contestant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=CONTESTANTS)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--began", type=float, required=True, help="unix seconds at which the clock started")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    left = options.began + options.seconds - time.time()
    CONTESTANTS[options.name](left, options.seed, Recorder(options.out, options.began))


if __name__ == "__main__":
    main()
