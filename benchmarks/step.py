"""The training step of a trial against how others write it, and against its bare products: `python benchmarks/step.py`.

One core, one thread. For each network: images a second of ours (float32, bf16), of the step of Ray's DCGAN example
and of PyTorch's DCGAN tutorial on the very same networks, and of the bound of benchmarks/bound.py. Then ours alone
for other losses, penalties and knobs. Results go to benchmarks/results/step.json. About 8 minutes.
"""

import argparse
from collections.abc import Mapping
from typing import Any

import torch
from bound import Bound
from measuring import Rate, Step, interleaved, machine, pin, ratio, summary, write
from other_steps import RAY_BATCHES, InceptionScore, OthersStep, as_torchs

from trainables.data import FashionMnist
from trainables.data.images import Dataset
from trainables.gan.batches import Batches
from trainables.gan.config import TrialConfig
from trainables.gan.ema import Ema
from trainables.gan.models import ImageShape
from trainables.gan.networks import build_networks
from trainables.gan.step import MEANS, Stepper
from trainables.streams import Streams
from trainables.tensors import as_tensor

BASE: dict[str, Any] = {"data": {"name": "fashion_mnist"}, "latent": {"name": "normal", "dimension": 100}, "seed": 1}
NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"name": "mlp", "width": 256}, "batch_size": 64},
    "dcgan": {"model": {"name": "dcgan", "width": 32}, "normalisation": "batch", "batch_size": 64},
    "sndcgan": {"model": {"name": "sndcgan", "width": 16}, "normalisation": "spectral", "batch_size": 64},
}
"""What is compared with others: D's batch norm is that of their networks, the MLP has none."""

_SPECTRAL = {"normalisation": "spectral"}
VARIANTS: dict[str, dict[str, Any]] = {
    "hinge, spectral norm": {"loss": "hinge", **_SPECTRAL},
    "relativistic, spectral norm": {"loss": "relativistic", **_SPECTRAL},
    "wasserstein, gradient penalty": {
        "loss": "wasserstein",
        "normalisation": "layer",
        "penalty": {"name": "gradient_penalty", "weight": 10},
    },
    "nonsaturating, R1": {"penalty": {"name": "r1", "weight": 10}, **_SPECTRAL},
    "nonsaturating, R1 every 16th step": {"penalty": {"name": "r1", "weight": 10, "interval": 16}, **_SPECTRAL},
    "nonsaturating, spectral norm": _SPECTRAL,
    "hinge, spectral norm, 5 steps of D": {"loss": "hinge", "n_critic": 5, **_SPECTRAL},
    "hinge, spectral norm, DiffAugment": {"loss": "hinge", "augmentation": {"name": "diffaugment"}, **_SPECTRAL},
    "hinge, spectral norm, EMA": {"loss": "hinge", "ema_kimg": 1.0, **_SPECTRAL},
    "hinge, spectral norm, batches of 16": {"loss": "hinge", "batch_size": 16, **_SPECTRAL},
}
MODELS_OF_VARIANTS = ("mlp", "dcgan")


def ours(dataset: Dataset, changes: Mapping[str, Any]) -> Step:
    """A trial's own step, with its moving average, as `Session` takes it."""
    config = TrialConfig.from_dict(BASE | dict(changes))
    generator, discriminator = build_networks(config, ImageShape(dataset.channels, dataset.size), 0)
    batches = Batches(config, as_tensor(dataset.train.images), None, 0)
    stepper = Stepper(batches, generator, discriminator, Streams(config.seed, torch.device("cpu")))
    ema = Ema(generator, config.ema_kimg) if config.ema_kimg else None
    sums = torch.zeros(len(MEANS), dtype=torch.float64)
    step = -1

    def take() -> int:
        nonlocal step
        step += 1
        if stepper.take(step, sums) and ema:
            ema.update(generator, (step + 1) * config.batch_size, config.n_critic * config.batch_size)
        return config.batch_size

    return take


