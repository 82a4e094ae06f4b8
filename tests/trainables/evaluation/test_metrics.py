"""Every row of METRICS keeps the promises of a metric; each number against a reference of its own."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from small_trials import global_randomness_untouched
from torch import Tensor

from trainables.evaluation.config import Evaluation
from trainables.evaluation.metrics import METRICS, Looks, prdc
from trainables.evaluation.metrics.kid import unbiased_mmd

CLASSES, DIMENSION, COUNT = 5, 8, 200

WHOLE = Evaluation(kid_subsets=1, kid_subset_size=COUNT, prdc_images=COUNT)
"""Every image in every number, so that no choice of images enters."""

IDEAL = {
    "kid": 0.0,
    "kid_std": 0.0,
    "precision": 1.0,
    "recall": 1.0,
    "density": 1.0,
    "coverage": 1.0,
    "modes_covered": CLASSES,
    "class_kl": 0.0,
    "inception_score": CLASSES,
}
"""Of the data itself. A further row of METRICS needs its keys here."""


def looks(seed: int = 0, count: int = COUNT, classes: int = CLASSES, spread: float = 1.0) -> Looks:
    """Features in `classes` clusters far apart; the logits say clearly which."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = 10 * torch.eye(CLASSES, DIMENSION)
    features = centres[labels] + spread * torch.randn(count, DIMENSION, generator=generator)
    return Looks(features, 100 * torch.nn.functional.one_hot(labels, CLASSES).float())


def noise(seed: int = 1) -> Looks:
    """What noise looks like to a classifier: far from all data, and all the same."""
    generator = torch.Generator().manual_seed(seed)
    features = 40 + torch.randn(COUNT, DIMENSION, generator=generator)
    logits = torch.randn(COUNT, CLASSES, generator=generator) * 0.1
    logits[:, 2] += 3
    return Looks(features, logits)


def measure(name: str, real: Looks, fake: Looks, knobs: Evaluation = WHOLE) -> dict[str, float]:
    return METRICS[name](real, knobs)(fake)


def permuted(x: Looks, seed: int) -> Looks:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    return Looks(x.features[order], x.logits[order])


# ------------------------------------------------------------------------------------------- what every row promises


@pytest.mark.parametrize("name", METRICS)
def test_gives_its_keys_finite_and_leaves_everything_alone(name: str) -> None:
    real, fake = looks(0), looks(1, count=150)
    copies = [x.clone() for x in (real.features, real.logits, fake.features, fake.logits)]
    with global_randomness_untouched():
        metric = METRICS[name](real, Evaluation())
        found = metric(fake)
        assert metric(fake) == found == METRICS[name](real, Evaluation())(fake)
    assert tuple(found) == METRICS[name].keys
    assert all(type(value) is float and math.isfinite(value) for value in found.values())
    for copy, now in zip(copies, (real.features, real.logits, fake.features, fake.logits), strict=True):
        assert torch.equal(copy, now)


def test_no_two_rows_share_a_key() -> None:
    keys = ["fid", *(key for metric in METRICS.values() for key in metric.keys)]
    assert len(set(keys)) == len(keys)
    assert set(keys) - {"fid"} == set(IDEAL)
    assert tuple(keys) == Evaluation(metrics=tuple(METRICS)).keys


@pytest.mark.parametrize("name", METRICS)
def test_a_set_against_itself_is_ideal(name: str) -> None:
    real = looks()
    found = measure(name, real, real)
    if name == "kid":  # the unbiased estimate leaves out an image's kernel with itself on one side only
        assert found["kid"] <= 0
        return
    # Density: each image is in its own ball and in those of the reals that have it among their five nearest.
    expected = {key: IDEAL[key] for key in found} | ({"density": 1.2} if "density" in found else {})
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_fresh_images_of_the_same_kind_are_nearly_ideal_and_noise_is_bad(name: str) -> None:
    real = looks(0)
    fresh, bad = measure(name, real, looks(1)), measure(name, real, noise())
    for key in fresh.keys() - {"kid_std"}:
        assert abs(fresh[key] - IDEAL[key]) < 0.3 * abs(bad[key] - IDEAL[key]), key
    if name == "inception_score":
        assert bad["inception_score"] < 1.05


