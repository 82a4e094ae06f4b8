import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from study.study_file.schedule import Schedule


@pytest.mark.parametrize(
    ("grace", "top", "factor", "rungs"),
    [
        (1, 243, 3, [1, 3, 9, 27, 81]),
        (1, 1000, 10, [1, 10, 100]),
        (4, 36, 3, [4, 12]),
        (5, 5, 2, []),
        (2, 5, 2, [2, 4]),
    ],
)
def test_rungs_are_exact_powers_below_the_top(grace: int, top: int, factor: int, rungs: list[int]) -> None:
    schedule = Schedule(grace_kimg=grace, max_kimg=top, reduction_factor=factor, report_kimg=1)
    assert schedule.rungs() == rungs


def test_a_later_bracket_begins_a_rung_later() -> None:
    schedule = Schedule(grace_kimg=1, max_kimg=27, brackets=3)
    assert [schedule.rungs(b) for b in range(3)] == [[1, 3, 9], [3, 9], [9]]


@given(st.integers(1, 20), st.integers(1, 400), st.integers(2, 5), st.integers(1, 20))
def test_every_accepted_schedule_can_report_at_each_rung_and_at_the_end(
    grace: int, top: int, factor: int, every: int
) -> None:
    try:
        schedule = Schedule(grace_kimg=grace, max_kimg=top, reduction_factor=factor, report_kimg=every)
    except ValidationError:
        rungs = [grace * factor**k for k in range(20) if grace * factor**k < top]
        assert grace > top or any(kimg % every for kimg in [*rungs, top])
    else:
        assert all(kimg % every == 0 for kimg in [*schedule.rungs(), top])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"grace_kimg": 5, "max_kimg": 4}, "above max_kimg"),
        ({"grace_kimg": 4, "max_kimg": 36, "report_kimg": 3}, "not a multiple of report_kimg 3"),
        ({"grace_kimg": 4, "max_kimg": 38}, "max_kimg 38 is not a multiple"),
        ({"grace_kimg": 1, "max_kimg": 9, "brackets": 50}, "use at most 2"),
        ({"grace_kimg": 1, "max_kimg": 9, "reduction_factor": 1}, "greater than or equal to 2"),
        ({"grace_kimg": 0, "max_kimg": 9}, "greater than or equal to 1"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused_with_the_rule(values: dict[str, int], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Schedule(**values)


def test_the_forecast_of_a_few_trials_by_hand() -> None:
    schedule = Schedule(grace_kimg=4, max_kimg=12, reduction_factor=3)
    # The first passes surely, the second with chance 1/2, the third with (1 + 1/3) / 3.
    passing = 1 + 1 / 2 + 4 / 9
    assert schedule.expected_kimg(3) == pytest.approx(3 * 4 + passing * 8)
    # One trial at 8 kimg has 4 left whatever the others did.
    assert schedule.expected_kimg(0, [8], {4: 5}) == pytest.approx(4)


def test_with_many_trials_about_one_in_the_reduction_factor_passes_a_rung() -> None:
    schedule = Schedule(grace_kimg=1, max_kimg=3, reduction_factor=3)
    passing = (schedule.expected_kimg(3000) - 3000) / 2
    assert passing / 3000 == pytest.approx(1 / 3, abs=0.01)
