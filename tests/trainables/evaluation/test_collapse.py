"""The flag on measured curves: each row is what a real trial on Fashion-MNIST reported, one kimg apart.

fid, density, recall, modes covered of 10; measured with 2,000 images, small DCGANs of width 16 and an MLP.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.evaluation.collapse import collapsed

Row = tuple[float, float, float, float]

HEALTHY: list[Row] = [  # hinge, spectral norm, Adam 1e-3 and 2e-3, batches of 16
    (93.60, 0.010, 0.000, 6),
    (54.39, 0.313, 0.004, 9),
    (53.84, 0.498, 0.011, 8),
    (63.05, 0.246, 0.005, 7),
    (46.04, 0.255, 0.052, 10),
    (49.40, 0.479, 0.049, 10),
    (45.13, 0.370, 0.041, 10),
]
HOT_AND_HEALTHY: list[Row] = [  # minimax at 2e-2: begins badly, does not collapse
    (154.64, 0.003, 0.000, 4),
    (96.57, 0.013, 0.005, 6),
    (50.06, 0.207, 0.020, 8),
    (53.61, 0.499, 0.023, 8),
    (48.68, 0.483, 0.072, 10),
    (44.83, 0.320, 0.040, 8),
]
SLOW: list[Row] = [  # rates of 2e-5: hardly trained in 10 kimg, and no worse than that
    (184.04, 0.000, 0.000, 1),
    (138.30, 0.000, 0.000, 3),
    (140.50, 0.000, 0.000, 3),
    (143.69, 0.000, 0.000, 3),
    (139.09, 0.000, 0.000, 3),
]
WAVERING: list[Row] = [  # Wasserstein without a penalty: up and down, and down in all
    (99.18, 0.016, 0.000, 4),
    (86.51, 0.053, 0.000, 5),
    (87.39, 0.097, 0.000, 4),
    (75.15, 0.177, 0.000, 6),
    (88.96, 0.061, 0.000, 4),
    (68.08, 0.273, 0.003, 6),
    (83.80, 0.260, 0.001, 5),
    (55.81, 0.382, 0.003, 8),
]
UNTRAINED_MLP: list[Row] = [(127.50, 0.061, 0.000, 2)]  # of precision 0.14
FELL: list[Row] = [  # non-saturating, G at 1e-2 with beta1 0.9: one image for every latent from 3 kimg on
    (98.51, 0.025, 0.002, 6),
    (89.33, 0.162, 0.000, 5),
    (139.70, 0.000, 0.000, 1),
    (139.85, 0.000, 0.000, 1),
    (139.89, 0.000, 0.000, 1),
]
SANK: list[Row] = [  # minimax, G at 3e-3 with beta1 0.9: one class from 2 kimg on, and ever further away
    (151.95, 0.000, 0.000, 3),
    (174.87, 0.011, 0.000, 1),
    (180.88, 0.000, 0.000, 1),
    (185.66, 0.000, 0.000, 1),
    (205.56, 0.000, 0.000, 1),
]


def flags(rows: list[Row]) -> list[bool]:
    found = []
    for i, (fid, density, recall, modes) in enumerate(rows):
        measured = {"fid": fid, "density": density, "recall": recall, "modes_covered": modes}
        found.append(collapsed(measured, min(row[0] for row in rows[: i + 1]), 10))
    return found


@pytest.mark.parametrize("rows", [HEALTHY, HOT_AND_HEALTHY, SLOW, WAVERING, UNTRAINED_MLP])
def test_healthy_and_merely_bad_generators_have_not_collapsed(rows: list[Row]) -> None:
    assert not any(flags(rows))


def test_generators_that_fell_have_collapsed_from_there_on() -> None:
    assert flags(FELL) == [False, False, True, True, True]
    assert flags(SANK) == [False, False, False, False, True]


@pytest.mark.parametrize(
    "measured",
    [
        {"fid": 108.4, "density": 1.01, "recall": 0.14, "modes_covered": 1},  # real images of one class
        {"fid": 56.75, "density": 0.98, "recall": 0.41, "modes_covered": 4},  # of three
        {"fid": 24.56, "density": 0.96, "recall": 0.0, "modes_covered": 10},  # one real image of each class
    ],
)
def test_good_images_without_variety_are_a_collapse_at_the_best_fid_too(measured: dict[str, float]) -> None:
    assert collapsed(measured, measured["fid"], 10)


def test_the_real_images_themselves_are_none() -> None:
    measured = {"fid": 0.06, "density": 1.02, "recall": 0.89, "modes_covered": 10}
    assert not collapsed(measured, 0.02, 10)
    assert not collapsed(measured | {"fid": 0.0}, 0.0, 10)


def test_recall_that_is_lost_is_a_collapse_where_the_fid_has_doubled() -> None:
    lost = {"fid": 90.0, "density": 0.3, "recall": 0.0, "modes_covered": 10}
    assert collapsed(lost, 45.0, 10)
    assert not collapsed(lost, 46.0, 10)
    assert not collapsed(lost | {"recall": 0.02}, 45.0, 10)


def test_a_digits_mlp_that_has_learnt_nothing_is_merely_bad() -> None:
    # 180 real images only: their balls are so large that noise has a density of 0.38 and this run 0.51 to 0.58.
    assert not any(flags([(197.48, 0.51, 0.04, 4), (194.71, 0.54, 0.03, 3), (178.98, 0.55, 0.07, 3)]))


@given(fid=st.floats(0, 1e6), best=st.floats(0, 1e6))
def test_of_the_fid_alone_nothing_follows(fid: float, best: float) -> None:
    assert not collapsed({"fid": fid}, min(fid, best), 10)