@pytest.mark.parametrize("name", METRICS)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 100))
def test_the_order_of_the_images_does_not_matter(name: str, seed: int) -> None:
    real, fake = looks(0, spread=3), looks(2, spread=4)
    expected = measure(name, real, fake)
    if name == "kid":  # its subsets are drawn by position: the same up to their deviation
        expected = measure(name, real, fake, Evaluation())
        again = measure(name, permuted(real, seed), permuted(fake, seed + 1), Evaluation())
        assert abs(again["kid"] - expected["kid"]) < 4 * max(again["kid_std"], expected["kid_std"])
        assert 0 < again["kid_std"] < 4 * expected["kid_std"]
        return
    assert measure(name, permuted(real, seed), permuted(fake, seed + 1)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_knobs_are_of_the_evaluation_and_change_the_numbers(name: str) -> None:
    real, fake = looks(0, spread=3), looks(2, spread=4)
    usual = measure(name, real, fake, Evaluation())
    for knob in METRICS[name].knobs:
        changed = Evaluation.model_validate({knob: 50})
        assert measure(name, real, fake, changed) != usual
        assert Evaluation(metrics=(name,), **{knob: 50}).unusual_knobs == {knob: 50}  # type: ignore[arg-type]
    assert Evaluation(metrics=(name,)).unusual_knobs == {}


def test_knobs_of_metrics_that_are_not_asked_for_make_no_difference() -> None:
    assert Evaluation(metrics=("modes",), kid_subsets=50, prdc_images=50).unusual_knobs == {}


def test_metrics_are_named_once_each_and_known() -> None:
    for wrong in (("kid", "kid"), ("sharpness",), ("fid",)):
        with pytest.raises(ValidationError):
            Evaluation(metrics=wrong)
    assert Evaluation(metrics=()).keys == ("fid",)


# --------------------------------------------------------------------------------- against torch-fidelity and papers


def test_kid_is_torch_fidelitys() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, fake = looks(0, count=90, spread=3), looks(2, count=70, spread=4)
    knobs = Evaluation(kid_subsets=11, kid_subset_size=40)
    expected = kid_features_to_metric(fake.features, real.features, kid_subsets=11, kid_subset_size=40, verbose=False)
    assert measure("kid", real, fake, knobs) == pytest.approx(
        {
            "kid": expected["kernel_inception_distance_mean"],
            "kid_std": expected["kernel_inception_distance_std"],
        },
        rel=1e-4,
    )


def test_kid_is_its_definition_and_unbiased() -> None:
    def naive(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
        def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
            return float((a @ b / len(a) + 1) ** 3)

        n = len(x)
        within = sum(kernel(z[i], z[j]) for z in (x, y) for i in range(n) for j in range(n) if i != j)
        between = sum(kernel(a, b) for a in x for b in y)
        return within / (n * (n - 1)) - 2 * between / n**2

    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 12, 3, generator=generator)
    assert unbiased_mmd(x, y) == pytest.approx(naive(x.double().numpy(), y.double().numpy()), rel=1e-4)
    draws = torch.randn(4000, 2, 10, 3, generator=generator)
    values = torch.tensor([unbiased_mmd(a, b) for a, b in draws])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))


@pytest.mark.parametrize("spread", [0.5, 2.0, 5.0])
def test_precision_and_recall_are_torch_fidelitys(spread: float) -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = looks(0, count=120, spread=2), looks(3, count=90, classes=3, spread=spread)
    expected = prc_features_to_metric(fake.features, real.features, prc_neighborhood=3, verbose=False)
    found = measure("prdc", real, fake)
    assert (found["precision"], found["recall"]) == pytest.approx((expected["precision"], expected["recall"]))
    assert spread != 2.0 or 0 < found["recall"] < found["precision"] < 1


def prdc_by_hand(real: Tensor, fake: Tensor) -> dict[str, float]:
    """Naeem et al. 2020, eq. 3 and 4, and Kynkäänniemi et al. 2019, eq. 1, one image at a time."""
    x, y = real.double().numpy(), fake.double().numpy()

    def radius(points: NDArray[np.float64], i: int, k: int) -> float:
        return sorted(float(np.linalg.norm(points[i] - p)) for j, p in enumerate(points) if j != i)[k - 1]

    def inside(point: NDArray[np.float64], points: NDArray[np.float64], radii: list[float]) -> list[bool]:
        return [float(np.linalg.norm(point - p)) <= r for p, r in zip(points, radii, strict=True)]

    x3, x5 = ([radius(x, i, k) for i in range(len(x))] for k in (3, 5))
    y3 = [radius(y, i, 3) for i in range(len(y))]
    in_balls = [inside(point, x, x5) for point in y]
    return {
        "precision": float(np.mean([any(inside(point, x, x3)) for point in y])),
        "recall": float(np.mean([any(inside(point, y, y3)) for point in x])),
        "density": sum(map(sum, in_balls)) / (5 * len(y)),
        "coverage": float(np.mean([any(column) for column in zip(*in_balls, strict=True)])),
    }


@pytest.mark.parametrize("spread", [0.5, 2.0, 5.0])
def test_the_four_are_those_counted_by_hand(spread: float) -> None:
    real, fake = looks(0, count=60, spread=2), looks(3, count=40, classes=4, spread=spread)
    assert measure("prdc", real, fake) == pytest.approx(prdc_by_hand(real.features, fake.features))


