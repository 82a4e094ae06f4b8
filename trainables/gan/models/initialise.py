"""Sets a module's initial weights from an explicit generator, so that only the trial's seed decides them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

_WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)
_POWER_ITERATIONS = 15


@torch.no_grad()
def initialise(
    module: nn.Module,
    weight: Callable[[Tensor], Tensor],
    gain: Callable[[Tensor], Tensor] = nn.init.ones_,
) -> None:
    """Set the weights of all linear, convolution and embedding layers by `weight`, norms' gains by `gain`, biases to 0.

    Raises:
        TypeError: if a module with parameters is of an unknown kind (it would keep global randomness).
    """
    for layer in module.modules():
        if isinstance(layer, _WEIGHTED):
            weight(weight_of(layer))
        elif isinstance(layer, _NORMS):
            if layer.affine:
                gain(layer.weight)
        elif list(layer.parameters(recurse=False)) and not hasattr(layer, "original"):
            raise TypeError(f"no rule to initialise {type(layer).__name__}")
        if isinstance(bias := getattr(layer, "bias", None), Tensor):
            bias.zero_()


@torch.no_grad()
def settle_spectral_norm(module: nn.Module, rng: torch.Generator) -> None:
    """Restart the power iteration of every spectral norm in `module` from `rng` and run a few steps of it."""
    for layer in module.modules():
        if not is_parametrized(layer, "weight"):
            continue
        for vector in layer.parametrizations.weight.buffers():  # type: ignore[union-attr]
            vector.normal_(generator=rng)
            vector.div_(torch.linalg.vector_norm(vector))
        for _ in range(_POWER_ITERATIONS):
            layer.weight  # noqa: B018  each access in training mode is one power iteration


def weight_of(layer: nn.Module) -> Tensor:
    """Return the layer's weight as it is trained: under a spectral norm, the one before it is rescaled."""
    if is_parametrized(layer, "weight"):
        return layer.parametrizations.weight.original  # type: ignore[union-attr,return-value]
    return layer.weight  # type: ignore[return-value]
