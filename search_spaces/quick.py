"""`quick`: few dimensions and small networks, so that even a dozen trials on a CPU are useful."""

from search_spaces.distributions import choice, integer, real
from search_spaces.space import Baseline, Condition, Parameter, Space

# Short runs want high rates: over 36 kimg of Fashion-MNIST 1e-3 reaches less than half the FID of 2e-4.
_LR = real(1e-4, 4e-3, log=True)

QUICK = Space(
    name="quick",
    description="small MLPs and DCGANs for 28 x 28 images on a CPU",
    parameters=(
        Parameter("model.name", choice("dcgan", "mlp")),
        Parameter("dcgan.width", integer(16, 32, step=8), (Condition("model.name", ("dcgan",)),), path="model.width"),
        Parameter("mlp.width", integer(128, 512, step=64), (Condition("model.name", ("mlp",)),), path="model.width"),
        Parameter("normalisation", choice("none", "batch", "spectral")),
        Parameter("loss", choice("nonsaturating", "lsgan", "hinge", "relativistic")),
        Parameter("generator_optimiser.lr", _LR),
        Parameter("discriminator_optimiser.lr", _LR),
        # One momentum for both: the runs are too short to tell two apart.
        Parameter("beta1", choice(0.0, 0.5), path=("generator_optimiser.beta1", "discriminator_optimiser.beta1")),
        Parameter("batch_size", choice(16, 32, 64)),
    ),
    constants={
        "latent.name": "normal",
        "latent.dimension": 64,
        "penalty.name": "none",
        "generator_optimiser.name": "adam",
        "generator_optimiser.beta2": 0.999,
        "discriminator_optimiser.name": "adam",
        "discriminator_optimiser.beta2": 0.999,
        "n_critic": 1,
        "ema_kimg": 1.0,
    },
    baselines=(
        Baseline(
            "dcgan",
            "Radford et al. 2016, narrower and with batches of 32",
            {
                "model.name": "dcgan",
                "dcgan.width": 32,
                "normalisation": "batch",
                "loss": "nonsaturating",
                "generator_optimiser.lr": 2e-4,
                "discriminator_optimiser.lr": 2e-4,
                "beta1": 0.5,
                "batch_size": 32,
            },
        ),
        Baseline(
            "sagan",
            "two time scales of Heusel et al. 2017 as in Zhang et al. 2019 (hinge), on a narrow DCGAN",
            {
                "model.name": "dcgan",
                "dcgan.width": 32,
                "normalisation": "spectral",
                "loss": "hinge",
                "generator_optimiser.lr": 1e-4,
                "discriminator_optimiser.lr": 4e-4,
                "beta1": 0.0,
                "batch_size": 32,
            },
        ),
        Baseline(
            "sagan_fast",
            "measured for this space: sagan with rates for short runs; FID 16 after 36 kimg of Fashion-MNIST",
            {
                "model.name": "dcgan",
                "dcgan.width": 32,
                "normalisation": "spectral",
                "loss": "hinge",
                "generator_optimiser.lr": 1e-3,
                "discriminator_optimiser.lr": 2e-3,
                "beta1": 0.0,
                "batch_size": 16,
            },
        ),
        Baseline(
            "mlp",
            "fully connected as in Goodfellow et al. 2014, with the rates of Radford et al. 2016",
            {
                "model.name": "mlp",
                "mlp.width": 256,
                "normalisation": "none",
                "loss": "nonsaturating",
                "generator_optimiser.lr": 2e-4,
                "discriminator_optimiser.lr": 2e-4,
                "beta1": 0.5,
                "batch_size": 32,
            },
        ),
    ),
)
