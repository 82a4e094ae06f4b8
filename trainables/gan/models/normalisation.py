"""Normalisations of the discriminator. A new one is one row in `NORMALISATIONS`."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def _nothing_behind(features: int, image: bool) -> nn.Module:
    return nn.Identity()


def _unchanged(layer: nn.Module) -> nn.Module:
    return layer


def _batch(features: int, image: bool) -> nn.Module:
    """Ioffe & Szegedy 2015."""
    return nn.BatchNorm2d(features) if image else nn.BatchNorm1d(features)


def _layer(features: int, image: bool) -> nn.Module:
    """Ba et al. 2016, over channels and pixels with a gain per channel: GroupNorm of one group."""
    return nn.GroupNorm(1, features)


def _instance(features: int, image: bool) -> nn.Module:
    """Ulyanov et al. 2016; for images only, since a vector has nothing to average over."""
    return nn.InstanceNorm2d(features, affine=True)


@dataclass(frozen=True)
class Normalisation:
    """How a layer of D is wrapped, and what follows it (`behind(features, is_image)`)."""

    wrap: Callable[[nn.Module], nn.Module] = _unchanged
    behind: Callable[[int, bool], nn.Module] = _nothing_behind
    mixes_samples: bool = False
    reparametrises: bool = False
    cancels_bias: bool = False
    """What follows subtracts a mean per channel, so a bias before it would have no effect but noisy gradients."""


NORMALISATIONS: dict[str, Normalisation] = {
    "none": Normalisation(),
    "batch": Normalisation(behind=_batch, mixes_samples=True, cancels_bias=True),
    "layer": Normalisation(behind=_layer),
    "instance": Normalisation(behind=_instance, cancels_bias=True),
    # Miyato et al. 2018: every layer's weight divided by its largest singular value.
    "spectral": Normalisation(wrap=spectral_norm, reparametrises=True),
}
