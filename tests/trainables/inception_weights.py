"""A state dict for Inception v3 of random numbers, so scaled that features differ much between images."""

import io
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

LOGITS_SCALE = 0.1  # large enough that images fall into classes, small enough that not all into one


class _Blank(FeatureExtractorInceptionV3):
    def load_state_dict(self, *_: Any, **__: Any) -> None:
        """Keep what the constructor drew."""


def random_state(images: Tensor, seed: int = 1) -> dict[str, Tensor]:
    """Weights from `seed`; batch norms that fit `images`, or else all features would be nearly the same."""
    content = io.BytesIO()
    torch.save({}, content)
    content.seek(0)
    with torch.random.fork_rng(devices=[]):
        network = _Blank("blank", ["2048"], feature_extractor_weights_path=content)
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):  # He et al. 2015, so that a signal keeps its size from layer to layer
            module.weight.normal_(0, math.sqrt(2 / module.weight[0].numel()), generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.fc.weight.normal_(0, LOGITS_SCALE, generator=generator)
    network.train()(images)
    return dict(network.state_dict())


def write_random_weights(path: Path, images: Tensor) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(random_state(images), path)
    return path
