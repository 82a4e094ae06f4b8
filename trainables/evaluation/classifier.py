"""A small convnet whose inner features an FID compares, and the recipe that trains it.

Inception's features were learnt on photographs of 299 pixels; for grey images of 28 pixels a net trained on the
data itself tells classes and defects apart at a thousandth of the cost. The recipe is fixed: the same data, machine
and thread count give the same weights, and torch's global generator stays untouched.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.data.images import Dataset, LabelledImages
from trainables.errors import InvalidInput
from trainables.tensors import as_tensor

RECIPE = 1
"""Version of network and training, part of every cached classifier's name: raise it when anything here changes."""

DIMENSION = 64
"""Number of features: few compared with the thousands of images whose covariance an FID takes."""

_WIDTHS = (16, 32, 64, 64)
_EPOCHS = 8
_STEPS_MIN, _STEPS_MAX = 600, 8_000
_BATCH = 128
_PEAK_RATE = 4e-3
_WEIGHT_DECAY = 1e-3
_SHIFT = 1  # pixels that a training image is moved by at most
_SEED = 1

Progress = Callable[[int, int, float], None]
"""Called with (step, steps, loss) from time to time."""


class Classifier(nn.Module):
    """Four 3 x 3 convolutions with batch norm, pooled to 2 x 2, then `DIMENSION` features, then the classes.

    Works for images of 8 pixels a side and more; all parameters are drawn from `generator`.
    """

    def __init__(self, channels: int, classes: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # modules draw from the global generator when they are made
            layers: list[nn.Module] = []
            for i, (fan_in, fan_out) in enumerate(zip((channels, *_WIDTHS), _WIDTHS, strict=False)):
                layers += [nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False), nn.BatchNorm2d(fan_out)]
                layers += [nn.ReLU(inplace=True)]
                layers += [nn.MaxPool2d(2)] if i < 2 else []
            self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
            self.embed = nn.Linear(4 * _WIDTHS[-1], DIMENSION)
            self.head = nn.Linear(DIMENSION, classes)
        self._initialise(generator or torch.Generator().manual_seed(_SEED))
        self.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    def _initialise(self, generator: torch.Generator) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def features(self, images: Tensor) -> Tensor:
        """Uint8 (or float of 0 to 255) N x C x H x W to N x `DIMENSION` float32, the inputs of the last layer."""
        scaled = images.contiguous(memory_format=torch.channels_last).float().div(127.5).sub(1.0)
        return F.relu(self.embed(self.trunk(scaled)))

    def forward(self, images: Tensor) -> Tensor:
        """Uint8 N x C x H x W to logits N x classes."""
        logits: Tensor = self.head(self.features(images))
        return logits


def train(dataset: Dataset, progress: Progress | None = None) -> Classifier:
    """A classifier of the data set's train split, in evaluation mode.

    The recipe: AdamW with a one-cycle rate (Smith & Topin 2017) for 8 epochs of batches of 128, at least 600
    and at most 8,000 steps; images are moved by at most one pixel; the loss is cross-entropy.

    Raises:
        InvalidInput: without labels, or with fewer than two classes.
    """
    images, labels = as_tensor(dataset.train.images), dataset.train.labels
    if labels is None or dataset.classes is None or dataset.classes < 2:
        raise InvalidInput(
            f"{dataset.name}: classes={dataset.classes}; a classifier needs labels of at least two classes: "
            "add labels to the data"
        )
    targets = as_tensor(labels)
    generator = torch.Generator().manual_seed(_SEED)
    model = Classifier(dataset.channels, dataset.classes, generator).train()
    steps = min(max(_EPOCHS * len(images) // _BATCH, _STEPS_MIN), _STEPS_MAX)
    optimiser = torch.optim.AdamW(model.parameters(), lr=_PEAK_RATE, weight_decay=_WEIGHT_DECAY, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step / steps))
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        if len(order) < _BATCH:
            order = torch.cat([order, torch.randperm(len(images), generator=generator)])
        chosen, order = order[:_BATCH], order[_BATCH:]
        loss = F.cross_entropy(model(_shifted(images[chosen], generator)), targets[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if progress is not None and (step % 100 == 0 or step == steps - 1):
            progress(step + 1, steps, loss.item())
    return model.eval()


def recipe() -> dict[str, int | float | list[int]]:
    """The recipe's numbers."""
    return {
        "version": RECIPE,
        "seed": _SEED,
        "widths": list(_WIDTHS),
        "features": DIMENSION,
        "epochs": _EPOCHS,
        "steps_min": _STEPS_MIN,
        "steps_max": _STEPS_MAX,
        "batch": _BATCH,
        "peak_rate": _PEAK_RATE,
        "weight_decay": _WEIGHT_DECAY,
        "shift_pixels": _SHIFT,
    }


def rate(done: float) -> float:
    """The rate as a fraction of its peak: linear up over the first fifth, then a cosine down to zero."""
    return done / 0.2 if done < 0.2 else 0.5 * (1 + math.cos(math.pi * (done - 0.2) / 0.8))


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """The whole batch moved by up to `_SHIFT` pixels in each direction, filled with zeros."""
    down, right = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=generator).tolist()
    return F.pad(images, (right, -right, down, -down))


@torch.inference_mode()
def accuracy(model: Classifier, part: LabelledImages, batch: int = 500) -> float:
    """The fraction of labelled images that the model classifies correctly."""
    assert part.labels is not None
    images, labels = as_tensor(part.images), as_tensor(part.labels)
    right = 0
    for start in range(0, len(part), batch):
        chosen = slice(start, start + batch)
        right += int((model(images[chosen]).argmax(1) == labels[chosen]).sum())
    return right / len(part)


def state_arrays(model: Classifier) -> dict[str, NDArray[Any]]:
    """The weights and batch-norm statistics as arrays, by name; without batch counters (unused)."""
    return {
        name: np.ascontiguousarray(value.detach().cpu().numpy())
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Classifier:
    """The classifier, in evaluation mode, that `state_arrays` took apart."""
    channels, classes = arrays["trunk.0.weight"].shape[1], arrays["head.weight"].shape[0]
    model = Classifier(channels, classes)
    state = {name: as_tensor(array) for name, array in arrays.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    wrong = [name for name in missing if not name.endswith("num_batches_tracked")] + unexpected
    if wrong:
        raise InvalidInput(f"classifier weights with {wrong[0]} missing or unknown: not of recipe {RECIPE}")
    return model.eval().requires_grad_(False)
