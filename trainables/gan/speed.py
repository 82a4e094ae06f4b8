"""How fast a configuration trains here, measured over a few steps: for forecasts before a study runs."""

import time

import torch

from trainables.data import Dataset
from trainables.gan.batches import Batches
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape
from trainables.gan.networks import build_networks
from trainables.gan.step import MEANS, Stepper
from trainables.streams import Streams
from trainables.threads import fixed_threads


def images_per_second(config: TrialConfig, dataset: Dataset, device: str = "cpu", seconds: float = 1.0) -> float:
    """Train on one thread for about `seconds` after n_critic warm-up steps; return training images per second.

    Raises:
        InvalidInput: if the configuration does not fit the data.
    """
    shape = ImageShape(dataset.channels, dataset.size)
    generator, discriminator = build_networks(config, shape, dataset.classes or 0)
    batches = Batches.of(config, dataset, device)
    stepper = Stepper(
        batches, generator.to(device), discriminator.to(device), Streams(config.seed, torch.device(device))
    )
    sums = torch.zeros(len(MEANS), device=device, dtype=torch.float64)
    with fixed_threads(1):
        step, began = 0, time.perf_counter()
        while step <= config.n_critic or time.perf_counter() - began < seconds:
            if step == config.n_critic:
                float(sums.sum())  # waits for a GPU
                began = time.perf_counter()
            stepper.take(step, sums)
            step += 1
        float(sums.sum())
        return (step - config.n_critic) * config.batch_size / (time.perf_counter() - began)
