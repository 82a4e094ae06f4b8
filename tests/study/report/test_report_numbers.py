"""The numbers of the report, each derived by hand or by a reference library."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from made_up import OPENED_AT, study, trial
from scipy.stats import spearmanr

from study.analysis.common_rung import CommonRung, axes, axis
from study.analysis.cost import best_after, cost, progress, saved, wall_seconds
from study.analysis.groups import group, where_trouble_lies
from study.analysis.importances import FEWEST, importances, top_quantile
from study.analysis.rung_facts import rung_facts, schedule_of, spearman
from study.analysis.scales import Scale, shown


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=20))
def test_spearman_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    a, b = [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
    ours = spearman(a, b)
    if len({*a}) == 1 or len({*b}) == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


def test_spearman_of_two_says_nothing() -> None:
    assert spearman([1.0, 2.0], [3.0, 4.0]) is None


HALVED = study(
    trial(0, {1: 40.0, 3: 30.0, 9: 20.0}),
    trial(1, {1: 50.0, 3: 20.0, 9: 25.0}),  # overtook at 3, fell back
    trial(2, {1: 60.0, 3: 35.0, 9: 10.0}),  # the best in the end, the worst of the finalists at both rungs
    trial(3, {1: 90.0}, "stopped", rung=1),
    trial(4, {1: 55.0, 3: 50.0}, "stopped", rung=3),
    trial(5, {1: 45.0, 2: 44.0}, "diverged"),
    trial(6, {}, "failed"),
)


def test_rungs_by_hand() -> None:
    first, second = rung_facts(HALVED.trials, schedule_of(HALVED.config))
    assert (first.kimg, first.reached, first.went_on, first.fell, first.lost) == (1, 6, 5, (3,), (5,))
    assert (second.kimg, second.reached, second.went_on, second.fell, second.lost) == (3, 4, 3, (4,), ())
    # Rank of trial 2: FIDs at 1 kimg are 40, 45, 50, 55, 60, 90; at 3 kimg 20, 30, 35, 50.
    assert (first.best_rank, second.best_rank) == (5, 3)
    # Ranks at 1 of those that reached 3: 40, 50, 60, 55 -> 1, 2, 4, 3; at 3: 30, 20, 35, 50 -> 2, 1, 3, 4.
    # Differences -1, 1, 1, -1: rho = 1 - 6 * 4 / (4 * 15) = 0.6.
    assert (first.to_next.rho, first.to_next.count) == (pytest.approx(0.6), 4)
    # Finalists at 1: 1, 2, 3; at the end 20, 25, 10: 2, 3, 1: rho = 1 - 6 * (1 + 1 + 4) / (3 * 8) = -0.5.
    assert (first.to_end.rho, first.to_end.count) == (pytest.approx(-0.5), 3)
    # At 3: 30, 20, 35 -> 2, 1, 3, against 2, 3, 1: rho = 1 - 6 * (0 + 4 + 4) / 24 = -1.
    assert second.to_end.rho == pytest.approx(-1.0)


def test_a_study_without_rungs_has_no_facts_of_them() -> None:
    schedule = {"grace_kimg": 9, "max_kimg": 9}
    assert rung_facts((trial(0, {9: 10}),), schedule_of({"schedule": schedule})) == []


def test_cost_and_what_asha_saved_by_hand() -> None:
    whole = cost(HALVED.trials)  # 2 s of training and 1 s of evaluation a kimg
    assert (whole.trials, whole.kimg) == (7, 9 + 9 + 9 + 1 + 3 + 2)
    assert (whole.train_seconds, whole.eval_seconds, whole.seconds) == (66.0, 33.0, 99.0)
    won = saved(HALVED)  # trial 3 had 8 kimg before it, trial 4 had 6; the diverged one ended by itself
    assert (won.trials, won.kimg, won.seconds) == (2, 14, 42.0)
    slow = study(trial(0, {1: 5.0}, "stopped", rung=1, seconds=(10.0, 0.0)), trial(1, {1: 4.0, 9: 3.0}))
    assert saved(slow).seconds == 80.0  # at its own speed, not at the mean one


def test_the_lowest_fid_over_time_by_hand() -> None:
    made = study(
        trial(0, {1: 50.0, 3: 30.0}, at={1: OPENED_AT + 10, 3: OPENED_AT + 40}),
        trial(1, {1: 40.0, 3: 35.0}, at={1: OPENED_AT + 20, 3: OPENED_AT + 30}),
        trial(2, {1: 1.0}, "diverged", at={1: OPENED_AT + 25}),
        trial(3, {1: 60.0}, "stopped", rung=1, at={1: OPENED_AT + 50}),
    )
    points = progress(made)
    assert [(p.wall, p.kimg, p.fid, p.trial) for p in points] == [
        (10, 1, 50.0, 0),
        (20, 2, 40.0, 1),
        (30, 5, 35.0, 1),  # 2 kimg more, and 1 of the trial that diverged, whose FID does not count
        (40, 7, 30.0, 0),
        (50, 8, 30.0, 0),  # the end
    ]
    assert [p.compute for p in points] == [3 * p.kimg for p in points]
    assert (best_after(points, 1), best_after(points, 4), best_after(points, 0)) == (50.0, 40.0, None)
    assert wall_seconds(made) == 50.0
    assert progress(study(trial(0, {1: 5.0}, "diverged"))) == []


def test_the_common_rung_takes_the_best_up_to_it() -> None:
    common = CommonRung.of(HALVED)
    assert common == CommonRung(1, {0: 40.0, 1: 50.0, 2: 60.0, 3: 90.0, 4: 55.0})
    late = study(trial(0, {1: 9.0, 3: 12.0, 9: 7.0}), trial(1, {1: 8.0, 3: 6.0}, "stopped", rung=3))
    assert CommonRung.of(late) == CommonRung(3, {0: 9.0, 1: 6.0})
    running = study(*late.trials, trial(2, {1: 5.0}, "running"))
    assert CommonRung.of(running) == CommonRung(3, {0: 9.0, 1: 6.0})  # does not pull the others down
    assert CommonRung.of(study(trial(0, {1: 9.0}, "diverged"), trial(1, {}, "failed"))) is None


def test_groups_by_hand() -> None:
    losses = ["hinge", "hinge", "lsgan", "lsgan", "lsgan", "hinge", "minimax"]
    made = study(*(trial(t.number, t.curve, str(t.state), rung=t.rung, config={"loss": loss}) for t, loss in
                   zip(HALVED.trials, losses, strict=True)))  # fmt: skip
    hinge, lsgan, minimax = group(made, "loss", CommonRung.of(made))
    assert (hinge.value, hinge.trials, hinge.fids) == ("hinge", 3, (40.0, 50.0))
    assert dict(hinge.states) == {"completed": 2, "diverged": 1}
    assert hinge.quartiles == (42.5, 45.0, 47.5)
    assert hinge.best is not None
    assert (hinge.best.trial.number, hinge.best.budget, hinge.best.fid_best) == (0, 9, 20.0)
    assert (lsgan.fids, lsgan.quartiles) == ((55.0, 60.0, 90.0), (57.5, 60.0, 75.0))
    assert (minimax.fids, minimax.quartiles, minimax.best) == ((), None, None)
    assert group(made, "nowhere.at.all", None) == []


def test_where_trouble_lies_by_hand() -> None:
    """Loss tells all about 4 of 8 trials in trouble: 1 bit, less (2 - 1) / (2 * 8 ln 2) = 0.09 by chance."""
    made = [
        trial(
            i,
            {1: 9.0},
            "diverged" if i < 3 else "stopped",
            rung=None if i < 3 else 1,
            collapsed=i == 3,
            params={"loss": "bad" if i < 4 else "good", "chance": i % 2, "same": 1},
        )
        for i in range(8)
    ]
    (where,) = where_trouble_lies([*made, trial(8, {}, "failed", params={"loss": "good", "chance": 0, "same": 1})])
    assert where.name == "loss"
    assert where.information == pytest.approx(1 - 1 / (16 * math.log(2)))
    assert [(b.label, b.trials, b.diverged, b.collapsed) for b in where.bins] == [("bad", 4, 3, 1), ("good", 4, 0, 0)]


def test_numbers_are_binned_in_quarters() -> None:
    made = [trial(i, {1: 9.0}, "diverged" if i >= 30 else "completed", params={"lr": 1.01**i}) for i in range(40)]
    (where,) = where_trouble_lies(made)
    assert [(b.trials, b.diverged) for b in where.bins] == [(10, 0), (10, 0), (10, 0), (10, 10)]
    assert where.bins[0].label == f"1 to {shown(1.01**9)}"


def test_importances_are_of_the_common_rung() -> None:
    """`early` decides the FID at 1 kimg, `late` that at 9, which only some reached: only `early` may count."""
    made = []
    for i in range(60):
        early, late = (i * 7 % 60) / 60, (i * 11 % 60) / 60
        curve = {1: 20 + 50 * early} | ({9: 1 + 10 * late} if i % 3 == 0 else {})
        state = "completed" if i % 3 == 0 else "stopped"
        made.append(trial(i, curve, state, rung=None if i % 3 == 0 else 1, params={"early": early, "late": late}))
    common = CommonRung.of(study(*made))
    assert common is not None
    found = importances(made, common)
    assert found["early"] > 0.8
    assert sum(found.values()) == pytest.approx(1)
    few = made[: FEWEST - 1]
    assert importances(few, CommonRung(1, {t.number: common.fids[t.number] for t in few})) == {}


def test_the_quantile_of_good_trials_keeps_five() -> None:
    assert [top_quantile(n) * n for n in (10, 20, 50, 1000)] == [5, 5, 5, 100]
    assert top_quantile(4) == 0.5


@pytest.mark.parametrize(
    ("values", "choices", "log"),
    [
        ([1e-4, 1e-2, 3e-3], None, True),
        ([0.1, 0.5, 0.9], None, False),
        ([0.0, 0.5, 0.7], None, False),  # zero has no logarithm
        ([0.0, 0.5, 0.5, 0.0], (0.0, 0.5), False),  # repeated: choices
        ([16, 64, 32], (16, 32, 64), False),
        ([8, 16, 24, 32, 40, 48, 400], None, True),
        (["b", "a"], ("a", "b"), False),
        ([True, False], (False, True), False),
        ([1, "auto"], (1, "auto"), False),
    ],
)
def test_axes(values: list[Any], choices: tuple[Any, ...] | None, log: bool) -> None:
    made = axis("p", values)
    assert (made.choices, made.scale.log) == (choices, log)
    assert all(0 <= made.scale.at(made.at(value)) <= 1 for value in values)


def test_what_never_varies_has_no_axis() -> None:
    trials = [trial(0, {1: 1.0}, params={"a": 1, "b": 2, "true": True}), trial(1, {1: 1.0}, params={"a": 1, "b": 3})]
    assert [made.name for made in axes(trials)] == ["b"]


@example([1224352.0, 3.3e-288], None)
@example([1.0, 3.3e-288], True)
@given(st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), max_size=5), st.sampled_from([None, True, False]))
def test_a_scale_holds_its_values_and_its_ticks(values: list[float], log: bool | None) -> None:
    scale = Scale.of(values, log)
    assert scale.low < scale.high
    assert all(-1e-9 <= scale.at(value) <= 1 + 1e-9 for value in values)
    ticks = scale.ticks()
    assert ticks == sorted(ticks)
    assert all(-1e-6 <= scale.at(tick) <= 1 + 1e-6 for tick in ticks)


def test_numbers_on_ticks() -> None:
    assert [shown(x) for x in (0, 0.5, 1e-4, 1.5e-3, 20, 12345)] == ["0", "0.5", "1e-4", "1.5e-3", "20", "12,345"]
