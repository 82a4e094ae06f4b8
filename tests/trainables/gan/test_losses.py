import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trainables.gan.losses import LOSSES, Loss

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
logits = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=6).map(lambda x: torch.tensor(x).double())


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


# ------------------------------------------------------------------------------------------- numbers by hand
#
# With sp(x) = log(1 + e^x), logits that are logarithms give logarithms of fractions:
# r = (log 3, 0):      sp(-r) = log(1 + 1/3), log(1 + 1)
# f = (log 2, -log 4): sp(f)  = log(1 + 2), log(1 + 1/4);   sp(-f) = log(1 + 1/2), log(1 + 4)
_R, _F = (math.log(3), 0.0), (math.log(2), -math.log(4))
_LOGISTIC_D = (math.log(4 / 3) + math.log(2)) / 2 + (math.log(3) + math.log(5 / 4)) / 2

# For the others r = (2, -1) with mean 1/2, f = (1/2, -3) with mean -5/4.
_R2, _F2 = (2.0, -1.0), (0.5, -3.0)

# Relativistic: r = (log 9, 0) with mean log 3, f = (log 2, -log 2) with mean 0, so
# sp(-(r - mean f)) = log(1 + 1/9), log(1 + 1);  sp(f - mean r) = log(1 + 2/3), log(1 + 1/6)
# sp(-(f - mean r)) = log(1 + 3/2), log(1 + 6);  sp(r - mean f) = log(1 + 9), log(1 + 1)
_R3, _F3 = (math.log(9), 0.0), (math.log(2), -math.log(2))

