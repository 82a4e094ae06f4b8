"""Convolutions as matrix products: equal to torch's layers, with all derivatives, whatever their knobs."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from trainables.gan.models.convolutions import Conv2d, ConvTranspose2d

KNOBS = st.fixed_dictionaries(
    {
        "kernel_size": st.integers(1, 5),
        "stride": st.integers(1, 3),
        "padding": st.integers(0, 2),
        "bias": st.booleans(),
    }
)


def derivatives(layer: nn.Module, x: Tensor) -> list[Tensor]:
    """The output, its derivatives by input and weights, and those of the input's gradient: what a penalty takes."""
    x = x.clone().requires_grad_()
    made = layer(x)
    weights = list(layer.parameters())
    of_x, *of_weights = torch.autograd.grad(made.square().sum(), [x, *weights], create_graph=True)
    again = torch.autograd.grad(of_x.square().sum(), [x, layer.weight])
    return [made, of_x, *of_weights, *again]


def check(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    theirs.load_state_dict(ours.state_dict())
    assert ours(x).shape == theirs(x).shape
    for one, other in zip(derivatives(ours, x), derivatives(theirs, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@settings(deadline=None)
@given(knobs=KNOBS, channels=st.integers(1, 5), size=st.integers(10, 13), seed=st.integers(0, 99))
def test_a_convolution_of_an_image_is_torchs(knobs: dict[str, Any], channels: int, size: int, seed: int) -> None:
    torch_generator = torch.Generator().manual_seed(seed)
    ours, theirs = (kind(channels, 7, **knobs).double() for kind in (Conv2d, nn.Conv2d))
    check(ours, theirs, torch.randn(2, channels, size, size + 1, generator=torch_generator, dtype=torch.float64))


@settings(deadline=None)
@given(knobs=KNOBS, channels=st.integers(1, 5), size=st.integers(6, 8), outer=st.integers(0, 1))
def test_a_transposed_convolution_to_an_image_is_torchs(
    knobs: dict[str, Any], channels: int, size: int, outer: int
) -> None:
    knobs = knobs | {"output_padding": min(outer, knobs["stride"] - 1)}
    ours, theirs = (kind(6, channels, **knobs).double() for kind in (ConvTranspose2d, nn.ConvTranspose2d))
    x = torch.randn(2, 6, size, size + 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    check(ours, theirs, x)


@pytest.mark.parametrize("needs_gradient", [False, True])
def test_an_image_is_convolved_to_the_same_numbers_with_a_gradient_and_without(needs_gradient: bool) -> None:
    layer = Conv2d(1, 8, 4, stride=2, padding=1)
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(1)).requires_grad_(needs_gradient)
    torch.testing.assert_close(layer(x), nn.Conv2d.forward(layer, x))


def test_an_image_made_under_autocast_is_added_up_in_float32() -> None:
    layer = ConvTranspose2d(8, 1, 4, stride=2, padding=1)
    x = torch.randn(3, 8, 7, 7, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(x)
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, layer(x), rtol=0.02, atol=0.02)
