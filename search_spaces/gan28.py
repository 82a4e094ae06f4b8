"""`gan28`: the default space, every variant that there is for small images.

Which penalties fit depends on D's normalisation, so that is chosen first and the penalty then from one of
three lists: a penalty per sample forbids batch norm, and clipped weights have no effect under spectral norm.
"""

from search_spaces.distributions import choice, integer, real
from search_spaces.space import Baseline, Condition, Parameter, Space, Value

_DCGAN = (Condition("model.name", ("dcgan",)),)
_MLP = (Condition("model.name", ("mlp",)),)
_NORMALISATION = "normalisation"


def _optimiser(whose: str) -> tuple[Parameter, ...]:
    """Return an optimiser's axes; learning rates 10^U(-5, -2) as in Lucic et al. 2018."""
    adam = (Condition(f"{whose}.name", ("adam",)),)
    rmsprop = (Condition(f"{whose}.name", ("rmsprop",)),)
    return (
        Parameter(f"{whose}.name", choice("adam", "rmsprop")),
        Parameter(f"{whose}.lr", real(1e-5, 1e-2, log=True)),
        Parameter(f"{whose}.beta1", real(0.0, 0.9), adam),
        Parameter(f"{whose}.beta2", choice(0.9, 0.99, 0.999), adam),
        Parameter(f"{whose}.alpha", choice(0.9, 0.99), rmsprop),
    )


def _adam(lr: float, beta1: float, beta2: float, lr_of_d: float | None = None) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for whose, rate in (("generator_optimiser", lr), ("discriminator_optimiser", lr_of_d or lr)):
        params |= {
            f"{whose}.name": "adam",
            f"{whose}.lr": rate,
            f"{whose}.beta1": beta1,
            f"{whose}.beta2": beta2,
        }
    return params


def _rmsprop(lr: float) -> dict[str, Value]:
    params: dict[str, Value] = {}
    for whose in ("generator_optimiser", "discriminator_optimiser"):
        params |= {f"{whose}.name": "rmsprop", f"{whose}.lr": lr, f"{whose}.alpha": 0.99}
    return params


def _dcgan(normalisation: str) -> dict[str, Value]:
    """Return the DCGAN of all the baselines; their papers' own are deeper, for larger images."""
    return {
        "model.name": "dcgan",
        "dcgan.width": 64,
        "dcgan.normalisation": normalisation,
        "n_critic": 1,
        "latent.name": "normal",
        "latent.dimension": 128,
        "ema_kimg": 0.0,
        "batch_size": 64,
    }


