"""The study's heart: decisions, resume, and that a crash at any point changes nothing."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import pytest
from toys import CEILING, Crash, drive, fid_of, first_trial, open_study, result_of, toy_config

from study.ledger.events import Event, Reported
from study.ledger.ledger import Ledger, Writer
from study.ledger.records import StudyRecord, TrialState, fold
from study.running.asha import Asha
from study.running.board import Board
from study.running.conductor import Conductor
from study.running.sampling import Sampling, told_trial
from study.study_file.config import StudyConfig
from trainables.evaluation.image_counts import FidEstimate


def outcome(study: StudyRecord) -> list[tuple[Any, ...]]:
    """All that a study found out; not how often it had to start."""
    return [(t.number, t.config, t.params, t.origin, t.state, t.rung, t.cause, t.curve) for t in study.trials]


def rows(place: Path) -> list[Any]:
    with Ledger.open(place, schema="toy", create=False) as ledger:
        return ledger.read()


def driven_by_crashes(place: Path, config: StudyConfig) -> StudyRecord:
    """Run a study to its end, crashing after every fourth commit."""
    for _ in range(100):
        with suppress(Crash):
            return drive(place, config, crash_after=4)
    raise AssertionError("a hundred launches did not end it")


@pytest.fixture(scope="module", params=[True, False], ids=["asked ahead", "asked when free"])
def config(request: pytest.FixtureRequest) -> StudyConfig:
    return toy_config(sampler={"name": "tpe", "startup_trials": 3, "ask_ahead": request.param})


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, config: StudyConfig) -> StudyRecord:
    place = tmp_path_factory.mktemp("whole") / "ledger.db"
    open_study(place, config)
    return drive(place, config)


def test_a_whole_study_has_every_kind_of_end(uninterrupted: StudyRecord) -> None:
    states = [trial.state for trial in uninterrupted.trials]
    assert len(states) == 12
    assert {TrialState.COMPLETED, TrialState.STOPPED} <= set(states)
    for trial in uninterrupted.trials:
        last = {TrialState.COMPLETED: 9, TrialState.STOPPED: trial.rung}.get(trial.state, trial.kimg)
        assert trial.kimg == last
        assert trial.curve == {k: fid_of(trial.config, k) for k in range(1, trial.kimg + 1)}


@pytest.fixture(scope="module")
def commits(in_memory: Path, config: StudyConfig) -> list[bytes]:
    """The ledger's file as each commit of an uninterrupted study left it, from the opening on."""
    place = in_memory / f"observed-{config.sampler.ask_ahead}.db"
    open_study(place, config)
    after_each, append = [place.read_bytes()], Writer.append

    def observed(writer: Writer, *events: Event) -> list[bool]:
        done = append(writer, *events)
        after_each.append(place.read_bytes())
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "append", observed)
        drive(place, config)
    return after_each


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder where thousands of commits wait for no disk, if there is one."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path_factory.mktemp("commits")
        return
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


PARTS = 4  # one of them in the quick suite, all in the whole


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))])
def test_a_crash_after_any_commit_changes_nothing(
    in_memory: Path, config: StudyConfig, uninterrupted: StudyRecord, commits: list[bytes], part: int
) -> None:
    """After each of them, and so between any two: a commit is one step (within one: test_faults_journal.py)."""
    reports = sum(len(trial.curve) for trial in uninterrupted.trials)
    assert len(set(commits)) == len(commits) >= 1 + len(uninterrupted.trials) + reports
    for number in range(part, len(commits), PARTS):
        place = in_memory / f"{number}-{config.sampler.ask_ahead}.db"
        place.write_bytes(commits[number])
        assert outcome(drive(place, config)) == outcome(uninterrupted), f"after commit {number}"


def test_crashing_again_and_again_gets_there_too(
    tmp_path: Path, config: StudyConfig, uninterrupted: StudyRecord
) -> None:
    place = tmp_path / "ledger.db"
    open_study(place, config)
    study = driven_by_crashes(place, config)
    assert outcome(study) == outcome(uninterrupted)
    assert max(trial.attempts for trial in study.trials) > 1


