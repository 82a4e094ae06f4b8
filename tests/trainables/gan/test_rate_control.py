import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from small_trials import example, global_randomness_untouched
from torch import Tensor

from trainables.gan.losses import LOSSES
from trainables.gan.rate_control import RATE_CONTROLS, FalsePositiveRate, RateControl

CPU = torch.device("cpu")

every_control = pytest.mark.parametrize(
    "control", [kind.model_validate(example(kind)) for kind in RATE_CONTROLS.values()], ids=RATE_CONTROLS.keys()
)


def logits(positive: int, of: int = 10, boundary: float = 0.0) -> Tensor:
    """`positive` logits above the boundary, one on it, the rest below."""
    return torch.tensor([boundary + 0.1] * positive + [boundary] + [boundary - 0.1] * (of - positive - 1))


# ------------------------------------------------------------------------------------- what all of them keep


@every_control
def test_starts_at_one_and_goes_on_from_its_saved_state(control: RateControl) -> None:
    straight, first = control.start(0.0, CPU), control.start(0.0, CPU)
    assert straight.multiplier == 1
    # 300 steps in which D is sure of every fake, then 400 in which it takes all for real.
    draws = [logits(0 if step < 300 else 9) for step in range(700)]
    multipliers = []
    with global_randomness_untouched():
        for step, fake in enumerate(draws):
            straight.observe(step, fake)
            multipliers.append(straight.multiplier)
            first.observe(step, fake)
            second = control.start(0.0, CPU)
            second.load_state_dict(first.state_dict())  # at every step
            first = second
            assert first.multiplier == straight.multiplier
    assert all(0 < m < float("inf") for m in multipliers)
    assert (len(set(multipliers)) > 1) == (control.name != "none")


# -------------------------------------------------------------------------------------------- false positives


def test_the_rate_follows_the_share_of_fakes_taken_for_real() -> None:
    control = FalsePositiveRate(window=2, low=0.2, high=0.4, factor=0.5, limit=3.0)
    controller = control.start(0.0, CPU)
    seen = []
    for step, positive in enumerate([0, 1, 2, 2, 4, 4, 3, 4, 9, 9, 9, 0, 9, 9, 9, 9, 0, 0, 0, 1]):
        controller.observe(step, logits(positive))
        seen.append(controller.multiplier)
    # Windows of 20 logits: 1, 4, 8, 7, 18, 9, 18, 18, 0, 1 of them positive, the band is 4 to 8.
    # 0.5; in the band; on its upper edge; in it; /0.5; /0.5; at most 3; at most 3; 1.5; 0.75
    ends = [0.5, 0.5, 0.5, 0.5, 1, 2, 3, 3, 1.5, 0.75]
    assert seen[1::2] == pytest.approx(ends)
    assert seen[::2] == pytest.approx([1, *ends[:-1]])  # within a window nothing changes


def test_a_logit_counts_above_the_losss_boundary() -> None:
    control = FalsePositiveRate(window=1, low=0.15, high=0.25, factor=0.5)
    for boundary in (0.0, 0.5):
        controller = control.start(boundary, CPU)
        controller.observe(0, logits(2, boundary=boundary))
        assert controller.multiplier == 1
        controller.observe(1, logits(1, boundary=boundary))
        assert controller.multiplier == 0.5


@given(
    shares=st.lists(st.floats(0, 1), max_size=50),
    factor=st.floats(0.01, 0.99),
    limit=st.floats(1.01, 1e6),
    band=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_the_multiplier_stays_bounded(shares: list[float], factor: float, limit: float, band: list[float]) -> None:
    control = FalsePositiveRate(low=band[0], high=band[1], factor=factor, limit=limit)
    multiplier = 1.0
    for share in shares:
        after = control.adjust(multiplier, share)
        assert 1 / limit <= after <= limit
        if share < band[0]:
            assert after <= multiplier
        elif share > band[1]:
            assert after >= multiplier
        else:
            assert after == multiplier
        multiplier = after


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"low 0\.6 is above high 0\.5; swap them"):
        FalsePositiveRate(low=0.6, high=0.5)


def test_the_boundary_of_a_loss_is_where_d_is_undecided() -> None:
    # There D's loss asks a shared logit of a real and of a generated image to move neither up nor down.
    for name, loss in LOSSES.items():
        if loss.boundary is not None:
            logit = torch.tensor([loss.boundary], dtype=torch.float64, requires_grad=True)
            loss.discriminator(logit, logit).backward()
            assert logit.grad is not None
            assert logit.grad.item() == pytest.approx(0, abs=1e-12), name
