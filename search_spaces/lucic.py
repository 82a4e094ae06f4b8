"""`lucic_wide` and `lucic_narrow`: the ranges of Lucic et al. 2018, "Are GANs Created Equal?".

As there: a loss comes with its penalty (parameter `gan`), G and D share the learning rate and Adam's beta1,
batches of 64 and a latent of 64 dimensions. Not as there: the network is our DCGAN instead of InfoGAN's, BEGAN and
the VAE are left out, and `hinge`, which came after the paper, has the ranges of the losses without a penalty.
"""

from dataclasses import replace

from search_spaces.distributions import choice, real
from search_spaces.space import Baseline, Condition, Parameter, Space, Value

_G, _D = "generator_optimiser", "discriminator_optimiser"

_SHARED: dict[str, Value] = {"lr": 2e-4, "beta1": 0.5, "n_critic": 1, "normalisation_with_batch": "batch"}

LUCIC_WIDE = Space(
    name="lucic_wide",
    description="MM, NS, LS, W, WGAN-GP and DRAGAN, and hinge, in the wide ranges of Lucic et al. 2018",
    parameters=(
        Parameter(
            "gan",
            choice("mm", "ns", "lsgan", "wgan", "wgan_gp", "dragan", "hinge"),
            expands={
                "mm": {"loss": "minimax", "penalty.name": "none"},
                "ns": {"loss": "nonsaturating", "penalty.name": "none"},
                "lsgan": {"loss": "lsgan", "penalty.name": "none"},
                "wgan": {"loss": "wasserstein", "penalty.name": "weight_clip"},
                "wgan_gp": {"loss": "wasserstein", "penalty.name": "gradient_penalty"},
                "dragan": {"loss": "nonsaturating", "penalty.name": "dragan"},
                "hinge": {"loss": "hinge", "penalty.name": "none"},  # not in the paper
            },
        ),
        Parameter("lr", real(1e-5, 1e-2, log=True), path=(f"{_G}.lr", f"{_D}.lr")),
        # The paper's U(0, 1); Adam with beta1 = 1 never moves, so it ends just below.
        Parameter("beta1", real(0.0, 0.999), path=(f"{_G}.beta1", f"{_D}.beta1")),
        Parameter("n_critic", choice(1, 5)),
        Parameter(
            "normalisation_with_batch",
            choice("batch", "none"),
            (Condition("penalty.name", ("none", "weight_clip")),),
            path="normalisation",
        ),
        # The paper's {batch norm, none} too, but these penalties are defined per sample and batch norm mixes
        # samples: layer norm stands in, as Gulrajani et al. 2017 recommend.
        Parameter(
            "normalisation_without_batch",
            choice("layer", "none"),
            (Condition("penalty.name", ("gradient_penalty", "dragan")),),
            path="normalisation",
        ),
        Parameter(
            "penalty.weight",
            real(0.1, 100.0, log=True),
            (Condition("penalty.name", ("gradient_penalty", "dragan")),),
        ),
        Parameter("penalty.limit", real(1e-3, 1.0, log=True), (Condition("penalty.name", ("weight_clip",)),)),
    ),
    constants={
        "model.name": "dcgan",
        "model.width": 64,
        "latent.name": "uniform",
        "latent.dimension": 64,
        f"{_G}.name": "adam",
        f"{_G}.beta2": 0.999,
        f"{_D}.name": "adam",
        f"{_D}.beta2": 0.999,
        "batch_size": 64,
        "ema_kimg": 0.0,
    },
    baselines=(
        Baseline("dcgan", "Radford et al. 2016 (2e-4, 0.5)", {**_SHARED, "gan": "ns"}),
        Baseline(
            "lsgan",
            "loss of Mao et al. 2017, eq. 9, with the rates of Radford et al. 2016",
            {**_SHARED, "gan": "lsgan"},
        ),
        Baseline("minimax", "loss of Goodfellow et al. 2014, eq. 1, rates as above", {**_SHARED, "gan": "mm"}),
        Baseline(
            "wgan_gp",
            "Gulrajani et al. 2017, algorithm 1 (1e-4, weight 10, n_critic 5), with beta1 0",
            {
                "gan": "wgan_gp",
                "lr": 1e-4,
                "beta1": 0.0,
                "n_critic": 5,
                "normalisation_without_batch": "layer",
                "penalty.weight": 10.0,
            },
        ),
        Baseline(
            "dragan",
            "Kodali et al. 2017, their MNIST code (1e-4, 0.5, n_critic 1, weight 10)",
            {
                "gan": "dragan",
                "lr": 1e-4,
                "beta1": 0.5,
                "n_critic": 1,
                "normalisation_without_batch": "none",
                "penalty.weight": 10.0,
            },
        ),
        Baseline(
            "wgan",
            "Arjovsky et al. 2017 (5e-5, clip 0.01, n_critic 5), with Adam and beta1 0 for RMSprop",
            {
                "gan": "wgan",
                "lr": 5e-5,
                "beta1": 0.0,
                "n_critic": 5,
                "normalisation_with_batch": "batch",
                "penalty.limit": 0.01,
            },
        ),
    ),
)

LUCIC_NARROW = replace(
    LUCIC_WIDE.narrowed(
        {
            "lr": {"low": 1e-4, "high": 1e-3},
            "penalty.weight": {"high": 10.0},
            "penalty.limit": {"low": 1e-2},
            # Their narrow ranges have no normalisation of D with either gradient penalty.
            "normalisation_without_batch": ["none"],
        }
    ).fixed({"beta1": 0.5, "n_critic": 1}),
    name="lucic_narrow",
    description="MM, NS, LS, W, WGAN-GP and DRAGAN, and hinge, in the narrow ranges of Lucic et al. 2018",
)