@pytest.mark.parametrize("concurrency", [2, 3])
def test_decisions_of_a_concurrent_study_are_a_replay_of_its_ledger(tmp_path: Path, concurrency: int) -> None:
    config, place = toy_config(), tmp_path / "ledger.db"
    open_study(place, config)
    with pytest.raises(Crash):
        drive(place, config, concurrency=concurrency, crash_after=17)
    study = drive(place, config, concurrency=concurrency)
    asha = Asha(config.schedule, config.seed)
    decisions = {
        (event.trial, event.kimg): asha.goes_on(event.trial, event.kimg, event.metrics["fid"])
        for event in (row.event for row in rows(place))
        if isinstance(event, Reported)
    }
    for trial in study.trials:
        if trial.state == TrialState.STOPPED:
            assert decisions[trial.number, trial.kimg] is False
            assert trial.rung == trial.kimg
        stopped_earlier = [k for k in trial.curve if k < trial.kimg and not decisions[trial.number, k]]
        assert not stopped_earlier


def history(place: Path) -> list[optuna.trial.FrozenTrial]:
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        return Conductor(toy_config(), CEILING, writer, ledger.read())._sampling.history.trials


def test_optunas_history_is_rebuilt_with_pruned_diverged_and_running_trials(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    open_study(place, toy_config())
    with pytest.raises(Crash):
        drive(place, toy_config(), concurrency=2, crash_after=31)
    study = fold(rows(place), live=False)
    rebuilt = history(place)
    assert [t.number for t in rebuilt] == [t.number for t in study.trials]
    seen = set()
    for optuna_trial, trial in zip(rebuilt, study.trials, strict=True):
        seen.add(trial.state)
        assert optuna_trial.params == trial.params
        assert optuna_trial.intermediate_values == trial.curve
        state, value = {
            TrialState.COMPLETED: (optuna.trial.TrialState.COMPLETE, trial.fid_best),
            TrialState.STOPPED: (optuna.trial.TrialState.PRUNED, trial.fid),
            TrialState.DIVERGED: (optuna.trial.TrialState.COMPLETE, CEILING),
            TrialState.INTERRUPTED: (optuna.trial.TrialState.RUNNING, None),
        }[trial.state]
        assert (optuna_trial.state, optuna_trial.value) == (state, value)
    assert {TrialState.STOPPED, TrialState.INTERRUPTED} <= seen


def test_a_diverged_trial_is_told_the_ceiling(tmp_path: Path) -> None:
    def diverging(config: Any, kimg: int) -> dict[str, Any]:
        return {"kimg": 0, "ended": "diverged", "cause": "Diverged: loss_g became non-finite by 1 kimg"}

    place = tmp_path / "ledger.db"
    config = toy_config(trials=3)
    open_study(place, config)
    study = drive(place, config, result=diverging)
    assert [t.state for t in study.trials] == [TrialState.DIVERGED] * 3
    assert all(t.cause and "loss_g" in t.cause for t in study.trials)
    assert [(t.value, bool(t.constraints)) for t in history(place)] == [(CEILING, True)] * 3


def test_the_sampler_keeps_away_from_where_trials_diverge_though_all_others_were_stopped() -> None:
    """TPE ranks what is pruned behind what is complete; a diverged trial is complete only in name."""
    space = toy_config(space={"base": "quick", "baselines": False}).space.resolve()
    settings = toy_config().space.resolve().baselines[0].params
    proposed = []
    for seed in range(10):
        sampling = Sampling(space, "tpe", seed=seed, startup=1, ceiling=CEILING)
        for number in range(12):
            for lr, state in ((2e-4, TrialState.STOPPED), (3e-3, TrialState.DIVERGED)):
                params = {**settings, "generator_optimiser.lr": lr}
                sampling.learn([told_trial(space, params, [FidEstimate(1, 60.0 + number)], state, None, CEILING)])
        proposed.append(sampling.propose(0).params["generator_optimiser.lr"])
    assert sum(lr < 8e-4 for lr in proposed) > 5, proposed  # 8e-4: half-way between the two


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_ends_the_trial_as_diverged(tmp_path: Path, bad: float) -> None:
    place, config = tmp_path / "ledger.db", toy_config(trials=1)
    open_study(place, config)
    study = drive(place, config, result=lambda c, k: result_of(c, k) | ({"loss_d": bad} if k == 2 else {}))
    trial = study.trials[0]
    assert (trial.state, trial.kimg) == (TrialState.DIVERGED, 1)
    assert trial.cause == f"loss_d is {bad} at 2 kimg"


def test_a_failed_trial_teaches_the_sampler_nothing(tmp_path: Path) -> None:
    place, config = tmp_path / "ledger.db", toy_config(trials=2)
    open_study(place, config)
    failing = {"kimg": 0, "ended": "failed", "cause": "ValueError: no"}
    study = drive(place, config, result=lambda c, k: failing)
    assert [(t.state, t.cause) for t in study.trials] == [(TrialState.FAILED, "ValueError: no")] * 2
    assert {t.state for t in history(place)} == {optuna.trial.TrialState.FAIL}


def test_a_trial_that_ran_out_of_memory_is_told_the_ceiling_and_not_tried_again(tmp_path: Path) -> None:
    place, config = tmp_path / "ledger.db", toy_config(trials=2)
    open_study(place, config)
    too_large = {"kimg": 0, "ended": "failed", "cause": "out_of_memory: OutOfMemoryError: CUDA out of memory"}
    study = drive(place, config, result=lambda c, k: too_large)
    assert [(t.state, t.attempts) for t in study.trials] == [(TrialState.FAILED, 1)] * 2
    assert [(t.state, t.value) for t in history(place)] == [(optuna.trial.TrialState.COMPLETE, CEILING)] * 2


def test_a_report_made_twice_counts_once(tmp_path: Path) -> None:
    with first_trial(tmp_path) as (ledger, conductor, running):
        assert conductor.report(0, result_of(running.config, 1))
        conductor.retry(0)
        worse = result_of(running.config, 1) | {"fid": 500.0}
        assert conductor.report(0, worse), "a known report decides nothing anew"
        trial = fold(ledger.read(), live=True).trials[0]
    assert trial.curve == {1: fid_of(running.config, 1)}
    assert trial.attempts == 2


def test_a_finished_study_can_be_given_more_trials(
    tmp_path: Path, config: StudyConfig, uninterrupted: StudyRecord
) -> None:
    """One that asks ahead knows more then than a study that had them from the start, and may propose others.

    It proposes the same however often its driver dies.
    """
    places = tmp_path / "ledger.db", tmp_path / "crashing.db"
    for place in places:
        open_study(place, config)
        drive(place, config.model_copy(update={"trials": 5}))
    study, same = outcome(drive(places[0], config)), 5 if config.sampler.ask_ahead else 12
    assert len(study) == 12
    assert study[:same] == outcome(uninterrupted)[:same]
    assert outcome(driven_by_crashes(places[1], config)) == study


def test_a_raised_budget_takes_completed_trials_further_and_replays_the_old_end_as_a_rung(tmp_path: Path) -> None:
    place, more = tmp_path / "ledger.db", {"grace_kimg": 1, "max_kimg": 27, "reduction_factor": 3}
    open_study(place, toy_config())
    before = drive(place, toy_config())
    completed = [t.number for t in before.trials if t.state == TrialState.COMPLETED]
    after = drive(place, toy_config(schedule=more))
    assert len(completed) > 1
    states = {number: (after.trials[number].state, after.trials[number].kimg) for number in completed}
    assert (TrialState.COMPLETED, 27) in states.values()
    assert set(states.values()) <= {(TrialState.COMPLETED, 27), (TrialState.STOPPED, 9)}
    for old, new in zip(before.trials, after.trials, strict=True):
        assert {k: new.curve[k] for k in old.curve} == old.curve
        if old.number not in completed:
            assert (new.state, new.curve) == (old.state, old.curve)


def test_a_configuration_asked_ahead_is_the_next_trial_and_none_before_it_starts(tmp_path: Path) -> None:
    with first_trial(tmp_path) as (ledger, conductor, running):
        conductor.prepare()
        study = fold(ledger.read(), live=True)
        assert ([trial.number for trial in study.trials], study.ahead and study.ahead.number) == ([0], 1)
        conductor.prepare()  # one waits already
        assert fold(ledger.read(), live=True) == study
        assert conductor.report(running.number, result_of(running.config, 1))
        following = conductor.next()
        assert following is not None
        assert (following.number, following.attempt) == (1, 1)
        assert study.ahead is not None
        assert following.config == study.ahead.config
        study = fold(ledger.read(), live=True)
        assert ([trial.number for trial in study.trials], study.ahead) == ([0, 1], None)


@pytest.mark.parametrize("changes", [{"sampler": {"ask_ahead": False}}, {"trials": 1}])
def test_nothing_is_asked_ahead_if_that_is_off_or_there_is_no_further_trial(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    place, config = tmp_path / "ledger.db", toy_config(**changes)
    open_study(place, config)
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        conductor = Conductor(config, CEILING, writer, ledger.read())
        conductor.next()
        before = ledger.read()
        conductor.prepare()
        assert ledger.read() == before


def test_what_was_asked_ahead_waits_while_fewer_trials_are_wanted(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    open_study(place, toy_config())
    with pytest.raises(Crash):
        drive(place, toy_config(), crash_after=2)  # trial 0 started, trial 1 proposed
    ahead = fold(rows(place), live=False).ahead
    assert ahead is not None
    fewer = drive(place, toy_config(trials=1))
    assert (len(fewer.trials), fewer.trials[0].state, fewer.ahead) == (1, TrialState.COMPLETED, ahead)
    more = drive(place, toy_config(trials=2))
    assert (len(more.trials), more.trials[1].config, more.ahead) == (2, ahead.config, None)


def test_trials_that_have_begun_come_to_their_end_though_fewer_are_wanted(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    open_study(place, toy_config())
    with pytest.raises(Crash):
        drive(place, toy_config(), concurrency=3, crash_after=6)  # three have started, a fourth was proposed
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        assert Conductor(toy_config(trials=2), CEILING, writer, ledger.read()).coming == 3
        assert Conductor(toy_config(), CEILING, writer, ledger.read()).coming == 12
    ended = drive(place, toy_config(trials=2))
    assert [trial.unfinished for trial in ended.trials] == [False] * 3


def test_a_prepared_study_waits_for_no_configuration(tmp_path: Path) -> None:
    """Every trial but the first was proposed before the one before it had ended."""
    place = tmp_path / "ledger.db"
    open_study(place, toy_config())
    drive(place, toy_config())
    order = [row.event.key for row in rows(place)]
    ends = [order.index(f"end/{number}/1") for number in range(11)]
    assert all(order.index(f"trial/{number + 1}") < end for number, end in enumerate(ends))


def test_baselines_come_first_then_the_sampler(uninterrupted: StudyRecord) -> None:
    baselines = toy_config().space.resolve().baselines
    origins = [trial.origin for trial in uninterrupted.trials]
    assert origins[: len(baselines)] == [f"baseline:{b.name}" for b in baselines]
    assert set(origins[len(baselines) :]) == {"sampler"}
    assert len({str(t.params) for t in uninterrupted.trials}) == 12, "no configuration is asked twice"


def test_seeds_differ_between_trials_and_between_studies(tmp_path: Path, uninterrupted: StudyRecord) -> None:
    place, other = tmp_path / "ledger.db", toy_config(seed=8)
    open_study(place, other)
    seeds = [t.config["seed"] for t in [*uninterrupted.trials, *drive(place, other).trials]]
    assert len(set(seeds)) == 24


def test_a_worker_that_dies_after_its_trials_end_changes_nothing(tmp_path: Path) -> None:
    with first_trial(tmp_path) as (ledger, conductor, running):
        conductor.report(0, {"kimg": 0, "ended": "diverged", "cause": "Diverged: x"})
        before = len(ledger.read())
        assert conductor.retry(0) is None
        conductor.fail(0, "worker_lost: 1 times")
        assert not conductor.report(0, result_of(running.config, 1)), "a late report does not open it again"
        assert len(ledger.read()) == before


def test_a_report_of_an_earlier_attempt_is_refused(tmp_path: Path) -> None:
    with first_trial(tmp_path) as (ledger, conductor, running):
        conductor.retry(0)
        late = result_of(running.config, 1) | {"attempt": 1}
        assert not conductor.report(0, late)
        assert fold(ledger.read(), live=True).trials[0].curve == {}
        assert conductor.report(0, result_of(running.config, 1) | {"attempt": 2})


def test_the_board_of_a_raised_budget_waits_for_the_trials_that_go_on(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    open_study(place, toy_config())
    study = drive(place, toy_config())
    more = toy_config(schedule={"grace_kimg": 1, "max_kimg": 27, "reduction_factor": 3}).schedule
    board = Board.resumed(more, 12, 1, [row.event for row in rows(place)])
    completed = {t.number for t in study.trials if t.state == TrialState.COMPLETED}
    assert {line.number for line in board.lines.values() if line.state == "waiting"} == completed
    assert board.finished == 12 - len(completed)
