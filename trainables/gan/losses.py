"""Adversarial losses: functions of the discriminator's logits on real (r) and generated (f) images.

Each row of `LOSSES` says what D minimises and what G minimises, both `(N,), (N,) -> scalar` means over the batch.
A new loss is two functions (or one, if it shares the other) and one row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.nn.functional import relu, softplus

LossFunction = Callable[[Tensor, Tensor], Tensor]
SmoothedLossFunction = Callable[[Tensor, Tensor, float], Tensor]


@dataclass(frozen=True)
class Loss:
    """What D and G minimise, given D's logits on real and on generated images, shape (N,) each.

    Attributes:
        discriminator: what D minimises.
        generator: what G minimises.
        generator_uses_real: G's loss reads the logits on real images.
        smoothed: what D minimises when the target of real images is 1 - s, for s the third argument (one-sided label
            smoothing, Salimans et al. 2016, section 3.4); None for losses that have no target.
        boundary: the logit above which D calls an image real; None where only differences of logits have a meaning.
    """

    discriminator: LossFunction
    generator: LossFunction
    generator_uses_real: bool = False
    smoothed: SmoothedLossFunction | None = None
    boundary: float | None = None


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of D: -log D(x) - log(1 - D(G(z))). Goodfellow et al. 2014, eq. 1."""
    return softplus(-real).mean() + softplus(fake).mean()


def smoothed_logistic_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of D with target 1 - smoothing for real: (1 - s) sp(-r) + s sp(r), and sp(r) = sp(-r) + r."""
    return logistic_discriminator(real, fake) + smoothing * real.mean()


def saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 - D(G(z))), the minimax game itself. Goodfellow et al. 2014, eq. 1."""
    return -softplus(fake).mean()


def nonsaturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(G(z)). Goodfellow et al. 2014, section 3."""
    return softplus(-fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares towards 1 for real and 0 for generated. Mao et al. 2017, eq. 9."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def smoothed_least_squares_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """Least squares with target 1 - smoothing for real."""
    return ((real - (1 - smoothing)).square().mean() + fake.square().mean()) / 2


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares towards 1 for generated. Mao et al. 2017, eq. 9."""
    return (fake - 1).square().mean() / 2


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Negative difference of the critic's means. Arjovsky et al. 2017, algorithm 1."""
    return fake.mean() - real.mean()


def critic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Negative mean score of generated images. Arjovsky et al. 2017, algorithm 1; Miyato et al. 2018, eq. 17."""
    return -fake.mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge at 1 for real and at -1 for generated. Lim & Ye 2017; Miyato et al. 2018, eq. 16."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Relativistic average: real above the mean of generated, generated below that of real.

    Jolicoeur-Martineau 2019, RaSGAN, eq. 7 and 8.
    """
    return softplus(-(real - fake.mean())).mean() + softplus(fake - real.mean()).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss with real and generated swapped. Jolicoeur-Martineau 2019, RaSGAN."""
    return relativistic_discriminator(fake, real)


_LOGISTIC = partial(Loss, logistic_discriminator, smoothed=smoothed_logistic_discriminator, boundary=0.0)

LOSSES: dict[str, Loss] = {
    "minimax": _LOGISTIC(saturating_generator),
    "nonsaturating": _LOGISTIC(nonsaturating_generator),
    "lsgan": Loss(
        least_squares_discriminator,
        least_squares_generator,
        smoothed=smoothed_least_squares_discriminator,
        boundary=0.5,  # half-way between the targets
    ),
    "wasserstein": Loss(wasserstein_discriminator, critic_generator),
    "hinge": Loss(hinge_discriminator, critic_generator, boundary=0.0),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, generator_uses_real=True),
}