@pytest.mark.parametrize("neighbours", [1, 3])
def test_a_real_image_is_on_the_edge_of_its_neighbours_ball(monkeypatch: pytest.MonkeyPatch, neighbours: int) -> None:
    """A ball holds its centre and its k neighbours: an image lies in k + 1 balls on average."""
    monkeypatch.setattr(prdc, "DENSITY_NEIGHBOURS", neighbours)
    normal = torch.randn(200, 64, generator=torch.Generator().manual_seed(0))
    real = Looks(normal, torch.zeros(200, 1))
    assert measure("prdc", real, real)["density"] == pytest.approx((neighbours + 1) / neighbours, abs=1e-12)


def test_features_far_from_zero_lose_no_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    near_real, near_fake = (0.05 * torch.randn(200, 64, generator=generator) for _ in range(2))
    real, fake = (Looks(100 + near, torch.zeros(200, 1)) for near in (near_real, near_fake))
    assert measure("prdc", real, fake) == pytest.approx(prdc_by_hand(real.features, fake.features), abs=1e-12)
    x, y = real.features.double(), fake.features.double()
    within, between = ((z @ z.T / 64 + 1) ** 3 for z in (x, y)), (y @ x.T / 64 + 1) ** 3
    expected = sum((k.sum() - k.trace()) / (200 * 199) for k in within) - 2 * between.mean()
    assert unbiased_mmd(fake.features, real.features) == pytest.approx(float(expected), rel=1e-3)


def test_of_many_images_the_first_generated_and_an_even_spread_of_the_reals_count() -> None:
    real, fake = looks(0, count=100, spread=2), looks(3, count=80, spread=3)
    found = measure("prdc", real, fake, Evaluation(prdc_images=40))
    chosen = np.round(np.linspace(0, 99, 40)).astype(int)
    assert (chosen[0], chosen[-1]) == (0, 99)
    assert found == pytest.approx(prdc_by_hand(real.features[chosen], fake.features[:40]))


def test_a_single_image_again_and_again_has_precision_and_no_recall() -> None:
    real = looks(0)
    fake = Looks(real.features[:1].repeat(COUNT, 1), real.logits[:1].repeat(COUNT, 1))
    found = measure("prdc", real, fake) | measure("modes", real, fake)
    assert found["precision"] == 1
    assert found["recall"] <= 1 / COUNT
    assert found["coverage"] < 0.1
    assert found["modes_covered"] == 1


def with_counts(*counts: int) -> Looks:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return Looks(torch.zeros(len(labels), 1), torch.nn.functional.one_hot(labels, len(counts)).float())


def test_a_class_counts_from_a_tenth_of_its_share_on() -> None:
    real = with_counts(100, 100, 200, 0)
    for counts, covered in (
        ((100, 100, 200, 0), 3),
        ((190, 10, 200, 0), 3),  # 10 of an expected 100
        ((191, 9, 200, 0), 2),
        ((0, 381, 19, 0), 1),  # 19 of an expected 200
        ((20, 0, 0, 380), 1),  # a class that no real image is of covers nothing
        ((1, 1, 2, 0), 3),  # at least one image, where a tenth is less
        ((2, 0, 2, 0), 2),
    ):
        assert measure("modes", real, with_counts(*counts))["modes_covered"] == covered


def test_the_divergence_of_classes_is_its_formula_and_finite_without_a_class() -> None:
    real, fake = with_counts(10, 20, 70), with_counts(50, 50, 0)
    p, q = np.array([50.5, 50.5, 0.5]) / 101.5, np.array([10.5, 20.5, 70.5]) / 101.5
    expected = float((p * np.log(p / q)).sum())
    assert measure("modes", real, fake)["class_kl"] == pytest.approx(expected)
    # One of ten equal classes dropped: close to log(10/9).
    dropped = measure("modes", with_counts(*[1000] * 10), with_counts(*[1000] * 9, 0))["class_kl"]
    assert dropped == pytest.approx(math.log(10 / 9), abs=0.005)


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(0, 50), seed=st.integers(0, 50))
def test_the_inception_score_is_torch_fidelitys_and_within_its_bounds(scale: float, seed: int) -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = scale * torch.randn(60, CLASSES, generator=torch.Generator().manual_seed(seed))
    fake = Looks(torch.zeros(60, 1), logits)
    found = measure("inception_score", fake, fake)["inception_score"]
    expected = isc_features_to_metric(logits, splits=1, shuffle=False)["inception_score_mean"]
    assert found == pytest.approx(expected, rel=1e-9)
    assert 1 - 1e-9 <= found <= CLASSES + 1e-9


def test_a_class_that_cannot_be_leaves_the_score_finite() -> None:
    logits = torch.tensor([[0.0, -5000.0], [0.0, -5000.0]])  # exp(-5000) is 0 in float64
    fake = Looks(torch.zeros(2, 1), logits)
    assert measure("inception_score", fake, fake)["inception_score"] == 1
