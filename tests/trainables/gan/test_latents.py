import math

import pytest
import torch
from pydantic import ValidationError
from small_trials import example, global_randomness_untouched
from torch import Tensor

from trainables.gan.latents import (
    LATENTS,
    ClassConditionalLatent,
    Latent,
    NormalLatent,
    TruncatedNormalLatent,
    UniformLatent,
)

every_latent = pytest.mark.parametrize(
    "latent", [kind.model_validate(example(kind, dimension=12)) for kind in LATENTS.values()], ids=LATENTS.keys()
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn_of_class(latent: Latent, count: int, generator: torch.Generator, label: int = 3) -> Tensor:
    """A sample, of one class where that matters."""
    return latent.sample(count, generator, torch.full((count,), label) if latent.uses_labels else None)


@every_latent
def test_gives_finite_float32_of_its_dimension(latent: Latent) -> None:
    for count in (1, 7):
        drawn = drawn_of_class(latent, count, seeded())
        assert drawn.shape == (count, 12)
        assert drawn.dtype == torch.float32
        assert drawn.isfinite().all()
        assert not drawn.requires_grad


@every_latent
def test_draws_from_the_generator_it_is_given_and_from_nothing_else(latent: Latent) -> None:
    with global_randomness_untouched():
        generator = seeded(1)
        one, then = drawn_of_class(latent, 5, generator), drawn_of_class(latent, 5, generator)
        again, other = drawn_of_class(latent, 5, seeded(1)), drawn_of_class(latent, 5, seeded(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, then)
    assert not torch.equal(one, other)
    assert len(one.unique()) == one.numel()  # no number is drawn for two entries


@every_latent
def test_its_numbers_are_independent_and_centred_but_for_the_class(latent: Latent) -> None:
    n = 20_000
    drawn = drawn_of_class(latent, n, seeded()).double()
    deviation = drawn.std(0)
    centred = drawn.mean(0).abs() < 5 * deviation / n**0.5  # five standard errors
    assert [k for k in range(12) if not centred[k]] == ([3] if latent.uses_labels else [])
    correlation = torch.corrcoef(drawn.T) - torch.eye(12)
    assert correlation.abs().max() < 5 / n**0.5


@every_latent
def test_labels_matter_only_if_it_says_so(latent: Latent) -> None:
    one, other = (latent.sample(6, seeded(), torch.full((6,), label)) for label in (0, 7))
    assert torch.equal(one, other) != latent.uses_labels
    assert latent.check_classes(12) is None


@every_latent
def test_noise_is_added_on_top_and_drawn_after(latent: Latent) -> None:
    noisy = latent.model_copy(update={"noise_std": 0.7})
    plain, with_noise = (drawn_of_class(kind, 5000, seeded()) for kind in (latent, noisy))
    noise = (with_noise - plain).double() / 0.7
    n = noise.numel()
    assert noise.mean().item() == pytest.approx(0, abs=4 / n**0.5)
    assert noise.square().mean().item() == pytest.approx(1, abs=4 * (2 / n) ** 0.5)
    assert abs(torch.corrcoef(torch.stack([noise.flatten(), plain.double().flatten()]))[0, 1]) < 4 / n**0.5


def test_normal_has_the_moments_of_a_normal() -> None:
    drawn = NormalLatent(dimension=10).sample(10_000, seeded()).double()
    n = drawn.numel()
    # Var x^2 = 2 and Var x^4 = 105 - 9 = 96 for N(0, 1), whose second and fourth moments are 1 and 3.
    assert drawn.square().mean().item() == pytest.approx(1, abs=4 * (2 / n) ** 0.5)
    assert drawn.pow(4).mean().item() == pytest.approx(3, abs=4 * (96 / n) ** 0.5)


def test_uniform_fills_its_interval_evenly() -> None:
    drawn = UniformLatent(dimension=10).sample(10_000, seeded())
    assert -1 <= drawn.min() < -0.999
    assert 0.999 < drawn.max() < 1
    tenths = torch.histc(drawn, bins=10, min=-1, max=1)
    n, p = drawn.numel(), 0.1
    assert (tenths - n * p).abs().max() < 4 * (n * p * (1 - p)) ** 0.5  # four standard deviations of a bin


@pytest.mark.parametrize("bound", [0.01, 0.5, 2.0, 8.0])
def test_truncated_normal_is_a_normal_within_its_bound(bound: float) -> None:
    drawn = TruncatedNormalLatent(dimension=10, bound=bound).sample(20_000, seeded()).double().flatten()
    limit = torch.tensor(bound).item()  # in float32
    assert -limit <= drawn.min()
    assert drawn.max() <= limit
    # Its distribution function (P(z) - P(-bound)) / (P(bound) - P(-bound)), P by the error function, is uniform:
    # Kolmogorov's distance is below 1.95 / sqrt(n) but once in a thousand.
    inside = math.erf(bound / 2**0.5)
    expected = 0.5 + torch.erf(drawn.sort().values / 2**0.5) / (2 * inside)
    n = len(drawn)
    assert (expected - (torch.arange(n) + 0.5) / n).abs().max() < 1.95 / n**0.5


def test_classes_have_means_on_axes_of_their_own() -> None:
    labels = torch.arange(12).repeat(5000)
    drawn = ClassConditionalLatent(dimension=12, separation=4.0).sample(len(labels), seeded(), labels).double()
    means = torch.stack([drawn[labels == k].mean(0) for k in range(12)])
    assert (means - 4 * torch.eye(12)).abs().max() < 5 / 5000**0.5
    spread = torch.stack([drawn[labels == k].std(0) for k in range(12)])
    assert (spread - 1).abs().max() < 5 / (2 * 5000) ** 0.5


def test_more_classes_than_axes_or_no_labels_are_refused() -> None:
    latent = ClassConditionalLatent(dimension=12)
    with pytest.raises(ValueError, match=r"dimension 12: .* one per class, but the data has 13 classes; raise it"):
        latent.check_classes(13)
    with pytest.raises(ValueError, match="needs labels"):
        latent.sample(3, seeded())


@every_latent
@pytest.mark.parametrize("dimension", [0, -3, 5000, 1.5])
def test_refuses_a_dimension_out_of_range(latent: Latent, dimension: float) -> None:
    with pytest.raises(ValidationError, match="dimension"):
        type(latent).model_validate({"dimension": dimension})
