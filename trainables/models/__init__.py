"""Architectures: pairs of a generator and a discriminator. A new one is one file and one row in `MODELS`."""

from trainables.models.base import ImageShape, Model
from trainables.models.dcgan import Dcgan
from trainables.models.mlp import Mlp
from trainables.models.resnet import Resnet
from trainables.models.sndcgan import Sndcgan
from trainables.models.upsample import Upsample

MODELS: dict[str, type[Model]] = {
    "mlp": Mlp,
    "dcgan": Dcgan,
    "upsample": Upsample,
    "sndcgan": Sndcgan,
    "resnet": Resnet,
}

__all__ = ["MODELS", "ImageShape", "Model"]