def others(dataset: Dataset, changes: Mapping[str, Any], **how: Any) -> Step:
    """The step of others on the networks of a configuration."""
    config = TrialConfig.from_dict(BASE | dict(changes))
    generator, discriminator = build_networks(config, ImageShape(dataset.channels, dataset.size), 0)
    for network in (generator, discriminator):
        as_torchs(network)
    images = dataset.train.images
    return OthersStep(
        generator,
        lambda x: discriminator(x).logits,
        discriminator,
        config.latent.dimension,
        images,
        config.batch_size,
        **how,
    )


def bound(dataset: Dataset, changes: Mapping[str, Any], dtype: torch.dtype) -> Step:
    """The bare products of a configuration's networks."""
    config = TrialConfig.from_dict(BASE | dict(changes))
    generator, discriminator = build_networks(config, ImageShape(dataset.channels, dataset.size), 0)
    return Bound(generator, discriminator, config.latent.dimension, config.batch_size, dtype)


def compare(dataset: Dataset, changes: Mapping[str, Any], rounds: int, seconds: float) -> dict[str, Any]:
    """Ours, the others and the bound, of one network."""
    cases: dict[str, Step] = {
        "ours, float32": ours(dataset, changes),
        "ours, bf16": ours(dataset, {**changes, "precision": "bf16"}),
        "ours, bf16, fakes reused": ours(dataset, {**changes, "precision": "bf16", "reuse_fakes": True}),
        "Ray's example": others(dataset, changes, restart=RAY_BATCHES),
        "Ray's example, with its inception score": others(
            dataset, changes, restart=RAY_BATCHES, score=InceptionScore()
        ),
        "PyTorch's tutorial": others(dataset, changes),
        "bare products, float32": bound(dataset, changes, torch.float32),
        "bare products, bf16": bound(dataset, changes, torch.bfloat16),
    }
    rates = interleaved(cases, rounds, seconds)
    return {"rates": summary(rates), "ratios": _ratios(rates)}


def _ratios(rates: Mapping[str, list[Rate]]) -> dict[str, dict[str, float]]:
    return {
        f"{name} / {other}": ratio(rates, name, other)
        for name, others in {
            "ours, float32": ("Ray's example", "PyTorch's tutorial", "bare products, float32"),
            "ours, bf16": ("Ray's example", "PyTorch's tutorial", "bare products, bf16", "ours, float32"),
            "ours, bf16, fakes reused": ("Ray's example", "PyTorch's tutorial", "ours, bf16"),
        }.items()
        for other in others
    }


def variants(dataset: Dataset, network: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Ours with other losses, penalties and knobs, of one network, each in float32 and bf16."""
    cases = {
        f"{name}, {precision}": ours(dataset, {**NETWORKS[network], **changes, "precision": precision})
        for name, changes in VARIANTS.items()
        for precision in ("float32", "bf16")
    }
    return summary(interleaved(cases, rounds, seconds))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each case in each round")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--no-variants", action="store_true", help="only the comparison with others")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--name", default="step", help="of the result's file")
    options = parser.parse_args()
    before = machine()["load_average"]
    pin(options.core)
    dataset = FashionMnist().load()
    compared = {}
    for network in options.networks:
        compared[network] = compare(dataset, NETWORKS[network], options.rounds, options.seconds)
        print(f"{network}, images/s:")
        for case, rate in compared[network]["rates"].items():
            print(f"  {case:42} {rate['images_per_second']:8.0f}  ({rate['low']:.0f} to {rate['high']:.0f})")
        for pair, of in compared[network]["ratios"].items():
            print(f"  {pair:58} {of['median']:5.2f}  ({of['low']:.2f} to {of['high']:.2f})", flush=True)
    alone = {}
    for network in () if options.no_variants else MODELS_OF_VARIANTS:
        alone[network] = variants(dataset, network, max(3, options.rounds - 2), options.seconds / 2)
        print(f"{network}, ours with, images/s:")
        for case, rate in alone[network].items():
            print(f"  {case:52} {rate['images_per_second']:8.0f}", flush=True)
    settings = {"networks": NETWORKS, "variants": VARIANTS, "rounds": options.rounds, "seconds": options.seconds}
    path = write(options.name, {"load_before": before, "settings": settings, "compared": compared, "variants": alone})
    print(f"written: {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
