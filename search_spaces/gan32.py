"""`gan32`: small colour images without labels (CIFAR-10), in architectures and widths up to those of the papers."""

from search_spaces import settings
from search_spaces.distributions import integer
from search_spaces.parts import augmentations, latents, losses, models, normalisations, optimisers, penalties, training
from search_spaces.settings import with_baselines
from search_spaces.space import Space
from trainables.gan.losses import LOSSES
from trainables.gan.penalties import PENALTIES

_WIDTHS = {
    "dcgan": integer(32, 256, step=32),
    "upsample": integer(16, 128, step=16),
    "sndcgan": integer(32, 128, step=32),
    "resnet": integer(32, 128, step=32),
}
_RESNET = {"name": "resnet", "width": 128}

GAN32 = with_baselines(
    Space(
        name="gan32",
        description="as gan28, wider and without the MLP, for 32 x 32 colour images such as CIFAR-10; wants a GPU",
        parameters=(
            *models(**_WIDTHS),
            *normalisations(_WIDTHS),
            *penalties(PENALTIES),
            *losses(*LOSSES),
            *augmentations(),
            *optimisers(("adam", "adamw", "rmsprop")),
            *latents("normal", "uniform", "truncated_normal"),
            *training(),
        ),
    ),
    dcgan=settings.DCGAN.on({"name": "dcgan", "width": 128}),
    sndcgan=settings.SNGAN.on({"name": "sndcgan", "width": 64}),
    sngan_resnet=settings.SNGAN_RESNET.on(_RESNET, ", without the rates' decay"),
    wgan_gp=settings.WGAN_GP_CIFAR.on(_RESNET, ", without the rates' decay"),
    kurach=settings.COMPARE_GAN_RESNET.on(_RESNET),
    sagan=settings.SAGAN.on(_RESNET, ", without attention"),
    r1=settings.R1.on(_RESNET, ", on the CIFAR-10 ResNet", ema_kimg=20.0),
    dragan=settings.DRAGAN.on({"name": "dcgan", "width": 64}, ", on a DCGAN"),
    lsgan=settings.LSGAN.on({"name": "dcgan", "width": 64}),
    relativistic=settings.RELATIVISTIC.on({"name": "dcgan", "width": 64}),
)
