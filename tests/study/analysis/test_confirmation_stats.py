"""What a confirmation says: numbers by hand and by scipy, who wins, and when nothing is claimed."""

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats
from confirmations import Fids, confirmed_study
from hypothesis import given
from hypothesis import strategies as st
from made_up import study, trial

from study.analysis.confirmation import Conclusion, Paired, conclude, confirmed, mean_interval
from study.ledger.records import StudyRecord

# The best three in order: their FIDs are 10, 11 and 12 at the full budget of 9 kimg.
STUDY = study(
    trial(0, {1: 60, 9: 11}),
    trial(1, {1: 50, 9: 10}),
    trial(2, {1: 70, 9: 12}),
    trial(3, {1: 80}, "stopped", rung=1),
)
ORDER = [1, 0, 2]


def confirmed_with(*found: Fids, seeds: int = 3) -> StudyRecord:
    """What is `found` of the first, the second and the third of the ranking."""
    return confirmed_study(STUDY, dict(zip(ORDER, found, strict=False)), seeds, ORDER[: len(found)])


def evaluated(*found: Fids, seeds: int = 3) -> Conclusion:
    result = conclude(confirmed_with(*found, seeds=seeds))
    assert result is not None
    return result


A: Fids = {1: (14.0, 15.0), 2: (11.0, 13.0), 3: (14.0, 17.0)}
B: Fids = {1: (12.0, 14.0), 2: (10.0, 11.0), 3: (11.0, 14.0)}


def test_a_study_without_a_confirmation_has_no_judgement() -> None:
    assert conclude(STUDY) is None
    assert confirmed(STUDY) is None


def test_mean_deviation_and_bias_by_hand() -> None:
    result = evaluated(A, B)
    second, first = sorted(result.configurations, key=lambda c: -(c.mean or 0))
    assert (first.trial.number, second.trial.number) == (0, 1)
    assert second.mean == 15.0  # (15 + 13 + 17) / 3
    assert second.deviation == 2.0  # sqrt((0 + 4 + 4) / 2)
    assert second.validation_mean == 13.0  # (14 + 11 + 14) / 3
    assert second.bias == -3.0  # the study had 10
    assert first.mean == 13.0
    assert first.deviation == pytest.approx(math.sqrt(3))  # (1 + 4 + 1) / 2
    assert first.bias == 0.0  # the study had 11, fresh seeds (12 + 10 + 11) / 3
    assert result.winner is first, "not the one that the study ranked first"


def test_the_bias_of_a_stopped_trial_is_at_its_own_budget() -> None:
    """Its FID of 1 kimg is compared with what fresh seeds had by 1 kimg, not by the end."""
    alone = study(trial(0, {9: 1.0}), trial(1, {1: 80}, "stopped", rung=1))
    record = confirmed_study(alone, {0: {1: (5.0, 6.0)}, 1: {1: (30.0, 31.0)}}, 1, [0, 1])
    result = conclude(record)
    assert result is not None
    stopped = next(c for c in result.configurations if c.trial.number == 1)
    assert stopped.validation_mean == 40.0  # `retraining` has 10 more at 1 kimg than at its best
    assert stopped.bias == 40.0


def test_paired_differences_and_students_interval_by_hand() -> None:
    paired = evaluated(A, B).paired
    assert paired is not None
    assert (paired.first, paired.second) == (0, 1)
    assert paired.differences == (1.0, 2.0, 3.0)
    assert paired.mean == 2.0
    half = scipy.stats.t.ppf(0.975, 2) * 1.0 / math.sqrt(3)  # their standard deviation is 1
    assert paired.interval == pytest.approx((2 - half, 2 + half))
    assert half > 2
    assert paired.ahead is False, "2.48 to either side of 2 holds 0"


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=12), st.floats(0.1, 10))
def test_the_interval_is_that_of_scipys_paired_test(differences: list[float], noise: float) -> None:
    values = [d + noise * i for i, d in enumerate(differences)]
    if np.std(values) < 1e-6:
        return
    paired = Paired(0, 1, tuple(values))
    found = scipy.stats.ttest_rel(values, [0.0] * len(values)).confidence_interval(0.95)
    assert paired.interval == pytest.approx((found.low, found.high), rel=1e-6, abs=1e-9)
    assert paired.ahead == (found.low > 0)


def test_pairing_finds_what_the_spread_over_seeds_hides() -> None:
    """Seeds differ by 20, the configurations by 1 at each of them."""
    low: Fids = {i: (20.0 * i, 20.0 * i + 0.01 * i) for i in (1, 2, 3, 4)}
    high: Fids = {i: (20.0 * i, 20.0 * i + 1) for i in (1, 2, 3, 4)}
    result = evaluated(high, low, seeds=4)
    assert result.winner is not None
    assert result.winner.trial.number == 0
    assert result.winner.interval is not None
    assert result.winner.interval[1] - result.winner.interval[0] > 20
    assert result.paired is not None
    assert result.paired.ahead is True


