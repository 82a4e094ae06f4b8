import copy
from collections.abc import Callable

import pytest
import torch
from small_trials import example, global_randomness_untouched
from torch import Tensor, nn

from trainables.gan.penalties import (
    L2,
    PENALTIES,
    R1,
    R2,
    DiscriminatorStep,
    Dragan,
    GradientPenalty,
    Penalty,
    WeightClip,
)

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


def at(
    net: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator | None = None, step: int = 0
) -> DiscriminatorStep:
    """A step of a discriminator that uses no labels."""
    weights = list(net.parameters()) if isinstance(net, nn.Module) else [torch.ones(2, 2, dtype=torch.float64)]
    return DiscriminatorStep(lambda x, labels: net(x), weights, real, fake, rng or seeded(), step)


# ------------------------------------------------------------------------------------------ gradient penalty


def norms_by_differences(net: nn.Module, points: Tensor) -> list[float]:
    """The norm of the gradient at each point over all its pixels, with every derivative a central difference."""
    h, norms = 1e-6, []
    with torch.no_grad():
        for x in points:
            pixels = torch.eye(x.numel(), dtype=torch.float64).reshape(-1, *x.shape)
            gradient = (net(x + h * pixels) - net(x - h * pixels)) / (2 * h)
            norms.append(gradient.square().sum().sqrt().item())
    return norms


def finite_difference_penalty(net: nn.Module, real: Tensor, fake: Tensor, weight: float) -> float:
    """The formula of the paper."""
    a = torch.rand(len(real), 1, 1, 1, generator=seeded(), dtype=torch.float64)
    norms = norms_by_differences(net, real + a * (fake - real))
    return weight * sum((norm - 1) ** 2 for norm in norms) / len(norms)


def test_gradient_penalty_is_the_formula_by_finite_differences() -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    expected = finite_difference_penalty(net, real, fake, weight=7.5)
    assert expected > 0.1
    assert GradientPenalty(weight=7.5).loss(at(net, real, fake)).item() == pytest.approx(expected, rel=1e-6)


def test_the_norm_is_of_each_sample_over_all_its_pixels() -> None:
    # Where the gradient is the image: two images of norms 1 and 3 (over both channels), real and fake the same.
    x = torch.zeros(2, 2, 3, 3, dtype=torch.float64)
    x[0, 0, 0, 0], x[0, 1, 2, 2] = 0.6, 0.8
    x[1, 0, 1, 1], x[1, 1, 0, 2], x[1, 1, 2, 0] = 1.0, 2.0, 2.0
    by_sample = ((1 - 1) ** 2 + (3 - 1) ** 2) / 2
    over_the_batch = ((1 + 9) ** 0.5 - 1) ** 2
    found = GradientPenalty(weight=1.0).loss(at(score, x, x.clone())).item()
    assert found == pytest.approx(by_sample, rel=1e-12)
    assert found != pytest.approx(over_the_batch, rel=0.1)


