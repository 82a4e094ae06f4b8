"""How FIDs by the extractor for images without classes order trials, beside those by the classifier; and their noise.

`python benchmarks/self_supervised.py`: configurations of the space `quick` (its baselines, the rest at random) are
trained on Fashion-MNIST from two seeds each, and the same generated images are measured by both extractors; the
self-supervised one does not see the labels. About 25 minutes on one core for 28 configurations to 30 kimg.
"""

import argparse
import math
from collections.abc import Iterator, Mapping
from statistics import fmean

import numpy as np
import optuna
import torch
from scipy.stats import spearmanr

from search_spaces.registry import SPACES
from trainables.data import FashionMnist
from trainables.errors import Diverged
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.extractors_base import ExtractorConfig
from trainables.evaluation.extractors_self_supervised import SelfSupervisedExtractor
from trainables.evaluation.prepare import Prepared, prepare
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session

SEEDS = (1, 2)
TOP = 10

Key = tuple[int, int, int]
"""Configuration, seed, kimg."""


def main() -> None:
    """Print how both agree, and the noise of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configurations", type=int, default=28)
    parser.add_argument("--kimg", type=int, nargs="+", default=[5, 30])
    parser.add_argument("--images", type=int, default=2500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    extractors: dict[str, Prepared] = {}
    for extractor in (Evaluation().extractor, SelfSupervisedExtractor()):
        extractors[extractor.name] = prepare(FashionMnist(), _evaluation(options.images, extractor), cached=True)
    fids: dict[str, dict[Key, float]] = {name: {} for name in extractors}
    for index, seed, config in _configurations(options.configurations, options.images):
        for kimg, images in _generated(config, extractors["classifier"], options.kimg, options.images):
            for name, prepared in extractors.items():
                fids[name][index, seed, kimg] = Evaluator(prepared).evaluate(iter(images.split(500)))["fid"]
            print(index, seed, kimg, *(f"{name} {fids[name][index, seed, kimg]:.2f}" for name in fids), flush=True)
    _tell(fids, options.kimg)


def _evaluation(images: int, extractor: ExtractorConfig) -> Evaluation:
    return Evaluation(extractor=extractor, count=images, metrics=())


def _configurations(count: int, images: int) -> Iterator[tuple[int, int, TrialConfig]]:
    space, asked = SPACES["quick"], optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    for baseline in space.baselines:
        asked.enqueue_trial(dict(baseline.params))
    evaluation = _evaluation(images, Evaluation().extractor).model_dump(mode="json")
    chosen = [space.sample(asked.ask()._suggest) for _ in range(count)]
    for index, params in enumerate(chosen):
        for seed in SEEDS:
            data = FashionMnist().model_dump(mode="json")
            yield index, seed, space.build(params, data=data, evaluation=evaluation, seed=seed)


def _generated(
    config: TrialConfig, prepared: Prepared, kimg: list[int], count: int
) -> Iterator[tuple[int, torch.Tensor]]:
    session = Session(config, prepared)
    for at in kimg:
        try:
            session.train(at - session.kimg)
        except Diverged as error:
            print(f"diverged: {error}", flush=True)
            return
        yield at, session.generate(count, torch.Generator().manual_seed(at))


def _tell(fids: Mapping[str, Mapping[Key, float]], kimg: list[int]) -> None:
    ours, theirs = fids["self_supervised"], fids["classifier"]
    end = kimg[-1]
    whole = sorted({i for i, _, at in theirs if all((i, seed, end) in theirs for seed in SEEDS) and at == end})
    means = {name: {i: fmean(of[i, seed, end] for seed in SEEDS) for i in whole} for name, of in fids.items()}
    best = sorted(whole, key=lambda i: means["classifier"][i])[:TOP]
    for what, pairs in (
        (f"all {len(theirs)} generators", [(ours[key], theirs[key]) for key in theirs]),
        *((f"those of {at} kimg", [(ours[key], theirs[key]) for key in theirs if key[2] == at]) for at in kimg),
        (f"means over seeds at {end} kimg", [(means["self_supervised"][i], means["classifier"][i]) for i in whole]),
        (f"the best {TOP} of these", [(means["self_supervised"][i], means["classifier"][i]) for i in best]),
    ):
        print(f"Spearman over {what}: {spearmanr(*zip(*pairs, strict=True)).statistic:.3f}")
    for name, of in fids.items():
        for what, some in (("all", whole), (f"the best {TOP}", best)):
            logs = np.log([[of[i, seed, end] for seed in SEEDS] for i in some])
            noise, spread = math.sqrt(logs.var(1, ddof=1).mean()), logs.mean(1).std()
            told = f"sd of log FID {noise:.3f} over seeds, {spread:.3f} over configurations"
            print(f"{name}, {what}: {told}: {noise / spread:.3f}")


if __name__ == "__main__":
    main()
