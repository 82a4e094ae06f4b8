"""`noise` and `confirm` train from the same fresh seeds: what the one has trained the other does not train again."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from confirmations import END, confirm, measure, read
from toys import Crash, drive, fid_of, open_study, toy_config

from study.analysis.confirmation import confirmed
from study.analysis.noise import noise_of
from study.analysis.ranking import rank
from study.folder import StudyFolder
from study.ledger.events import CONFIRM, NOISE, SEED, AttemptStarted, Ended, Reported, RetrainingPlanned
from study.ledger.ledger import Row
from study.ledger.records import StudyRecord, TrialState, fold
from study.study_file.seeds import retraining_seed
from study.verify.check import Discrepancy
from study.verify.decisions import Replay, check_sampler
from study.verify.retrainings import check_noise, check_retrainings


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The ledger of a study that has run to its end."""
    place = tmp_path_factory.mktemp("study") / "ledger.db"
    open_study(place, toy_config())
    drive(place, toy_config())
    return place.read_bytes()


@pytest.fixture
def place(finished: bytes, tmp_path: Path) -> Iterator[Path]:
    """A copy of it where many commits wait for no disk, if there is such a place."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as folder:
        file = Path(folder) / "ledger.db"
        file.write_bytes(finished)
        yield file


def best_of(place: Path) -> int:
    return rank(fold(read(place), live=False).trials)[0].trial.number


def reports(rows: list[Row]) -> int:
    return sum(isinstance(row.event, Reported) and bool(row.event.seed) for row in rows)


def check(place: Path, study: StudyRecord) -> None:
    """What `verify` checks of the ledger."""
    folder, rows = StudyFolder(place.parent, "toy"), read(place)
    Replay(folder, Counter()).take(rows)
    check_sampler(study, Counter())
    check_noise(folder, rows, False, Counter())
    check_retrainings(folder, rows, CONFIRM, False, Counter())


def test_the_noise_is_that_of_the_trials_own_kimg_with_the_seeds_of_a_confirmation(place: Path) -> None:
    trial = best_of(place)
    study = measure(place, trial, 3)
    config = study.trials[trial].config
    curves = [{k: fid_of(config | {"seed": retraining_seed(7, i)}, k) for k in range(1, END + 1)} for i in (1, 2, 3)]
    assert [r.curve for r in study.retrainings] == curves
    assert {(r.state, r.test, r.group) for r in study.retrainings} == {(TrialState.COMPLETED, None, NOISE)}
    assert noise_of(study).spread(SEED, trial, END).fids == tuple(min(curve.values()) for curve in curves)
    check(place, study)
    assert measure(place, trial, 2, crash_after=0) == study, "fewer, or the same again, writes nothing"
    assert len(measure(place, trial, 4).retrainings) == 4
    assert [r.attempts for r in fold(read(place), live=False).retrainings] == [1] * 4


def test_after_a_confirmation_its_noise_is_known(place: Path) -> None:
    study = confirm(place, 2, 3)
    trial = study.plans[0].trials[0]
    before = read(place)
    assert measure(place, trial, 3, crash_after=0) == study
    assert read(place) == before
    spread = noise_of(study).spread(SEED, trial, END)
    assert spread.fids == tuple(r.fid_best for r in study.confirmation.of(study.plans[0], trial))
    pooled = noise_of(study).seed(END)
    assert pooled is not None
    assert pooled.trials == tuple(sorted(study.plans[0].trials))


def test_what_noise_trained_is_only_judged_to_confirm_it(place: Path) -> None:
    trial = best_of(place)
    fresh = place.read_bytes()
    expected = confirm(place, 1, 2)
    place.write_bytes(fresh)
    measured = measure(place, trial, 2)
    trained = reports(read(place))
    assert not measured.confirmation.plans
    study = confirm(place, 1, 2)
    assert reports(read(place)) == trained, "no kimg was trained again"
    found, alone = ([(r.id, r.state, r.curve, r.chosen, r.test) for r in one.retrainings] for one in (study, expected))
    assert found == alone
    assert [(r.attempts, r.group) for r in study.retrainings] == [(2, NOISE)] * 2
    assert confirmed(study) is not None
    assert noise_of(study).measured == noise_of(measured).measured
    check(place, study)


def test_a_crash_after_any_commit_changes_nothing_of_what_is_judged_later(place: Path) -> None:
    trial = best_of(place)
    measured = measure(place, trial, 2)
    before = place.read_bytes()
    expected = [(r.id, r.curve, r.chosen, r.test) for r in confirm(place, 1, 2).retrainings]
    commits = 1 + 2 * 2  # the plan; of each its start and its end
    for number in range(commits):
        place.write_bytes(before)
        with pytest.raises(Crash):
            confirm(place, 1, 2, crash_after=number)
        crashed = fold(read(place), live=False)
        assert noise_of(crashed).measured == noise_of(measured).measured, "what was known before is not lost"
        assert all(r.state == TrialState.COMPLETED for r in crashed.retrainings)
        assert not crashed.confirmation.complete
        check(place, crashed)
        assert [(r.id, r.curve, r.chosen, r.test) for r in confirm(place, 1, 2).retrainings] == expected
    place.write_bytes(before)
    confirm(place, 1, 2, crash_after=commits)


def test_a_crash_after_any_commit_changes_nothing_of_the_noise(place: Path) -> None:
    trial, before = best_of(place), place.read_bytes()
    expected = noise_of(measure(place, trial, 2))
    for number in range(1 + 2 * (1 + END)):
        place.write_bytes(before)
        with pytest.raises(Crash):
            measure(place, trial, 2, crash_after=number)
        assert noise_of(measure(place, trial, 2)) == expected, f"after commit {number}"


def test_a_trial_that_was_stopped_has_noise_at_its_rung_also_from_what_was_trained_further(place: Path) -> None:
    study = fold(read(place), live=False)
    stopped = next(t for t in study.trials if t.state == TrialState.STOPPED and t.kimg > 1)
    short = measure(place, stopped.number, 2)
    assert {(r.budget, r.kimg) for r in short.retrainings} == {(stopped.kimg, stopped.kimg)}
    everyone = confirm(place, len(rank(study.trials)), 3)
    again = measure(place, stopped.number, 3, crash_after=0)
    assert again.retrainings == everyone.retrainings, "the third seed was trained past it"
    fids = noise_of(again).spread(SEED, stopped.number, stopped.kimg).fids
    longer = [r for r in again.retrainings if r.number == stopped.number and r.budget == END]
    assert fids == tuple(r.best_up_to(stopped.kimg) for r in sorted(longer, key=lambda r: r.seed))


def test_what_a_group_did_not_ask_for_cannot_start_again(place: Path) -> None:
    trial = best_of(place)
    study = measure(place, trial, 2)
    again = AttemptStarted(trial, 2, 1, END)
    rows = [*read(place), Row(10_000, 1.0, 1, again)]
    with pytest.raises(Exception, match="it has ended"):
        fold(rows, live=False)
    assert not study.asked(NOISE).due


def test_verify_finds_noise_of_another_budget_and_an_end_that_is_missing(place: Path) -> None:
    trial = best_of(place)
    measure(place, trial, 2)
    folder, rows = StudyFolder(place.parent, "toy"), read(place)
    at = next(i for i, row in enumerate(rows) if isinstance(row.event, RetrainingPlanned))
    wrong = [*rows[:at], replace(rows[at], event=replace(rows[at].event, budget=3))]
    with pytest.raises(Discrepancy, match=rf"noise/1: plans 3 kimg; trial {trial} stood at {END}"):
        check_noise(folder, wrong, False, Counter())
    first = next(i for i, row in enumerate(rows) if isinstance(row.event, Ended) and row.event.seed)
    with pytest.raises(Discrepancy, match="its end does not follow at once"):
        check_noise(folder, rows[:first], False, Counter())