BY_HAND = {
    "minimax": (_R, _F, _LOGISTIC_D, -(math.log(3) + math.log(5 / 4)) / 2),
    "nonsaturating": (_R, _F, _LOGISTIC_D, (math.log(3 / 2) + math.log(5)) / 2),
    "lsgan": (_R2, _F2, (1 + 4) / 2 / 2 + (0.25 + 9) / 2 / 2, (0.25 + 16) / 2 / 2),
    "wasserstein": (_R2, _F2, -1.25 - 0.5, 1.25),
    "hinge": (_R2, _F2, (0 + 2) / 2 + (1.5 + 0) / 2, 1.25),
    "relativistic": (
        _R3,
        _F3,
        (math.log(10 / 9) + math.log(2)) / 2 + (math.log(5 / 3) + math.log(7 / 6)) / 2,
        (math.log(5 / 2) + math.log(7)) / 2 + (math.log(10) + math.log(2)) / 2,
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_is_the_number_worked_out_by_hand(name: str) -> None:
    real, fake, discriminator, generator = BY_HAND[name]
    loss = LOSSES[name]
    assert loss.discriminator(tensor(*real), tensor(*fake)).item() == pytest.approx(discriminator, rel=1e-12)
    assert loss.generator(tensor(*real), tensor(*fake)).item() == pytest.approx(generator, rel=1e-12)


def slope(name: str, fake: float) -> float:
    """The gradient of G's loss by one logit."""
    logit = tensor(fake)
    LOSSES[name].generator(tensor(0.0), logit).backward()
    assert logit.grad is not None
    return logit.grad.item()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("fake", [-10.0, -1.0, 0.0, 1.0, 10.0])
def test_minimax_saturates_where_nonsaturating_does_not(fake: float) -> None:
    # d/df -sp(f) = -sigmoid(f), which vanishes where D is sure of a fake; d/df sp(-f) = -sigmoid(-f), which is -1.
    assert slope("minimax", fake) == pytest.approx(-sigmoid(fake), rel=1e-9)
    assert slope("nonsaturating", fake) == pytest.approx(-sigmoid(-fake), rel=1e-9)


def test_hinge_lets_go_of_what_is_beyond_its_margin() -> None:
    real, fake = tensor(1.5, 0.5), tensor(-1.5, -0.5)
    LOSSES["hinge"].discriminator(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.tolist() == [0, -0.5]  # over a batch of two
    assert fake.grad.tolist() == [0, 0.5]


@given(real=logits, fake=logits, shift=st.floats(-5, 5))
def test_relativistic_swaps_real_and_fake_and_sees_only_differences(real: Tensor, fake: Tensor, shift: float) -> None:
    loss = LOSSES["relativistic"]
    assert loss.generator(real, fake).item() == loss.discriminator(fake, real).item()
    shifted = loss.discriminator(real + shift, fake + shift).item()
    assert shifted == pytest.approx(loss.discriminator(real, fake).item(), rel=1e-9, abs=1e-9)


# ------------------------------------------------------------------------------------------------- smoothing
#
# With s = 1/4 the target of real images is 3/4. Cross-entropy, r and f as above with sp(x) = log(1 + e^x):
# 3/4 sp(-r) + 1/4 sp(r) = (3 log(4/3) + log 4) / 4 and log 2; the fakes' part as before.
# Least squares, r2 and f2: ((2 - 3/4)^2 + (-1 - 3/4)^2) / 2 / 2, the fakes' part as before.
_REAL_SMOOTHED = ((3 * math.log(4 / 3) + math.log(4)) / 4 + math.log(2)) / 2
_FAKE = (math.log(3) + math.log(5 / 4)) / 2

SMOOTHED_BY_HAND = {
    "minimax": (_R, _F, _REAL_SMOOTHED + _FAKE),
    "nonsaturating": (_R, _F, _REAL_SMOOTHED + _FAKE),
    "lsgan": (_R2, _F2, (1.25**2 + 1.75**2) / 2 / 2 + (0.25 + 9) / 2 / 2),
}


@pytest.mark.parametrize("name", SMOOTHED_BY_HAND)
def test_smoothing_lowers_the_target_of_real_images(name: str) -> None:
    real, fake, expected = SMOOTHED_BY_HAND[name]
    smoothed = LOSSES[name].smoothed
    assert smoothed is not None
    assert smoothed(tensor(*real), tensor(*fake), 0.25).item() == pytest.approx(expected, rel=1e-12)


def test_smoothing_is_for_losses_with_a_target() -> None:
    assert {name for name, loss in LOSSES.items() if loss.smoothed} >= set(SMOOTHED_BY_HAND)
    assert not any(LOSSES[name].smoothed for name in ("wasserstein", "hinge", "relativistic"))


# ----------------------------------------------------------------------------------------- what all losses keep


@every_loss
@given(real=logits, fake=logits)
def test_smoothing_is_one_sided_a_mean_over_the_batch_and_nothing_at_zero(
    loss: Loss, real: Tensor, fake: Tensor
) -> None:
    if loss.smoothed is None:
        return
    plain = loss.discriminator(real, fake).item()
    assert loss.smoothed(real, fake, 0.0).item() == pytest.approx(plain, rel=1e-9, abs=1e-9)
    # Smoothing adds the same whatever the generated images: their target stays 0.
    added = [loss.smoothed(real, x, 0.2).item() - loss.discriminator(real, x).item() for x in (fake, fake + 1)]
    assert added[0] == pytest.approx(added[1], rel=1e-6, abs=1e-6)
    twice = loss.smoothed(real.repeat(2), fake.repeat(2), 0.2).item()
    assert twice == pytest.approx(loss.smoothed(real, fake, 0.2).item(), rel=1e-9, abs=1e-9)


@every_loss
@given(real=logits, fake=logits)
def test_a_batch_twice_over_has_the_same_loss(loss: Loss, real: Tensor, fake: Tensor) -> None:
    for function in (loss.discriminator, loss.generator):
        once, twice = function(real, fake), function(real.repeat(2), fake.repeat(2))
        assert once.shape == ()
        assert twice.item() == pytest.approx(once.item(), rel=1e-9, abs=1e-9)


@every_loss
@pytest.mark.parametrize("size", [0.0, 1.0, 100.0, 1e4])
def test_large_logits_have_finite_losses_and_gradients_in_float32(loss: Loss, size: float) -> None:
    for function in (loss.discriminator, loss.generator):
        real = torch.tensor([size, -size, size, -size], requires_grad=True)
        fake = torch.tensor([size, -size, -size, size], requires_grad=True)
        value = function(real, fake)
        value.backward()
        found = [value, *(x.grad for x in (real, fake) if x.grad is not None)]
        assert all(x.isfinite().all() for x in found)


@every_loss
def test_only_those_that_say_so_rate_the_generator_beside_real_images(loss: Loss) -> None:
    fake = tensor(0.3, -0.7)
    one, other = (loss.generator(tensor(*real), fake).item() for real in ((0.1, 0.2), (3.0, -1.0)))
    assert (one != other) == loss.generator_uses_real
    if not loss.generator_uses_real:
        assert loss.generator(torch.empty(0), fake).item() == one  # what the trial hands over then


@every_loss
def test_a_step_of_d_parts_undecided_logits_and_one_of_g_raises_the_fakes(loss: Loss) -> None:
    real, fake = tensor(0.0, 0.0), tensor(0.0, 0.0)
    loss.discriminator(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (-real.grad + fake.grad).mean() > 0.1  # down the gradient: real up, fake down
    fake.grad = None
    loss.generator(real, fake).backward()
    assert (-fake.grad).min() > 0.1
