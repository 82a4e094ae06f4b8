"""Adversarial losses: functions of the discriminator's logits on real (r) and generated (f) images.

Each row of `LOSSES` has what D minimises and what G minimises, both `(N,), (N,) -> scalar` means over the batch.
A new loss is two functions and one row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """What D and G minimise, given D's logits on real and on generated images, shape (N,) each."""

    discriminator: LossFunction
    generator: LossFunction
    generator_uses_real: bool = False


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Cross-entropy of D: -log D(x) - log(1 - D(G(z))). Goodfellow et al. 2014, eq. 1."""
    return softplus(-real).mean() + softplus(fake).mean()


def saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 - D(G(z))), the minimax game itself. Goodfellow et al. 2014, eq. 1."""
    return -softplus(fake).mean()


def nonsaturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(G(z)). Goodfellow et al. 2014, section 3."""
    return softplus(-fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares towards 1 for real and 0 for generated. Mao et al. 2017, eq. 9."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Least squares towards 1 for generated. Mao et al. 2017, eq. 9."""
    return (fake - 1).square().mean() / 2


def wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Negative difference of the critic's means. Arjovsky et al. 2017, algorithm 1."""
    return fake.mean() - real.mean()


def critic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """Negative mean score of the generated. Arjovsky et al. 2017, algorithm 1; Miyato et al. 2018, eq. 17."""
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


LOSSES: dict[str, Loss] = {
    "minimax": Loss(logistic_discriminator, saturating_generator),
    "nonsaturating": Loss(logistic_discriminator, nonsaturating_generator),
    "lsgan": Loss(least_squares_discriminator, least_squares_generator),
    "wasserstein": Loss(wasserstein_discriminator, critic_generator),
    "hinge": Loss(hinge_discriminator, critic_generator),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, generator_uses_real=True),
}
