import pytest
import torch
from pydantic import ValidationError
from small_trials import example, global_randomness_untouched

from trainables.latents import LATENTS, Latent, NormalLatent, UniformLatent

every_latent = pytest.mark.parametrize(
    "latent", [kind.model_validate(example(kind, dimension=12)) for kind in LATENTS.values()], ids=LATENTS.keys()
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@every_latent
def test_gives_finite_float32_of_its_dimension(latent: Latent) -> None:
    for count in (1, 7):
        drawn = latent.sample(count, seeded())
        assert drawn.shape == (count, 12)
        assert drawn.dtype == torch.float32
        assert drawn.isfinite().all()
        assert not drawn.requires_grad


@every_latent
def test_draws_from_the_generator_it_is_given_and_from_nothing_else(latent: Latent) -> None:
    with global_randomness_untouched():
        generator = seeded(1)
        one, then = latent.sample(5, generator), latent.sample(5, generator)
        again, other = latent.sample(5, seeded(1)), latent.sample(5, seeded(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, then)
    assert not torch.equal(one, other)
    assert len(one.unique()) == one.numel()  # no number is drawn for two places


@every_latent
def test_is_centred_and_its_numbers_are_independent(latent: Latent) -> None:
    n = 20_000
    drawn = latent.sample(n, seeded()).double()
    deviation = drawn.std(0)
    assert (drawn.mean(0).abs() < 5 * deviation / n**0.5).all()  # five standard errors
    correlation = torch.corrcoef(drawn.T) - torch.eye(12)
    assert correlation.abs().max() < 5 / n**0.5


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


@every_latent
@pytest.mark.parametrize("dimension", [0, -3, 5000, 1.5])
def test_refuses_a_dimension_out_of_range(latent: Latent, dimension: float) -> None:
    with pytest.raises(ValidationError, match="dimension"):
        type(latent).model_validate({"dimension": dimension})
