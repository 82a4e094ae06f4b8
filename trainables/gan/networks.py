"""Builds a trial's generator and discriminator with initial weights that depend only on its seed."""

import torch
from torch import nn

from trainables.errors import InvalidInput
from trainables.gan.conditioning import Discriminator
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape
from trainables.gan.models.initialise import settle_spectral_norm
from trainables.gan.models.layout import lay_out
from trainables.gan.models.normalisation import NORMALISATIONS
from trainables.streams import Streams


def check_fit(config: TrialConfig, shape: ImageShape, classes: int) -> None:
    """Check what is known before a network is built.

    Args:
        config: the trial.
        shape: of the data's images.
        classes: of the data, 0 where it has no labels.

    Raises:
        InvalidInput: if the architecture cannot make such images, the trial needs labels and there are none, or
            the latent does not fit that many classes.
    """
    if config.uses_labels and not classes:
        part, name = "latent", config.latent.name
        if config.conditioning.uses_labels:
            part, name = "conditioning", config.conditioning.name
        raise InvalidInput(f"{part} {name!r} needs labelled data, but the data has no labels; choose another")
    try:
        config.model.check_shape(shape)
        config.latent.check_classes(classes)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def assemble(config: TrialConfig, shape: ImageShape, classes: int) -> tuple[nn.Module, Discriminator]:
    """Return G and D with the weights that torch's constructors draw from its global generator."""
    model, normalisation, conditioning = config.model, NORMALISATIONS[config.normalisation], config.conditioning
    generator = model.generator(conditioning.latent_inputs(config.latent.dimension, classes), shape)
    trunk = model.trunk(shape, normalisation)
    return generator, Discriminator(trunk, conditioning.head(model.features(shape), classes, normalisation))


def build_networks(config: TrialConfig, shape: ImageShape, classes: int) -> tuple[nn.Module, Discriminator]:
    """Return G and D on the CPU, their weights from the trial's seed; arguments and errors as `check_fit`'s."""
    check_fit(config, shape, classes)
    first = Streams(config.seed, torch.device("cpu"))
    with torch.random.fork_rng(devices=[]):
        generator, discriminator = assemble(config, shape, classes)
        config.model.initialise(generator, first.at("generator", 0))
        config.model.initialise(discriminator, first.at("discriminator", 0))
        settle_spectral_norm(discriminator, first.at("spectral", 0))
    for network in (generator, discriminator):
        lay_out(network)
    return generator, discriminator