GAN28 = Space(
    name="gan28",
    description="every loss, penalty, normalisation, latent and optimiser, MLP or DCGAN, for 28 x 28 images",
    parameters=(
        Parameter("model.name", choice("dcgan", "mlp")),
        Parameter("dcgan.width", integer(16, 128, step=16), _DCGAN, path="model.width"),
        Parameter("mlp.width", integer(64, 1024, step=64), _MLP, path="model.width"),
        Parameter("mlp.depth", integer(1, 4), _MLP, path="model.depth"),
        Parameter(
            "dcgan.normalisation",
            choice("none", "batch", "layer", "instance", "spectral"),
            _DCGAN,
            path=_NORMALISATION,
        ),
        Parameter("mlp.normalisation", choice("none", "batch", "layer", "spectral"), _MLP, path=_NORMALISATION),
        Parameter(
            "free.penalty",
            choice("none", "gradient_penalty", "weight_clip"),
            (Condition(_NORMALISATION, ("none", "layer", "instance")),),
            path="penalty.name",
        ),
        Parameter(
            "batch_norm.penalty",
            choice("none", "weight_clip"),
            (Condition(_NORMALISATION, ("batch",)),),
            path="penalty.name",
        ),
        Parameter(
            "spectral_norm.penalty",
            choice("none", "gradient_penalty"),
            (Condition(_NORMALISATION, ("spectral",)),),
            path="penalty.name",
        ),
        Parameter(
            "penalty.weight",
            real(0.1, 100.0, log=True),
            (Condition("penalty.name", ("gradient_penalty",)),),
        ),
        Parameter("penalty.limit", real(1e-3, 1.0, log=True), (Condition("penalty.name", ("weight_clip",)),)),
        Parameter("loss", choice("nonsaturating", "minimax", "lsgan", "wasserstein", "hinge", "relativistic")),
        *_optimiser("generator_optimiser"),
        *_optimiser("discriminator_optimiser"),
        Parameter("n_critic", integer(1, 5)),
        Parameter("latent.name", choice("normal", "uniform")),
        Parameter("latent.dimension", integer(16, 256, log=True)),
        Parameter("ema_kimg", choice(0.0, 1.0, 5.0, 20.0)),
        Parameter("batch_size", choice(32, 64, 128, 256)),
    ),
    baselines=(
        Baseline(
            "dcgan",
            "Radford et al. 2016, section 4",
            {
                **_dcgan("batch"),
                "batch_norm.penalty": "none",
                "loss": "nonsaturating",
                **_adam(2e-4, 0.5, 0.999),
                "latent.name": "uniform",
                "latent.dimension": 100,
                "batch_size": 128,
            },
        ),
        Baseline(
            "sngan",
            "Miyato et al. 2018, setting C (2e-4, 0.5, 0.999, n_critic 1) with the hinge loss",
            {
                **_dcgan("spectral"),
                "spectral_norm.penalty": "none",
                "loss": "hinge",
                **_adam(2e-4, 0.5, 0.999),
            },
        ),
        Baseline(
            "wgan_gp",
            "Gulrajani et al. 2017, algorithm 1 (1e-4, 0, 0.9, n_critic 5, weight 10), with layer norm",
            {
                **_dcgan("layer"),
                "free.penalty": "gradient_penalty",
                "penalty.weight": 10.0,
                "loss": "wasserstein",
                **_adam(1e-4, 0.0, 0.9),
                "n_critic": 5,
            },
        ),
        Baseline(
            "sagan",
            "two time scales of Heusel et al. 2017 as in Zhang et al. 2019 (1e-4, 4e-4, 0, 0.9, hinge)",
            {
                **_dcgan("spectral"),
                "spectral_norm.penalty": "none",
                "loss": "hinge",
                **_adam(1e-4, 0.0, 0.9, lr_of_d=4e-4),
                "batch_size": 256,
            },
        ),
        Baseline(
            "sngan_resnet",
            "Miyato et al. 2018, the ResNet's setting (2e-4, 0, 0.9, n_critic 5) on a DCGAN",
            {
                **_dcgan("spectral"),
                "spectral_norm.penalty": "none",
                "loss": "hinge",
                **_adam(2e-4, 0.0, 0.9),
                "n_critic": 5,
            },
        ),
        Baseline(
            "lsgan",
            "loss of Mao et al. 2017, eq. 9, with the rates of Radford et al. 2016",
            {
                **_dcgan("batch"),
                "batch_norm.penalty": "none",
                "loss": "lsgan",
                **_adam(2e-4, 0.5, 0.999),
                "latent.name": "uniform",
                "latent.dimension": 100,
            },
        ),
        Baseline(
            "relativistic",
            "RaSGAN of Jolicoeur-Martineau 2019 (2e-4, 0.5, 0.999, n_critic 1), spectral norm in D",
            {
                **_dcgan("spectral"),
                "spectral_norm.penalty": "none",
                "loss": "relativistic",
                **_adam(2e-4, 0.5, 0.999),
            },
        ),
        Baseline(
            "wgan",
            "Arjovsky et al. 2017, algorithm 1 (RMSprop 5e-5, clip 0.01, n_critic 5)",
            {
                **_dcgan("batch"),
                "batch_norm.penalty": "weight_clip",
                "penalty.limit": 0.01,
                "loss": "wasserstein",
                **_rmsprop(5e-5),
                "latent.dimension": 100,
                "n_critic": 5,
            },
        ),
    ),
)
