"""Published good settings, as far as a trial can express them; spaces use those in their ranges as baselines.

What a paper has and a space lacks (a deeper network, a schedule of the rate) is noted where the space uses it.
Numbers without a section are from the code that the authors published with the paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from search_spaces.parameter import Baseline
from search_spaces.space import Space
from trainables.data import SOURCES
from trainables.display import quoted
from trainables.gan.config import TrialConfig


@dataclass(frozen=True)
class Setting:
    """The source of a setting, and what it sets of a trial (fields of `TrialConfig`; the others are defaults)."""

    source: str
    trial: Mapping[str, Any]

    def on(self, model: Mapping[str, Any], note: str = "", **more: Any) -> "Setting":
        """Return it with an architecture and other fields, and `note` after the source."""
        return Setting(f"{self.source}{note}", {**self.trial, "model": model, **more})


def with_baselines(space: Space, **settings: Setting) -> Space:
    """Return `space` with `settings` as its baselines.

    Raises:
        InvalidInput: if one is not in the space.
    """
    return replace(space, baselines=tuple(_baseline(space, name, setting) for name, setting in settings.items()))


def _baseline(space: Space, name: str, setting: Setting) -> Baseline:
    given = {"data": {"name": next(iter(SOURCES))}, "seed": 0}
    config = TrialConfig.from_dict({**setting.trial, **given}, f"baseline {quoted(name)} of space {space.name}")
    return Baseline(name, setting.source, space.params_of(config))


def _optimisers(lr: float, lr_of_d: float | None = None, **knobs: Any) -> dict[str, Any]:
    return {
        f"{whose}_optimiser": {"lr": rate, **knobs}
        for whose, rate in (("generator", lr), ("discriminator", lr_of_d or lr))
    }


def _adam(lr: float, beta1: float, beta2: float, lr_of_d: float | None = None) -> dict[str, Any]:
    return _optimisers(lr, lr_of_d, name="adam", beta1=beta1, beta2=beta2)


_NORMAL = {"latent": {"name": "normal", "dimension": 128}, "batch_size": 64}
_UNIFORM = {"latent": {"name": "uniform", "dimension": 100}, "batch_size": 64}
_WGAN_GP = {"loss": "wasserstein", "penalty": {"name": "gradient_penalty", "weight": 10.0}, "n_critic": 5}
_SPECTRAL_HINGE = {**_NORMAL, "normalisation": "spectral", "loss": "hinge"}

DCGAN = Setting(
    "Radford et al. 2016, section 4",
    {**_UNIFORM, "normalisation": "batch", "loss": "nonsaturating", **_adam(2e-4, 0.5, 0.999), "batch_size": 128},
)
SNGAN = Setting(
    "Miyato et al. 2018, setting C (2e-4, 0.5, 0.999, n_critic 1) with the hinge loss",
    {**_SPECTRAL_HINGE, **_adam(2e-4, 0.5, 0.999)},
)
SNGAN_RESNET = Setting(
    "Miyato et al. 2018, the ResNet's setting (2e-4, 0, 0.9, n_critic 5)",
    {**_SPECTRAL_HINGE, **_adam(2e-4, 0.0, 0.9), "n_critic": 5},
)
WGAN_GP = Setting(
    "Gulrajani et al. 2017, algorithm 1 (1e-4, 0, 0.9, n_critic 5, weight 10)",
    {**_NORMAL, **_WGAN_GP, **_adam(1e-4, 0.0, 0.9)},
)
WGAN_GP_CIFAR = Setting(
    "Gulrajani et al. 2017, the CIFAR-10 ResNet (2e-4, 0, 0.9, n_critic 5, weight 10)",
    {**_NORMAL, **_WGAN_GP, **_adam(2e-4, 0.0, 0.9)},
)
WGAN = Setting(
    "Arjovsky et al. 2017, algorithm 1 (RMSprop 5e-5, clip 0.01, n_critic 5)",
    {
        "latent": {"name": "normal", "dimension": 100},
        "normalisation": "batch",
        "loss": "wasserstein",
        "penalty": {"name": "weight_clip", "limit": 0.01},
        **_optimisers(5e-5, name="rmsprop", alpha=0.99),
        "n_critic": 5,
        "batch_size": 64,
    },
)
SAGAN = Setting(
    "two time scales of Heusel et al. 2017 as in Zhang et al. 2019 (1e-4, 4e-4, 0, 0.9, hinge)",
    {**_SPECTRAL_HINGE, **_adam(1e-4, 0.0, 0.9, lr_of_d=4e-4), "batch_size": 256},
)
LSGAN = Setting(
    "loss of Mao et al. 2017, eq. 9, with the rates of Radford et al. 2016",
    {**_UNIFORM, "normalisation": "batch", "loss": "lsgan", **_adam(2e-4, 0.5, 0.999)},
)
RELATIVISTIC = Setting(
    "RaSGAN of Jolicoeur-Martineau 2019 (2e-4, 0.5, 0.999, n_critic 1), spectral norm in D",
    {**_NORMAL, "normalisation": "spectral", "loss": "relativistic", **_adam(2e-4, 0.5, 0.999)},
)
DRAGAN = Setting(
    "Kodali et al. 2017, their MNIST code (1e-4, 0.5, 0.9, n_critic 1, weight 10)",
    {
        **_UNIFORM,
        "loss": "nonsaturating",
        "penalty": {"name": "dragan", "weight": 10.0},
        **_adam(1e-4, 0.5, 0.9),
        "batch_size": 128,
    },
)
R1 = Setting(
    "Mescheder et al. 2018, their default (R1 weight 10, RMSprop 1e-4, 0.99)",
    {
        "latent": {"name": "normal", "dimension": 256},
        "loss": "nonsaturating",
        "penalty": {"name": "r1", "weight": 10.0},
        **_optimisers(1e-4, name="rmsprop", alpha=0.99),
        "batch_size": 64,
    },
)
COMPARE_GAN_SNDCGAN = Setting(
    "Kurach et al. 2019, their SNDCGAN for CelebA-HQ (2e-4, 0.5, 0.999, n_critic 1)",
    {**_NORMAL, "normalisation": "spectral", "loss": "nonsaturating", **_adam(2e-4, 0.5, 0.999)},
)
COMPARE_GAN_RESNET = Setting(
    "Kurach et al. 2019, their ResNet for CIFAR-10 (2e-4, 0.5, 0.999, n_critic 5)",
    {**_NORMAL, "normalisation": "spectral", "loss": "nonsaturating", **_adam(2e-4, 0.5, 0.999), "n_critic": 5},
)
PROJECTION = Setting(
    "Miyato & Koyama 2018 (2e-4, 0, 0.9, n_critic 5, hinge)",
    {**_SPECTRAL_HINGE, "conditioning": {"name": "projection"}, **_adam(2e-4, 0.0, 0.9), "n_critic": 5},
)
ACGAN = Setting(
    "Odena et al. 2017 (2e-4, 0.5, 0.999, dropout 0.5 in D)",
    {
        "latent": {"name": "normal", "dimension": 100},
        "normalisation": "batch",
        "conditioning": {"name": "acgan"},
        "loss": "nonsaturating",
        **_adam(2e-4, 0.5, 0.999),
        "batch_size": 128,
    },
)
WGAN_GP_ACGAN = Setting(
    "Gulrajani et al. 2017, the class-conditional CIFAR-10 ResNet (2e-4, 0, 0.9, n_critic 5, weight 10)",
    {
        **_NORMAL,
        **_WGAN_GP,
        "conditioning": {"name": "acgan", "fake_weight": 0.0, "generator_weight": 0.1},
        **_adam(2e-4, 0.0, 0.9),
    },
)
SAGAN_PROJECTION = Setting(
    "Zhang et al. 2019 (1e-4, 4e-4, 0, 0.9, hinge, projection)", {**SAGAN.trial, "conditioning": {"name": "projection"}}
)
