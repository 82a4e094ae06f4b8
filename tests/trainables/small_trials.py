"""What several tests of trials need: small configurations, one of every row, and comparisons to the last bit."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.errors import InvalidInput
from trainables.evaluation.config import Evaluation
from trainables.gan.augmentation import AUGMENTATIONS
from trainables.gan.conditioning import CONDITIONINGS
from trainables.gan.config import TrialConfig
from trainables.gan.latents import LATENTS
from trainables.gan.losses import LOSSES
from trainables.gan.models import MODELS
from trainables.gan.models.normalisation import NORMALISATIONS
from trainables.gan.optimisers import OPTIMISERS
from trainables.gan.penalties import PENALTIES
from trainables.gan.rate_control import RATE_CONTROLS
from trainables.variants import Variant

EVALUATION = Evaluation(count=300, batch=128)


def example(variant: type[Variant], **knobs: Any) -> dict[str, Any]:
    """A valid configuration of any variant: `knobs` where it has them, 0.01 for others that have no default."""
    fields = variant.model_fields
    required = {name: 0.01 for name, field in fields.items() if field.is_required()}
    chosen = {name: value for name, value in knobs.items() if name in fields}
    return {"name": fields["name"].default} | required | chosen


def small(**changes: Any) -> TrialConfig:
    """A trial of a few thousand weights on the digits."""
    base: dict[str, Any] = {
        "data": {"name": "digits"},
        "model": {"name": "mlp", "width": 24},
        "latent": {"name": "normal", "dimension": 8},
        "batch_size": 200,
        "seed": 5,
        "evaluation": EVALUATION.model_dump(mode="json"),
    }
    return TrialConfig.from_dict(base | changes)


EVERYTHING: dict[str, Any] = {
    "conditioning": {"name": "projection"},
    "latent": {"name": "class_conditional", "dimension": 16, "noise_std": 0.1},
    "label_smoothing": 0.1,
    "penalty": {"name": "dragan", "weight": 1},
    "augmentation": {"name": "diffaugment"},
    "generator_optimiser": {"name": "adamw", "lr": 1e-3, "decay_kimg": 5, "clip_norm": 0.5},
    "discriminator_optimiser": {"name": "sgd", "lr": 1e-2, "decay_kimg": 5, "clip_norm": 0.5},
    "rate_control": {"name": "false_positive_rate", "window": 7},
    "n_critic": 2,
    "update_order": "generator_first",
    "reuse_fakes": True,
    "ema_kimg": 1.5,
    "precision": "bf16",
}
"""All knobs on at once."""


def every_row() -> Iterator[tuple[str, TrialConfig]]:
    """A small trial for every row of every registry, and for every normalisation of every model."""
    for loss, row in LOSSES.items():
        yield f"loss-{loss}", small(loss=loss)
        if row.smoothed:
            yield f"smoothed-{loss}", small(loss=loss, label_smoothing=0.1)
    for name, penalty in PENALTIES.items():
        yield f"penalty-{name}", small(penalty=example(penalty))
    for name, latent in LATENTS.items():
        yield f"latent-{name}", small(latent=example(latent, dimension=12))
    for name, optimiser in OPTIMISERS.items():
        knobs = example(optimiser, lr=1e-3)
        yield f"optimiser-{name}", small(generator_optimiser=knobs, discriminator_optimiser=knobs)
        knobs |= {"decay_kimg": 4, "clip_norm": 0.1}
        yield f"decayed-{name}", small(generator_optimiser=knobs, discriminator_optimiser=knobs)
    for name, conditioning in CONDITIONINGS.items():
        yield f"conditioning-{name}", small(conditioning=example(conditioning))
    for name, augmentation in AUGMENTATIONS.items():
        yield f"augmentation-{name}", small(augmentation=example(augmentation))
    for name, control in RATE_CONTROLS.items():
        yield f"rate_control-{name}", small(rate_control=example(control, window=7))
    for (name, model), normalisation in product(MODELS.items(), NORMALISATIONS):
        if normalisation in model.normalisations:
            parts = {"model": example(model, width=4), "normalisation": normalisation}
            yield f"{name}-{normalisation}", small(**parts)
    for normalisation in ("batch", "spectral"):
        parts = {"model": {"name": "dcgan", "width": 4}, "normalisation": normalisation}
        yield f"bf16-{normalisation}", small(precision="bf16", **parts)
    yield "bf16-penalty", small(precision="bf16", penalty={"name": "r1", "weight": 1, "interval": 3})
    yield "lazy", small(penalty={"name": "r1", "weight": 1, "interval": 7})
    yield "noisy", small(latent={"name": "normal", "dimension": 8, "noise_std": 0.3})
    yield "ema", small(ema_kimg=1.5)
    yield "n_critic", small(n_critic=5)
    yield "generator_first", small(update_order="generator_first", n_critic=3, ema_kimg=1)
    yield "reuse_fakes", small(reuse_fakes=True, n_critic=2, conditioning={"name": "acgan"})
    yield "everything", small(**EVERYTHING)


ROWS: Mapping[str, TrialConfig] = dict(every_row())


def refusal(**changes: Any) -> str:
    """The message with which a small configuration with these changes is refused."""
    try:
        small(**changes)
    except InvalidInput as error:
        return str(error)
    raise AssertionError(f"{changes} was accepted")


def weights(module: nn.Module) -> dict[str, Tensor]:
    """A copy of the module's parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two sets of tensors are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@contextmanager
def global_randomness_untouched() -> Iterator[None]:
    """Check that the block neither seeds nor draws from torch's, NumPy's or Python's global generators."""
    torch.manual_seed(123)
    np.random.seed(123)
    random.seed(123)
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    yield
    after = torch.get_rng_state(), np.random.get_state(), random.getstate()
    assert torch.equal(before[0], after[0])
    np.testing.assert_equal(before[1], after[1])
    assert before[2] == after[2]
