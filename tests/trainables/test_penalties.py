import copy

import pytest
import torch
from small_trials import example, global_randomness_untouched
from torch import Tensor, nn

from trainables.penalties import PENALTIES, GradientPenalty, Penalty, WeightClip

every_penalty = pytest.mark.parametrize(
    "penalty", [kind.model_validate(example(kind)) for kind in PENALTIES.values()], ids=PENALTIES.keys()
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, seed: int = 1, channels: int = 2, size: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=seeded(seed), dtype=torch.float64) * 2 - 1


def tiny(seed: int = 3) -> nn.Sequential:
    """A smooth network on 2 x 3 x 3 pixels, in float64."""
    with torch.random.fork_rng(devices=[]):
        net = nn.Sequential(nn.Flatten(), nn.Linear(18, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)).double()
    generator = seeded(seed)
    for parameter in net.parameters():
        nn.init.normal_(parameter, generator=generator)
    return net


def score(x: Tensor) -> Tensor:
    """A discriminator whose gradient is the image itself: half the sum of its squared pixels."""
    return x.square().flatten(1).sum(1) / 2


# ------------------------------------------------------------------------------------------ gradient penalty


def finite_difference_penalty(net: nn.Module, real: Tensor, fake: Tensor, weight: float) -> float:
    """The formula of the paper, with every derivative a central difference."""
    a = torch.rand(len(real), 1, 1, 1, generator=seeded(), dtype=torch.float64)
    between = real + a * (fake - real)
    h, total = 1e-6, 0.0
    with torch.no_grad():
        for x in between:
            pixels = torch.eye(x.numel(), dtype=torch.float64).reshape(-1, *x.shape)
            gradient = (net(x + h * pixels) - net(x - h * pixels)) / (2 * h)
            total += (gradient.square().sum().sqrt().item() - 1) ** 2
    return weight * total / len(real)


def test_gradient_penalty_is_the_formula_by_finite_differences() -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    expected = finite_difference_penalty(net, real, fake, weight=7.5)
    assert expected > 0.1
    assert GradientPenalty(weight=7.5).loss(net, real, fake, seeded()).item() == pytest.approx(expected, rel=1e-6)


def test_its_derivative_by_ds_weights_is_the_finite_difference_of_it() -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    penalty = GradientPenalty(weight=2.0)
    penalty.loss(net, real, fake, seeded()).backward()
    first = net[1].weight
    assert first.grad is not None
    for row, column in ((0, 0), (2, 7), (4, 17)):
        values = []
        for h in (1e-5, -1e-5):
            moved = copy.deepcopy(net)
            with torch.no_grad():
                moved[1].weight[row, column] += h
            values.append(penalty.loss(moved, real, fake, seeded()).item())
        assert first.grad[row, column].item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-8)


def test_the_norm_is_of_each_sample_over_all_its_pixels() -> None:
    # Where the gradient is the image: two images of norms 1 and 3 (over both channels), real and fake the same.
    x = torch.zeros(2, 2, 3, 3, dtype=torch.float64)
    x[0, 0, 0, 0], x[0, 1, 2, 2] = 0.6, 0.8
    x[1, 0, 1, 1], x[1, 1, 0, 2], x[1, 1, 2, 0] = 1.0, 2.0, 2.0
    by_sample = ((1 - 1) ** 2 + (3 - 1) ** 2) / 2
    over_the_batch = ((1 + 9) ** 0.5 - 1) ** 2
    found = GradientPenalty(weight=1.0).loss(score, x, x.clone(), seeded()).item()
    assert found == pytest.approx(by_sample, rel=1e-12)
    assert found != pytest.approx(over_the_batch, rel=0.1)


def test_it_looks_at_one_random_point_between_each_pair() -> None:
    seen: list[Tensor] = []

    def discriminator(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real, fake = torch.zeros(200, 2, 3, 3), torch.ones(200, 2, 3, 3)
    GradientPenalty(weight=1.0).loss(discriminator, real, fake, seeded())
    (points,) = seen  # with x = 0 and G(z) = 1, the point is a
    a = points[:, 0, 0, 0]
    assert torch.equal(points, a[:, None, None, None].expand_as(points))
    assert len(a.unique()) > 190
    assert 0 <= a.min() < 0.1
    assert 0.9 < a.max() <= 1
    assert a.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / 200) ** 0.5)


