"""Ranking: at equal budget, and whatever order the trials come in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.analysis.ranking import common_budget, rank
from study.ledger.records import Report, TrialRecord, TrialState
from trainables.errors import InvalidInput

UNRANKED = {TrialState.DIVERGED, TrialState.FAILED}


def trial(number: int, curve: dict[int, float], state: TrialState = TrialState.COMPLETED) -> TrialRecord:
    reports = tuple(Report(kimg, 1, {"fid": curve[kimg]}, 0.0) for kimg in sorted(curve))
    return TrialRecord(number, {}, {}, "sampler", {}, 0.0, reports, 1, state, None, None, 1.0)


# Few budgets and few FIDs, so that ties are common.
trials_lists = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from([1, 3, 9, 27]), st.integers(1, 4).map(float), max_size=4),
        st.sampled_from(TrialState),
    ),
    max_size=8,
).map(lambda parts: [trial(number, curve, state) for number, (curve, state) in enumerate(parts)])


@given(trials_lists, st.randoms())
def test_the_order_of_the_trials_does_not_matter(trials: list[TrialRecord], random: object) -> None:
    shuffled = list(trials)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rank(shuffled) == rank(trials)


@given(trials_lists)
def test_a_trial_that_ended_lower_never_precedes_one_that_went_further(trials: list[TrialRecord]) -> None:
    budgets = [ranked.trial.kimg for ranked in rank(trials)]
    assert budgets == sorted(budgets, reverse=True)


@given(trials_lists)
def test_every_trial_with_evidence_ranks_once_and_no_other(trials: list[TrialRecord]) -> None:
    ranked = rank(trials)
    expected = {t.number for t in trials if t.reports and t.state not in UNRANKED}
    assert [r.rank for r in ranked] == list(range(1, len(expected) + 1))
    assert {r.trial.number for r in ranked} == expected


@given(trials_lists)
def test_at_one_budget_the_lower_best_fid_comes_first(trials: list[TrialRecord]) -> None:
    ranked = rank(trials)
    for before, after in pairwise(ranked):
        if before.budget == after.budget:
            assert before.fid_best <= after.fid_best
            if before.fid_best == after.fid_best:
                assert before.fid <= after.fid


@given(trials_lists, st.integers(1, 9))
def test_the_top_is_the_beginning_of_the_whole(trials: list[TrialRecord], top: int) -> None:
    assert rank(trials, top) == rank(trials)[:top]


def test_an_example_by_hand() -> None:
    trials = [
        trial(0, {9: 20.0}, TrialState.STOPPED),  # the best FID of all, but stopped low
        trial(1, {9: 80.0, 27: 60.0, 81: 50.0}),
        trial(2, {9: 70.0, 27: 40.0, 81: 90.0}),  # collapsed late; its best checkpoint is the better one
        trial(3, {9: 30.0, 27: 45.0}, TrialState.STOPPED),
        trial(4, {9: 10.0, 27: 10.0}, TrialState.DIVERGED),
        trial(5, {9: 99.0, 27: 40.0, 81: 85.0}, TrialState.RUNNING),  # as good as 2, and held it better
        trial(6, {}, TrialState.RUNNING),
    ]
    ranked = rank(trials)
    assert [r.trial.number for r in ranked] == [5, 2, 1, 3, 0]
    assert [(r.budget, r.fid_best, r.fid) for r in ranked][:2] == [(81, 40.0, 85.0), (81, 40.0, 90.0)]
    assert common_budget(trials) == 9
    assert common_budget([r.trial for r in ranked[:4]]) == 27
    assert trials[2].best_up_to(81) == 40.0
    assert trials[2].best_up_to(26) == 70.0
    assert trials[2].best_up_to(8) is None


def test_no_common_budget() -> None:
    assert common_budget([]) is None
    assert common_budget([trial(0, {1: 5.0}), trial(1, {3: 5.0})]) is None


def test_top_below_one_is_refused() -> None:
    with pytest.raises(InvalidInput, match="top 0"):
        rank([], top=0)