def test_it_looks_at_one_random_point_between_each_pair() -> None:
    seen: list[Tensor] = []

    def discriminator(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real, fake = torch.zeros(200, 2, 3, 3), torch.ones(200, 2, 3, 3)
    GradientPenalty(weight=1.0).loss(at(discriminator, real, fake))
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
    found = GradientPenalty(weight=weight).loss(at(lambda x: x.flatten(1) @ slope, images(3), images(3, 2)))
    assert found.item() == pytest.approx(weight * 16, rel=1e-12)


def test_a_flat_discriminator_has_a_finite_gradient() -> None:
    net = tiny()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    penalty = GradientPenalty(weight=10.0).loss(at(net, images(3), images(3, 2)))
    penalty.backward()
    assert penalty.item() == 10  # a norm of 0 is 1 away from 1
    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


def test_its_randomness_is_the_generators_that_it_is_given() -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    one, again, other = (GradientPenalty(weight=1.0).loss(at(net, real, fake, seeded(s))).item() for s in (0, 0, 1))
    assert one == again != other


# ----------------------------------------------------------------------------------------------------- dragan


def test_dragan_is_the_formula_by_finite_differences() -> None:
    net, real = tiny(), images(4)
    u = torch.rand(real.shape, generator=seeded(), dtype=torch.float64)
    deviation = sum((x - real.mean().item()) ** 2 for x in real.flatten().tolist()) / real.numel()
    norms = norms_by_differences(net, real + 0.5 * deviation**0.5 * u)
    expected = 7.5 * sum((norm - 1) ** 2 for norm in norms) / 4
    assert expected > 0.1
    assert Dragan(weight=7.5).loss(at(net, real, images(4, seed=2))).item() == pytest.approx(expected, rel=1e-6)


def test_dragan_looks_around_real_images_with_noise_of_its_own_for_each_pixel() -> None:
    seen: list[Tensor] = []

    def discriminator(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real = torch.ones(200, 2, 3, 3)
    real[:100] = -1  # a standard deviation of 1 over the batch, of 0 in each image
    Dragan(weight=1.0).loss(at(discriminator, real, torch.full_like(real, 100)))
    (points,) = seen
    noise = points - real
    assert 0 <= noise.min() < 0.01
    assert 0.49 < noise.max() <= 0.5
    assert len(noise.unique()) > 0.99 * noise.numel()
    assert noise.double().mean().item() == pytest.approx(0.25, abs=4 * (0.25 / 12 / noise.numel()) ** 0.5)


# -------------------------------------------------------------------------------------------------- r1 and r2


def test_r1_and_r2_are_half_the_mean_square_norm_by_finite_differences() -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    for penalty, points in ((R1(weight=3.0), real), (R2(weight=3.0), fake)):
        expected = 3.0 / 2 * sum(norm**2 for norm in norms_by_differences(net, points)) / 4
        assert expected > 0.1
        value = penalty.loss(at(net, real, fake))
        assert value is not None
        assert value.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", [R1, R2])
def test_lazy_penalties_come_at_every_interval_th_step_and_weigh_as_much_in_all(kind: type[R1] | type[R2]) -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    lazy, always = kind(weight=2.0, interval=4), kind(weight=2.0)
    values = [lazy.loss(at(net, real, fake, step=step)) for step in range(12)]
    assert [step for step, value in enumerate(values) if value is not None] == [0, 4, 8]
    total = sum(value.item() for value in values if value is not None)
    each = [always.loss(at(net, real, fake, step=step)) for step in range(12)]
    assert total == pytest.approx(sum(value.item() for value in each if value is not None), rel=1e-12)


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (GradientPenalty(weight=1.0), "real"),
        (Dragan(weight=1.0), "real"),
        (R1(weight=1.0), "real"),
        (R2(weight=1.0), "fake"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_conditional_discriminator_is_given_the_labels_of_the_images_it_sees(penalty: Penalty, expected: str) -> None:
    labels = {"real": torch.tensor([1, 2, 3, 4]), "fake": torch.tensor([5, 6, 7, 8])}
    seen: list[Tensor | None] = []

    def discriminator(x: Tensor, given: Tensor | None) -> Tensor:
        seen.append(given)
        return x.flatten(1).sum(1)

    penalty.loss(
        DiscriminatorStep(discriminator, [], images(4), images(4, 2), seeded(), 0, labels["real"], labels["fake"])
    )
    assert len(seen) == 1
    assert seen[0] is labels[expected]


# --------------------------------------------------------------------------------------------------------- l2


def test_l2_is_half_the_mean_over_layers_of_the_squared_weights() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Flatten(), nn.Linear(2, 1))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(7.0)  # gains and biases too, which do not count
        net[0].weight.fill_(2.0)  # 18 weights
        net[3].weight.copy_(torch.tensor([[3.0, 4.0]]))
    value = L2(weight=0.1).loss(at(net, images(2), images(2)))
    assert value.item() == pytest.approx(0.1 * (18 * 4 / 2 + 25 / 2) / 2, rel=1e-6)


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
        value = penalty.loss(at(net, images(4), images(4, seed=2)))
    if value is not None:
        assert value.shape == ()
        assert value.item() >= 0
        value.backward()
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        assert gradients
        assert all(g.isfinite().all() for g in gradients)


@every_penalty
def test_its_derivative_by_ds_weights_is_the_finite_difference_of_it(penalty: Penalty) -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    heavy = penalty.model_copy(update={"weight": 2.0})
    value = heavy.loss(at(net, real, fake))
    if value is None:
        return
    value.backward()
    first = net[1].weight
    assert first.grad is not None
    for row, column in ((0, 0), (2, 7), (4, 17)):
        moves = []
        for h in (1e-5, -1e-5):
            moved = copy.deepcopy(net)
            with torch.no_grad():
                moved[1].weight[row, column] += h
            there = heavy.loss(at(moved, real, fake))
            assert there is not None
            moves.append(there.item())
        assert first.grad[row, column].item() == pytest.approx((moves[0] - moves[1]) / 2e-5, rel=1e-4, abs=1e-8)


@every_penalty
def test_leaves_the_images_and_the_weights_it_is_given_alone(penalty: Penalty) -> None:
    net, real, fake = tiny(), images(4), images(4, seed=2)
    before = [x.clone() for x in (real, fake, *net.parameters())]
    penalty.loss(at(net, real, fake))
    assert all(torch.equal(a, b) for a, b in zip(before, (real, fake, *net.parameters()), strict=True))
    assert not real.requires_grad
    assert not fake.requires_grad


@every_penalty
def test_is_a_mean_over_the_batch(penalty: Penalty) -> None:
    # Of a linear discriminator the gradient is the same everywhere, whatever is drawn.
    slope = torch.linspace(-1, 1, 18, dtype=torch.float64)
    real, fake = images(3), images(3, seed=2)
    once = penalty.loss(at(lambda x: x.flatten(1) @ slope, real, fake))
    twice = penalty.loss(at(lambda x: x.flatten(1) @ slope, real.repeat(2, 1, 1, 1), fake.repeat(2, 1, 1, 1)))
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
def test_changes_weights_after_a_step_only_if_it_says_that_it_limits_them(penalty: Penalty) -> None:
    net = tiny()
    before = [p.detach().clone() for p in net.parameters()]
    penalty.after_step(net)
    changed = any(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert penalty.limits_weights or not changed
