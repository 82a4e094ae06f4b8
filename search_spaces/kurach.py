"""`kurach`: the ranges of Kurach et al. 2019, "A Large-Scale Study on Regularization and Normalization in GANs".

As there: G and D share Adam's rate and betas, a loss goes with any penalty and any normalisation of D, batches of 64,
a latent of N(0, 1); a penalty's weight is 10^U(-1, 2), but that of L2 10^U(-4, 1). Not as there: a gradient penalty
with batch norm in D, and L2 with spectral norm, are left out (`TrialConfig` says why); the residual network is half as
wide (`space.fix.model.width: 128` gives the paper's); the budget is the study's. Both networks are those of 32 pixels
at 28 too.
"""

from search_spaces import settings
from search_spaces.distributions import choice, real
from search_spaces.parts import D, G, penalties
from search_spaces.settings import with_baselines
from search_spaces.space import Parameter, Space

_SNDCGAN, _RESNET = {"name": "sndcgan", "width": 64}, {"name": "resnet", "width": 64}
_NORMALISATIONS = ("none", "batch", "layer", "spectral")

KURACH = with_baselines(
    Space(
        name="kurach",
        description="SNDCGAN and ResNet in the ranges of Kurach et al. 2019",
        parameters=(
            Parameter("model.name", choice("sndcgan", "resnet")),
            Parameter("normalisation", choice(*_NORMALISATIONS)),
            *penalties(("none", "gradient_penalty", "dragan", "l2"), _NORMALISATIONS),
            Parameter("loss", choice("nonsaturating", "lsgan", "wasserstein")),
            Parameter("lr", real(1e-5, 1e-2, log=True), path=(f"{G}.lr", f"{D}.lr")),
            # The paper's U(0, 1); Adam with a beta of 1 never moves, so they end just below.
            Parameter("beta1", real(0.0, 0.999), path=(f"{G}.beta1", f"{D}.beta1")),
            Parameter("beta2", real(0.0, 0.999), path=(f"{G}.beta2", f"{D}.beta2")),
            Parameter("n_critic", choice(1, 5)),
        ),
        constants={
            "model.width": 64,
            "latent.name": "normal",
            "latent.dimension": 128,
            f"{G}.name": "adam",
            f"{D}.name": "adam",
            "batch_size": 64,
            "ema_kimg": 0.0,
        },
    ),
    sndcgan=settings.COMPARE_GAN_SNDCGAN.on(_SNDCGAN),
    resnet=settings.COMPARE_GAN_RESNET.on(_RESNET, ", half as wide"),
    wgan_gp=settings.WGAN_GP.on(_RESNET, ", on the ResNet, half as wide"),
    dragan=settings.DRAGAN.on(
        _SNDCGAN,
        ", on SNDCGAN with its latent and batches of 64",
        batch_size=64,
        latent={"name": "normal", "dimension": 128},
    ),
)
