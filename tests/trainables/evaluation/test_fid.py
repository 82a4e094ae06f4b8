import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trainables.errors import InvalidInput
from trainables.evaluation.fid import FeatureMoments, Reference, frechet_distance, symmetric_root


def gaussian(seed: int, dimension: int, count: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean and covariance of `count` correlated features; singular when count <= dimension."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    features = torch.randn(count, dimension, generator=generator, dtype=torch.float64) @ mixing * scale
    return features.mean(0), torch.cov(features.T).reshape(dimension, dimension)


dimensions = st.integers(1, 12)
seeds = st.integers(0, 10_000)


@pytest.mark.parametrize("dimension", [2, 16, 64])
def test_agrees_with_scipy_and_torchmetrics_on_well_conditioned_covariances(dimension: int) -> None:
    from scipy.linalg import sqrtm
    from torchmetrics.image.fid import _compute_fid

    (m1, s1), (m2, s2) = gaussian(1, dimension, 5000), gaussian(2, dimension, 5000, scale=0.7)
    # The form of the paper, with a general matrix root: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).
    root = np.real(sqrtm((s1 @ s2).numpy()))
    expected = float((m1 - m2).square().sum() + s1.trace() + s2.trace()) - 2 * float(np.trace(root))
    assert frechet_distance(m1, s1, m2, s2) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(m1, s1, m2, s2) == pytest.approx(float(_compute_fid(m1, s1, m2, s2)), rel=1e-6)


@given(st.floats(-5, 5), st.floats(0, 5), st.floats(-5, 5), st.floats(0, 5))
def test_in_one_dimension_it_is_the_difference_of_means_and_of_deviations(
    m1: float, sd1: float, m2: float, sd2: float
) -> None:
    def moments(mean: float, deviation: float) -> tuple[Tensor, Tensor]:
        return torch.tensor([mean]).double(), torch.tensor([[deviation**2]]).double()

    (a, v1), (b, v2) = moments(m1, sd1), moments(m2, sd2)
    mean_gap = float((a - b).square())
    expected = mean_gap + (math.sqrt(float(v1)) - math.sqrt(float(v2))) ** 2
    assert frechet_distance(a, v1, b, v2) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(seeds, dimensions)
def test_commuting_covariances_have_the_closed_form(seed: int, dimension: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(random).Q
    one, two = torch.rand(2, dimension, generator=generator, dtype=torch.float64) + 0.1
    zero = torch.zeros(dimension, dtype=torch.float64)
    # With one basis the roots subtract eigenvalue by eigenvalue: tr((S1^(1/2) - S2^(1/2))^2).
    expected = float((one.sqrt() - two.sqrt()).square().sum())
    s1, s2 = ((basis * values) @ basis.T for values in (one, two))
    assert frechet_distance(zero, s1, zero, s2) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(seeds, seeds, dimensions, st.integers(2, 30), st.integers(2, 30))
def test_symmetric_finite_and_never_negative_even_for_fewer_images_than_features(
    seed1: int, seed2: int, dimension: int, count1: int, count2: int
) -> None:
    (m1, s1), (m2, s2) = gaussian(seed1, dimension, count1), gaussian(seed2, dimension, count2)
    there, back = frechet_distance(m1, s1, m2, s2), frechet_distance(m2, s2, m1, s1)
    assert math.isfinite(there)
    assert there >= 0
    # On singular covariances the root of a rounding error of 1e-16 is 1e-8, per feature.
    assert there == pytest.approx(back, rel=1e-6, abs=1e-6 * float(s1.trace() + s2.trace()))


@given(seeds, dimensions, st.integers(2, 30))
def test_zero_on_identical_moments(seed: int, dimension: int, count: int) -> None:
    mean, covariance = gaussian(seed, dimension, count)
    assert frechet_distance(mean, covariance, mean, covariance) <= 1e-6 * float(covariance.trace())


def test_constant_features_are_as_far_as_their_mean_and_the_others_spread() -> None:
    mean, covariance = gaussian(3, 8, 500)
    constant = torch.zeros(8, 8, dtype=torch.float64)
    expected = float((mean - 2.0).square().sum() + covariance.trace())
    two = torch.full((8,), 2.0, dtype=torch.float64)
    assert frechet_distance(mean, covariance, two, constant) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(two, constant, two, constant) == 0.0


@given(seeds, dimensions)
def test_symmetric_root_squared_is_the_covariance(seed: int, dimension: int) -> None:
    _, covariance = gaussian(seed, dimension, 40)
    root = symmetric_root(covariance)
    torch.testing.assert_close(root @ root, covariance, rtol=1e-9, atol=1e-9)
    assert torch.equal(root, root.T)


good_mean, good_cov = torch.zeros(3).double(), torch.eye(3).double()


@pytest.mark.parametrize(
    ("mean2", "cov2", "said"),
    [
        (good_mean.float(), good_cov, "mean2 is torch.float32"),
        (good_mean, good_cov.float(), "cov2 is torch.float32"),
        (torch.zeros(4).double(), good_cov, "mean2 of shape"),
        (good_mean, torch.eye(4).double(), "cov2 of shape"),
        (good_mean, torch.zeros(9).double(), "cov2 of shape"),
        (good_mean * math.nan, good_cov, "mean2 is not finite"),
        (good_mean, good_cov + math.inf, "cov2 is not finite"),
    ],
)
def test_refuses_what_has_no_distance(mean2: Tensor, cov2: Tensor, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        frechet_distance(good_mean, good_cov, mean2, cov2)


@settings(deadline=None)
@given(seeds, st.lists(st.integers(0, 40), min_size=1, max_size=6), st.sampled_from([0.0, 1e3, -1e5]))
def test_streamed_moments_are_those_of_all_at_once(seed: int, batches: list[int], offset: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(n, 5, generator=generator) * 3 + offset for n in batches]
    features = torch.cat(parts).double().numpy()
    moments = FeatureMoments(5)
    for part in parts:
        moments.update(part)
    assert moments.count == len(features)
    if len(features) > 0:
        np.testing.assert_allclose(moments.mean.numpy(), features.mean(0), rtol=1e-12, atol=1e-9)
    if len(features) > 1:
        expected = np.cov(features, rowvar=False)
        np.testing.assert_allclose(moments.covariance.numpy(), expected, rtol=1e-9, atol=1e-9)
        assert torch.equal(moments.covariance, moments.covariance.T)


def test_moments_refuse_other_shapes_and_non_finite_features() -> None:
    moments = FeatureMoments(3)
    with pytest.raises(InvalidInput, match=r"\(2, 4\): must be N x 3"):
        moments.update(torch.zeros(2, 4))
    with pytest.raises(InvalidInput, match="not all finite"):
        moments.update(torch.tensor([[0.0, math.nan, 1.0]]))
    with pytest.raises(InvalidInput, match="mean of 0 features"):
        _ = moments.mean
    moments.update(torch.zeros(1, 3))
    with pytest.raises(InvalidInput, match="covariance of 1 features"):
        _ = moments.covariance


def test_a_reference_with_its_cached_root_gives_the_same_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake = FeatureMoments(6), FeatureMoments(6)
    real.update(torch.randn(300, 6, generator=generator))
    fake.update(torch.randn(200, 6, generator=generator) * 1.3 + 0.2)
    expected = frechet_distance(real.mean, real.covariance, fake.mean, fake.covariance)
    reference = Reference.of(real)
    assert reference.count == 300
    assert reference.distance(fake) == expected
    assert expected > 0.1
