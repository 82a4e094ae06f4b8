"""`conditional`: class-conditional GANs, for labelled images of 28 or 32 pixels.

Labels reach G beside the latent or through it (a Gaussian per class), and D by projection or an auxiliary classifier.
"""

from search_spaces import settings
from search_spaces.distributions import choice, integer, real
from search_spaces.parts import (
    augmentations,
    latents,
    losses,
    models,
    normalisations,
    optimisers,
    penalties,
    training,
    when,
)
from search_spaces.settings import with_baselines
from search_spaces.space import Parameter, Space
from trainables.gan.losses import LOSSES

_WIDTHS = {
    "dcgan": integer(16, 128, step=16),
    "upsample": integer(8, 64, step=8),
    "sndcgan": integer(8, 64, step=8),
    "resnet": integer(16, 128, step=16),
}
_RESNET = {"name": "resnet", "width": 64}
_DCGAN = {"name": "dcgan", "width": 64}
_ACGAN = when("conditioning.name", "acgan")

CONDITIONAL = with_baselines(
    Space(
        name="conditional",
        description="projection and AC-GAN, class-conditional latents, for labelled images of 28 or 32 pixels",
        parameters=(
            Parameter("conditioning.name", choice("projection", "acgan")),
            # The weights of D's cross-entropy on generated images and of G's; that on real images has 1.
            Parameter("conditioning.fake_weight", choice(0.0, 1.0), _ACGAN),
            Parameter("conditioning.generator_weight", real(0.05, 2.0, log=True), _ACGAN),
            *models(**_WIDTHS),
            *normalisations(_WIDTHS),
            *penalties(("none", "gradient_penalty", "dragan", "r1")),
            *losses(*LOSSES),
            *augmentations(),
            *optimisers(("adam", "rmsprop")),
            *latents("normal", "class_conditional"),
            *training(),
        ),
    ),
    projection=settings.PROJECTION.on(_RESNET, ", half as wide, with the class beside G's latent"),
    acgan=settings.ACGAN.on({**_DCGAN, "dropout": 0.5}, ", on a DCGAN"),
    wgan_gp_acgan=settings.WGAN_GP_ACGAN.on(_RESNET, ", half as wide, without the rates' decay"),
    sagan=settings.SAGAN_PROJECTION.on(_DCGAN, ", on a DCGAN"),
    acgan_gaussians=settings.ACGAN.on(
        {**_DCGAN, "dropout": 0.5},
        ", on a DCGAN; a Gaussian per class for the latent, as Ben-Yosef & Weinshall 2018",
        latent={"name": "class_conditional", "dimension": 100, "separation": 3.0},
    ),
)
