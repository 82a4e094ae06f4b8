"""The models that the conformance suites run: each row with each normalisation of D, and networks changed by a knob."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import pytest
import torch
from small_trials import example
from torch import Tensor, nn

from trainables.gan.conditioning import CONDITIONINGS, Conditioning, Discriminator, NoConditioning
from trainables.gan.models import MODELS, ImageShape, Model
from trainables.gan.models.dropout import dropouts_of, reseed_dropout
from trainables.gan.models.initialise import settle_spectral_norm
from trainables.gan.models.normalisation import NORMALISATIONS, Normalisation

LATENT, BATCH, CLASSES = 6, 5, 3

PLAIN = NoConditioning()
SMALL: dict[str, Model] = {name: kind.model_validate(example(kind, width=8)) for name, kind in MODELS.items()}
VARIED: dict[str, Model] = SMALL | {
    "dcgan-kernel-5-dropout": MODELS["dcgan"].model_validate({"width": 8, "kernel": 5, "dropout": 0.3}),
    "upsample-skip-bilinear": MODELS["upsample"].model_validate({"width": 8, "skip": "output", "resize": "bilinear"}),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Case:
    """A model with a normalisation of D, for one shape of images and one way to use labels."""

    model: Model
    normalisation: Normalisation
    shape: ImageShape
    conditioning: Conditioning = PLAIN

    def generator(self, seed: int = 0) -> nn.Module:
        net = self.model.generator(self.conditioning.latent_inputs(LATENT, CLASSES), self.shape)
        self.model.initialise(net, seeded(seed))
        return net

    def discriminator(self, seed: int = 0) -> Discriminator:
        head = self.conditioning.head(self.model.features(self.shape), CLASSES, self.normalisation)
        net = Discriminator(self.model.trunk(self.shape, self.normalisation), head)
        self.model.initialise(net, seeded(seed))
        settle_spectral_norm(net, seeded(seed))
        reseed_dropout(dropouts_of(net), seed)
        return net

    def labels(self, count: int = BATCH) -> Tensor:
        return torch.arange(count) % CLASSES

    def latents(self, count: int = BATCH) -> Tensor:
        z = torch.randn(count, LATENT, generator=seeded(1))
        return self.conditioning.generator_input(z, self.labels(count), CLASSES)

    def images(self, count: int = BATCH, seed: int = 2) -> Tensor:
        size = self.shape.size
        return torch.rand(count, self.shape.channels, size, size, generator=seeded(seed)) * 2 - 1


def cases(
    models: dict[str, Model],
    image_shapes: list[ImageShape],
    conditionings: Iterable[str] = ("none",),
    normalisations: Iterable[str] = tuple(NORMALISATIONS),
) -> Iterator[tuple[str, Case]]:
    """Every model with every one of `normalisations` it takes, named for the test's report."""
    for conditioning, shape, (name, model) in product(conditionings, image_shapes, models.items()):
        kind = CONDITIONINGS[conditioning]
        for key in (key for key in normalisations if key in model.normalisations):
            chosen = Case(model, NORMALISATIONS[key], shape, kind.model_validate(example(kind)))
            yield f"{name}-{key}-{conditioning}-{shape.channels}x{shape.size}", chosen


def parametrised(found: Iterable[tuple[str, Case]]) -> pytest.MarkDecorator:
    """Run a test with each of the cases as its argument `case`."""
    named = dict(found)
    return pytest.mark.parametrize("case", named.values(), ids=named.keys())
