"""Architectures: pairs of a generator and a discriminator. A new one is one file and one row in `MODELS`."""

from trainables.gan.models.base import ImageShape, Model
from trainables.gan.models.dcgan import Dcgan
from trainables.gan.models.mlp import Mlp
from trainables.gan.models.resnet import Resnet
from trainables.gan.models.sndcgan import Sndcgan
from trainables.gan.models.upsample import Upsample

MODELS: dict[str, type[Model]] = {
    "mlp": Mlp,
    "dcgan": Dcgan,
    "upsample": Upsample,
    "sndcgan": Sndcgan,
    "resnet": Resnet,
}

__all__ = ["MODELS", "ImageShape", "Model"]
