"""At which budget trials are put side by side first, and how many pass a rung by chance."""

import numpy as np
from made_up import study, trial

from study.analysis.common_rung import CommonRung
from study.analysis.compared import compared, telling
from study.ledger.records import StudyRecord
from study.running.asha import Asha
from study.study_file.schedule import Schedule


def of_orders(*orders: list[float], stopped: int = 0) -> StudyRecord:
    """Trials with these FIDs at 1, 3 and 9 kimg, and more that ended at 1."""
    whole = [trial(i, dict(zip((1, 3, 9), fids, strict=True))) for i, fids in enumerate(zip(*orders, strict=True))]
    return study(*whole, *(trial(len(whole) + i, {1: 90.0 + i}, "stopped", rung=1) for i in range(stopped)))


END = [1.0, 2.0, 3.0, 4.0, 5.0]
REVERSED = [5.0, 4.0, 3.0, 2.0, 1.0]


def test_every_budget_has_the_trials_that_reported_there() -> None:
    budgets = compared(of_orders(REVERSED, END, END, stopped=3))
    assert [(b.common.kimg, len(b.common.fids)) for b in budgets] == [(1, 8), (3, 5), (9, 5)]
    assert [round(b.to_end.rho or 0, 9) for b in budgets] == [-1.0, 1.0, 1.0]


def test_the_lowest_budget_whose_order_means_something_comes_first() -> None:
    assert telling(compared(of_orders(END, END, END, stopped=3))) == 0
    assert telling(compared(of_orders(REVERSED, END, END, stopped=3))) == 1
    assert telling(compared(of_orders(REVERSED, REVERSED, END, stopped=3))) == 2


def test_before_anything_is_known_of_the_end_it_is_the_highest_with_a_few_trials() -> None:
    running = study(*(trial(i, {1: 9.0 + i, **({3: 8.0} if i < 4 else {})}, "running") for i in range(6)))
    budgets = compared(running)
    assert [len(b.common.fids) for b in budgets] == [6, 4]
    assert telling(budgets) == 0
    assert telling(compared(study(trial(0, {1: 9.0}), trial(1, {1: 8.0})))) == 0
    assert telling(compared(study())) is None


def test_one_trial_alone_is_at_its_own_budget() -> None:
    (only,) = compared(study(trial(0, {1: 9.0, 3: 8.0})))
    assert only.common == CommonRung(3, {0: 8.0})


def test_as_many_pass_by_chance_as_asha_lets_go_on() -> None:
    """Of 16 equally good trials 6.8 on average: within four standard errors of 400 shuffles."""
    schedule, rng = Schedule(grace_kimg=5, max_kimg=45, reduction_factor=3), np.random.default_rng(0)
    passed = []
    for _ in range(400):
        asha = Asha(schedule, 0)
        passed.append(sum(asha.goes_on(i, 5, fid) for i, fid in enumerate(rng.permutation(16).tolist())))
    assert abs(np.mean(passed) - schedule.passing(16)) < 4 * np.std(passed) / 20
    assert 6.5 < schedule.passing(16) < 7.0