def test_of_one_seed_nothing_is_claimed() -> None:
    one = evaluated({1: (9.0, 10.0)}, {1: (30.0, 90.0)}, seeds=1)
    assert one.winner is not None
    assert (one.winner.mean, one.winner.deviation, one.winner.interval) == (10.0, None, None)
    assert one.paired is not None
    assert (one.paired.differences, one.paired.interval, one.paired.ahead) == ((80.0,), None, None)
    two = evaluated({1: (9.0, 10.0), 2: (9.0, 12.0)}, {1: (9.0, 40.0), 2: (9.0, 43.0)}, seeds=2)
    assert two.winner is not None
    half = 12.706204736 * math.sqrt(2) / math.sqrt(2)  # t of one degree of freedom; test FIDs 10 and 12
    assert two.winner.interval == pytest.approx((0, 11 + half)), "no FID is below 0"
    assert two.paired is not None
    half = 12.706204736 * math.sqrt(0.5) / math.sqrt(2)  # t of one degree of freedom; differences 30 and 31
    assert two.paired.interval == pytest.approx((30.5 - half, 30.5 + half))
    assert two.paired.ahead is True


def test_a_confirmation_alone_has_a_winner_and_no_second() -> None:
    result = evaluated(A)
    assert result.winner is not None
    assert result.winner.trial.number == 1
    assert result.paired is None


def test_who_lost_a_seed_cannot_win_against_who_lost_none() -> None:
    result = evaluated({1: (5.0, 5.0), 2: "diverged", 3: (5.0, 5.0)}, A, B)
    assert [c.trial.number for c in result.configurations] == [2, 0, 1]
    assert (result.able, result.complete) == (2, True)
    assert result.winner is not None
    assert result.winner.trial.number == 2
    assert result.configurations[-1].lost == 1
    assert result.configurations[-1].mean == 5.0, "of those that completed"
    assert result.paired is not None
    assert result.paired.second == 0


def test_where_all_lost_as_many_the_pairs_are_of_the_seeds_that_both_completed() -> None:
    result = evaluated({1: (1.0, 5.0), 2: "diverged", 3: (1.0, 9.0)}, {1: "failed", 2: (1.0, 20.0), 3: (1.0, 10.0)})
    assert result.able == 2
    assert result.paired is not None
    assert result.paired.differences == (1.0,)


def test_nothing_is_decided_before_the_end_or_where_nothing_completed() -> None:
    unfinished = evaluated(A, {1: (9.0, 1.0), 2: (9.0, 1.0), 3: "interrupted"})
    assert (unfinished.complete, unfinished.winner) == (False, None)
    missing = evaluated(A, {1: (9.0, 1.0)})
    assert (missing.complete, missing.winner) == (False, None)
    lost = evaluated({1: "diverged"}, {1: "failed"}, seeds=1)
    assert (lost.complete, lost.able, lost.winner, lost.paired) == (True, 0, None, None)


def test_a_plan_of_trials_that_are_no_longer_the_best_decides_nothing() -> None:
    result = conclude(confirmed_study(STUDY, {0: A, 1: B}, 3, [0, 1]))
    assert result is not None
    assert (result.complete, result.current, result.winner) == (True, False, None)


def test_while_a_larger_plan_is_unfinished_the_complete_one_holds() -> None:
    record = confirmed_with(A, B)
    (plan,) = record.confirmation.plans
    newer = dataclasses.replace(plan, number=2, seeds=5)
    record = dataclasses.replace(record, plans=(plan, newer))
    result = conclude(record)
    assert result is not None
    assert (result.plan, result.unfinished, result.complete) == (plan, newer, True)
    assert confirmed(record) == confirmed(confirmed_with(A, B))
    assert confirmed(record) is not None


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_the_interval_of_a_mean_holds_it_in_95_of_100_cases(seeds: int) -> None:
    """Within four standard deviations of a proportion over so many draws."""
    draws, rng = 4000, np.random.default_rng(seeds)
    held = 0
    for values in rng.normal(13.0, 0.4, (draws, seeds)):
        low, high = mean_interval(values.tolist()) or (math.nan, math.nan)
        held += low <= 13.0 <= high
    assert abs(held / draws - 0.95) < 4 * math.sqrt(0.95 * 0.05 / draws)


def test_equal_values_have_no_width() -> None:
    assert mean_interval([3.0, 3.0, 3.0]) == (3.0, 3.0)
    assert mean_interval([3.0]) is None


def test_the_first_is_set_against_each_other_that_can_win() -> None:
    result = evaluated(A, B, {1: (20.0, 24.0), 2: (20.0, 21.0), 3: "diverged"})
    assert [(pair.first, pair.second, pair.differences) for pair in result.pairs] == [(0, 1, (1.0, 2.0, 3.0))]
    assert result.paired is result.pairs[0]
    result = evaluated(A, B, {1: (20.0, 24.0), 2: (20.0, 21.0), 3: (20.0, 24.0)})
    assert [(pair.second, pair.differences) for pair in result.pairs] == [(1, (1.0, 2.0, 3.0)), (2, (10.0, 10.0, 10.0))]
