"""Architectures: pairs of a generator and a discriminator. A new one is one file and one row in `MODELS`."""

from trainables.models.base import ImageShape, Model
from trainables.models.dcgan import Dcgan
from trainables.models.mlp import Mlp

MODELS: dict[str, type[Model]] = {"mlp": Mlp, "dcgan": Dcgan}

__all__ = ["MODELS", "ImageShape", "Model"]
