"""ASHA's decisions against a plain reference and against Ray's own class, on recorded and on random curves."""

import math
import random
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from study.running.asha import Asha
from study.study_file.schedule import Schedule

# FIDs of a real study of small GANs on Fashion-MNIST (rows: trials; columns: 4, 8, ... 36 kimg), as far as each went.
RECORDED = [
    [120.79, 81.44, 51.72, 46.77, 46.28, 46.65, 47.72, 46.24, 43.27],
    [148.98],
    [118.36, 103.51, 74.71],
    [127.90],
    [107.84, 68.46, 60.15],
    [69.28, 43.99, 42.29, 48.93, 47.30, 47.09, 53.74, 48.51, 45.81],
    [93.87, 88.29, 77.33],
    [64.81, 54.83, 48.26, 44.50, 39.15, 36.07, 36.34, 34.26, 29.76],
    [142.90],
    [105.32],
]


class Reference:
    """The stopping form of Li et al. 2020, algorithm 2, as literally as it can be written.

    At a rung, a trial goes on if it is among the best 1/eta of those that got there before it, by the quantile of
    their FIDs with linear interpolation between neighbours; the first goes on.
    """

    def __init__(self, rungs: list[int], eta: int) -> None:
        self.eta = eta
        self.rungs = rungs
        self.seen: dict[int, list[float]] = defaultdict(list)

    def goes_on(self, kimg: int, fid: float) -> bool:
        if kimg not in self.rungs:
            return True
        before = sorted(self.seen[kimg])
        self.seen[kimg].append(fid)
        if not before:
            return True
        position = (len(before) - 1) / self.eta
        low = math.floor(position)
        high = min(low + 1, len(before) - 1)
        cutoff = before[low] + (before[high] - before[low]) * (position - low)
        return fid <= cutoff or math.isclose(fid, cutoff, rel_tol=1e-12)


class RaysOwn:
    """Ray's class with one bracket, given the exact rungs: its own it computes in floating point, and loses some."""

    def __init__(self, schedule: Schedule) -> None:
        [self.bracket] = ASHAScheduler(
            time_attr="kimg",
            metric="fid",
            mode="min",
            max_t=schedule.max_kimg,
            grace_period=schedule.grace_kimg,
            reduction_factor=schedule.reduction_factor,
        )._brackets
        self.bracket._rungs = [(rung, {}) for rung in reversed(schedule.rungs())]

    def goes_on(self, number: int, kimg: int, fid: float) -> bool:
        if kimg not in (rung for rung, _ in self.bracket._rungs):
            return True
        decision = self.bracket.on_result(SimpleNamespace(trial_id=str(number)), kimg, -fid)
        return bool(decision == TrialScheduler.CONTINUE)


def play(curves: list[list[float]], every: int, order: random.Random, asha: Asha, reference: Reference) -> int:
    """Interleave the trials at random; both must agree on every report. Return how many were stopped."""
    alive = dict.fromkeys(range(len(curves)), 0)
    stopped = 0
    while alive:
        number = order.choice(sorted(alive))
        index = alive[number]
        kimg, fid = (index + 1) * every, curves[number][index]
        expected = reference.goes_on(kimg, fid)
        assert asha.goes_on(number, kimg, fid) == expected, (number, kimg, fid)
        alive[number] += 1
        if not expected:
            stopped += 1
        if not expected or alive[number] == len(curves[number]):
            del alive[number]
    return stopped


@pytest.mark.parametrize("seed", range(20))
def test_recorded_curves_in_any_order_are_stopped_as_the_reference_says(seed: int) -> None:
    schedule = Schedule(grace_kimg=4, max_kimg=36, reduction_factor=3)
    asha, reference = Asha(schedule, seed=0), Reference([4, 12], eta=3)
    assert play(RECORDED, 4, random.Random(seed), asha, reference) > 0


@given(
    st.lists(st.lists(st.floats(0, 500), min_size=1, max_size=9), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
    st.integers(2, 4),
)
def test_random_curves_are_stopped_as_the_reference_says(
    curves: list[list[float]], order: random.Random, eta: int
) -> None:
    schedule = Schedule(grace_kimg=1, max_kimg=100, reduction_factor=eta)
    play(curves, 1, order, Asha(schedule, seed=0), Reference(schedule.rungs(), eta))


@given(
    st.lists(st.lists(st.floats(0, 500), min_size=9, max_size=9), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
    st.integers(2, 5),
)
def test_decisions_are_those_of_rays_class(curves: list[list[float]], order: random.Random, eta: int) -> None:
    """To the last bit of the quantile: trials report in any order, and go on or not as Ray's class says."""
    schedule = Schedule(grace_kimg=1, max_kimg=10, reduction_factor=eta)
    asha, ray = Asha(schedule, seed=0), RaysOwn(schedule)
    alive = dict.fromkeys(range(len(curves)), 0)
    while alive:
        number = order.choice(sorted(alive))
        kimg = alive[number] + 1
        fid = curves[number][kimg - 1]
        expected = ray.goes_on(number, kimg, fid)
        assert asha.goes_on(number, kimg, fid) == expected
        alive[number] = kimg
        if not expected or kimg == len(curves[number]):
            del alive[number]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1, 3, 9]), st.floats(0, 100)), max_size=40))
def test_replaying_the_same_reports_gives_the_same_decisions(reports: list[tuple[int, int, float]]) -> None:
    schedule = Schedule(grace_kimg=1, max_kimg=27, brackets=2)
    first, second = Asha(schedule, seed=3), Asha(schedule, seed=3)
    assert [first.goes_on(*r) for r in reports] == [second.goes_on(*r) for r in reports]


@pytest.mark.parametrize("fid", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_never_competes(fid: float) -> None:
    asha = Asha(Schedule(grace_kimg=1, max_kimg=9), seed=0)
    with pytest.raises(ValueError, match="not finite"):
        asha.goes_on(0, 1, fid)
    assert asha.goes_on(1, 1, 5.0), "nothing was recorded, so the next is the first"


def test_brackets_follow_from_the_seed_and_leave_numpys_state_alone() -> None:
    schedule = Schedule(grace_kimg=1, max_kimg=27, brackets=3)
    before = np.random.get_state()[1].copy()
    drawn = [Asha(schedule, seed=1).bracket(number) for number in range(2000)]
    assert drawn == [Asha(schedule, seed=1).bracket(number) for number in range(2000)]
    assert (np.random.get_state()[1] == before).all()
    # Ray's probabilities: e^(number of rungs), normalised; 3 standard deviations of a binomial count.
    weights = np.exp([3.0, 2.0, 1.0])
    for bracket, p in enumerate(weights / weights.sum()):
        assert abs(drawn.count(bracket) - 2000 * p) < 3 * math.sqrt(2000 * p * (1 - p))
