"""`gan28`: the default space, with every variant for small grey images without labels.

Left at their defaults: the rates' decay, which depends on a study's budget (`space.fix` sets it:
`generator_optimiser.decay_kimg: 540`), and the precision.
"""

from search_spaces import settings
from search_spaces.distributions import integer
from search_spaces.parts import augmentations, latents, losses, models, normalisations, optimisers, penalties, training
from search_spaces.settings import with_baselines
from search_spaces.space import Space
from trainables.gan.losses import LOSSES
from trainables.gan.penalties import PENALTIES

_WIDTHS = {
    "dcgan": integer(16, 128, step=16),
    "mlp": integer(64, 1024, step=64),
    # These three convolve at the image's full size, where a channel costs several times as much.
    "upsample": integer(8, 64, step=8),
    "sndcgan": integer(8, 64, step=8),
    "resnet": integer(16, 64, step=16),
}
_DCGAN = {"name": "dcgan", "width": 64}

GAN28 = with_baselines(
    Space(
        name="gan28",
        description="every loss, penalty, normalisation, latent, optimiser and architecture, for 28 x 28 images",
        parameters=(
            *models(**_WIDTHS),
            *normalisations(_WIDTHS),
            *penalties(PENALTIES),
            *losses(*LOSSES),
            *augmentations(),
            *optimisers(),
            *latents("normal", "uniform", "truncated_normal"),
            *training(),
        ),
    ),
    dcgan=settings.DCGAN.on(_DCGAN),
    sngan=settings.SNGAN.on(_DCGAN),
    wgan_gp=settings.WGAN_GP.on(_DCGAN, ", with layer norm", normalisation="layer"),
    sagan=settings.SAGAN.on(_DCGAN),
    sngan_resnet=settings.SNGAN_RESNET.on(_DCGAN, " on a DCGAN"),
    lsgan=settings.LSGAN.on(_DCGAN),
    relativistic=settings.RELATIVISTIC.on(_DCGAN),
    wgan=settings.WGAN.on(_DCGAN),
    dragan=settings.DRAGAN.on(_DCGAN, ", on a DCGAN"),
    r1=settings.R1.on(_DCGAN, ", on a DCGAN", ema_kimg=20.0),
    sndcgan=settings.SNGAN.on({"name": "sndcgan", "width": 32}, ", half as wide"),
)