@pytest.mark.parametrize("weight", [0.5, 10.0])
def test_a_linear_discriminator_has_a_penalty_known_by_hand(weight: float) -> None:
    slope = torch.zeros(18, dtype=torch.float64)
    slope[2], slope[11] = 3, 4  # a norm of 5
    found = GradientPenalty(weight=weight).loss(lambda x: x.flatten(1) @ slope, images(3), images(3, 2), seeded())
    assert found.item() == pytest.approx(weight * 16, rel=1e-12)


def test_a_flat_discriminator_has_a_finite_gradient() -> None:
    net = tiny()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    penalty = GradientPenalty(weight=10.0).loss(net, images(3), images(3, 2), seeded())
    penalty.backward()
    assert penalty.item() == 10  # a norm of 0 is 1 away from 1
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_its_randomness_is_the_generators_that_it_is_given() -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    one, again, other = (GradientPenalty(weight=1.0).loss(net, real, fake, seeded(s)).item() for s in (0, 0, 1))
    assert one == again != other


# ------------------------------------------------------------------------------------------------ weight clip


def test_weight_clip_clips_every_parameter_and_moves_no_other() -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.GroupNorm(1, 3), nn.Flatten(), nn.LazyLinear(4), nn.Linear(4, 1)
    )
    net(torch.zeros(2, 2, 5, 5))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape))
    before = [p.detach().clone() for p in net.parameters()]
    assert WeightClip(limit=0.3).after_step(net) is None
    assert len(before) == 10
    for old, new in zip(before, net.parameters(), strict=True):
        assert new.abs().max().item() == pytest.approx(0.3)
        inside = old.abs() <= 0.3
        assert torch.equal(new[inside], old[inside])
        assert torch.equal(new[~inside], 0.3 * old[~inside].sign())


# -------------------------------------------------------------------------------------- what all penalties keep


@every_penalty
def test_is_a_finite_scalar_with_finite_gradients_or_nothing(penalty: Penalty) -> None:
    net = tiny()
    with global_randomness_untouched():
        value = penalty.loss(net, images(4), images(4, seed=2), seeded())
    if value is not None:
        assert value.shape == ()
        assert value.item() >= 0
        value.backward()
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        assert gradients
        assert all(g.isfinite().all() for g in gradients)


@every_penalty
def test_is_a_mean_over_the_batch(penalty: Penalty) -> None:
    # Of a linear discriminator the gradient is the same everywhere, whatever is drawn.
    slope = torch.linspace(-1, 1, 18, dtype=torch.float64)
    real, fake = images(3), images(3, seed=2)
    once = penalty.loss(lambda x: x.flatten(1) @ slope, real, fake, seeded())
    twice = penalty.loss(lambda x: x.flatten(1) @ slope, real.repeat(2, 1, 1, 1), fake.repeat(2, 1, 1, 1), seeded())
    assert (once is None) == (twice is None)
    if once is not None and twice is not None:
        assert twice.item() == pytest.approx(once.item(), rel=1e-9)


@every_penalty
def test_what_is_done_after_a_step_is_done_once_for_all(penalty: Penalty) -> None:
    net = tiny()
    penalty.after_step(net)
    once = [p.detach().clone() for p in net.parameters()]
    assert all(p.isfinite().all() for p in once)
    penalty.after_step(net)
    assert all(torch.equal(a, b) for a, b in zip(once, net.parameters(), strict=True))


@every_penalty
def test_changes_weights_only_if_it_says_so(penalty: Penalty) -> None:
    net = tiny()
    before = [p.detach().clone() for p in net.parameters()]
    penalty.after_step(net)
    changed = any(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert changed == penalty.limits_weights
