import copy
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from small_trials import example, global_randomness_untouched
from torch import Tensor, nn

from trainables.gan.optimisers import OPTIMISERS, Adam, AdamW, Optimiser, RMSprop, Sgd

every_optimiser = pytest.mark.parametrize(
    "optimiser", [kind.model_validate(example(kind, lr=0.01)) for kind in OPTIMISERS.values()], ids=OPTIMISERS.keys()
)


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def path(optimiser: Optimiser, gradients: list[float]) -> list[float]:
    """How far each of these gradients moves a single weight."""
    weight = parameter(0.0)
    built = optimiser.build([weight])
    moves = []
    for gradient in gradients:
        before = weight.item()
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        built.step()
        moves.append(weight.item() - before)
    return moves


def bowl(weight: Tensor) -> Tensor:
    return (weight - torch.tensor([1.0, -2.0], dtype=weight.dtype)).square().sum()


def descend(weight: nn.Parameter, built: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        built.zero_grad()
        bowl(weight).backward()
        built.step()


# ------------------------------------------------------------------------------------------- numbers by hand


def test_adam_takes_the_steps_of_its_paper() -> None:
    # beta1 = 0.5, beta2 = 0.9, gradients 1 then -2:
    # m1 = 0.5, v1 = 0.1, both corrected to 1: a step of lr.
    # m2 = 0.25 - 1 = -0.75, over 1 - 0.25: -1.  v2 = 0.09 + 0.4 = 0.49, over 1 - 0.81: 0.49 / 0.19.
    moves = path(Adam(lr=0.1, beta1=0.5, beta2=0.9), [1.0, -2.0])
    assert moves == pytest.approx([-0.1, 0.1 / (0.49 / 0.19) ** 0.5], rel=1e-6)


def test_adams_defaults_are_those_of_dcgan() -> None:
    # beta1 = 0.5, beta2 = 0.999, gradients 1 then 0: m2 = 0.25 over 0.75; v2 = 0.000999 over 1 - 0.998001.
    moves = path(Adam(lr=0.1), [1.0, 0.0])
    assert moves == pytest.approx([-0.1, -0.1 * (1 / 3) / (0.000999 / 0.001999) ** 0.5], rel=1e-6)


def test_rmsprop_takes_the_steps_of_its_lecture() -> None:
    # alpha = 0.75, gradients 2 then 1: v1 = 0.25 * 4 = 1; v2 = 0.75 * 1 + 0.25 * 1 = 1.
    moves = path(RMSprop(lr=0.1, alpha=0.75), [2.0, 1.0])
    assert moves == pytest.approx([-0.2, -0.1], rel=1e-6)


def test_sgd_rolls_on_with_its_momentum() -> None:
    # momentum 0.5, gradients 2, 1, 0: v = 2, then 0.5 * 2 + 1 = 2, then 1.
    assert path(Sgd(lr=0.1, momentum=0.5), [2.0, 1.0, 0.0]) == pytest.approx([-0.2, -0.2, -0.1], rel=1e-12)
    assert path(Sgd(lr=0.1, momentum=0.0), [2.0, 1.0, 0.0]) == pytest.approx([-0.2, -0.1, 0], rel=1e-12)


def test_adamw_shrinks_weights_beside_the_steps_of_adam() -> None:
    # From w = 3: each step first takes lr * decay = 0.1 * 0.2 of the weight, then moves as Adam does.
    weight = nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    built = AdamW(lr=0.1, beta1=0.5, beta2=0.9, weight_decay=0.2).build([weight])
    expected, moves = 3.0, [-0.1, 0.1 / (0.49 / 0.19) ** 0.5]  # as in Adam's test above
    for gradient, move in zip([1.0, -2.0], moves, strict=True):
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        built.step()
        expected = expected * (1 - 0.02) + move
        assert weight.item() == pytest.approx(expected, rel=1e-6)


# ------------------------------------------------------------------------------------------------------ decay


@every_optimiser
@given(shown=st.integers(0, 10**7), kimg=st.integers(1, 5000))
def test_the_rate_falls_on_a_line_to_zero_and_stays_there(optimiser: Optimiser, shown: int, kimg: int) -> None:
    assert optimiser.decay_kimg == 0
    assert optimiser.rate(shown) == optimiser.lr
    decaying = optimiser.model_copy(update={"decay_kimg": kimg})
    assert decaying.rate(0) == optimiser.lr
    assert decaying.rate(500 * kimg) == pytest.approx(optimiser.lr / 2, rel=1e-12)
    expected = optimiser.lr * (1000 * kimg - shown) / (1000 * kimg) if shown < 1000 * kimg else 0
    assert decaying.rate(shown) == pytest.approx(expected, rel=1e-9, abs=1e-15)


# ------------------------------------------------------------------------------------ what all optimisers keep


@every_optimiser
def test_goes_downhill_without_global_randomness(optimiser: Optimiser) -> None:
    weight = parameter(0.0, 0.0)
    with global_randomness_untouched():
        descend(weight, optimiser.build([weight]), 50)
    assert bowl(weight) < 0.9 * 5  # from the origin it is 1 + 4


@every_optimiser
def test_a_larger_rate_moves_further(optimiser: Optimiser) -> None:
    slow, fast = path(optimiser, [1.0]), path(optimiser.model_copy(update={"lr": 0.05}), [1.0])
    assert slow[0] < 0
    assert fast[0] == pytest.approx(5 * slow[0], rel=1e-6)


@every_optimiser
def test_without_a_gradient_nothing_moves(optimiser: Optimiser) -> None:
    assert path(optimiser, [0.0, 0.0]) == [0.0, 0.0]


@every_optimiser
def test_goes_on_to_the_last_bit_from_its_saved_state(optimiser: Optimiser) -> None:
    weight, resumed = parameter(0.3, 0.4), parameter(0.0, 0.0)
    built, fresh = optimiser.build([weight]), optimiser.build([resumed])
    descend(weight, built, 5)
    fresh.load_state_dict(copy.deepcopy(built.state_dict()))
    with torch.no_grad():
        resumed.copy_(weight)
    descend(weight, built, 5)
    descend(resumed, fresh, 5)
    assert torch.equal(weight, resumed)


@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_steps_as_torchs_own_to_the_last_bit(name: str, kind: type[torch.optim.Optimizer]) -> None:
    ours, theirs = parameter(0.3, 0.4), parameter(0.3, 0.4)
    settings = {"lr": 0.01, "betas": (0.5, 0.999), "weight_decay": 0.01 * (name == "adamw"), "fused": True}
    torchs = kind([theirs], **settings)
    built = OPTIMISERS[name].model_validate({"name": name, "lr": 0.01}).build([ours])
    descend(ours, built, 5)
    descend(theirs, torchs, 5)
    assert torch.equal(ours, theirs)
    torchs.load_state_dict(copy.deepcopy(built.state_dict()))  # either's state is the other's


TRAINS = """
import sys, torch
from trainables.gan.optimisers import OPTIMISERS
for name, kind in OPTIMISERS.items():
    weight = torch.nn.Parameter(torch.ones(3))
    built = kind.model_validate({"name": name, "lr": 0.1}).build([weight])
    built.zero_grad()
    weight.square().sum().backward()
    built.step()
    built.load_state_dict(built.state_dict())
    assert (weight < 1).all() and weight.requires_grad
assert "torch._dynamo" not in sys.modules
"""


def test_no_optimiser_loads_torchs_compiler() -> None:
    subprocess.run([sys.executable, "-c", TRAINS], check=True)


@every_optimiser
@pytest.mark.parametrize("lr", [0.0, -1e-3, 11.0, float("nan"), float("inf")])
def test_refuses_a_rate_out_of_range(optimiser: Optimiser, lr: float) -> None:
    with pytest.raises(ValidationError, match="lr"):
        type(optimiser).model_validate({"lr": lr})
