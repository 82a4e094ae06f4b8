"""A confirmation's heart on made-up curves: what is retrained, how it ends, and that no crash changes anything."""

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from confirmations import END, confirm, read, retrained
from toys import Crash, drive, fid_of, open_study, toy_config

from study.analysis.confirmation import conclude, confirmed
from study.folder import StudyFolder
from study.ledger.events import CONFIRM, Ended, Reported, RetrainingPlanned, StudyChanged, TrialId
from study.ledger.ledger import Ledger
from study.ledger.records import StudyRecord, TrialState, fold
from study.retraining.confirm import ConfirmRequest
from study.retraining.retrainer import Retrainer
from study.study_file.seeds import retraining_seed
from study.verify.decisions import Replay, check_sampler
from study.verify.retrainings import check_retrainings
from trainables.errors import GanStudyError
from trainables.held_out import TEST


def outcome(study: StudyRecord) -> dict[Any, Any]:
    """All that a confirmation found out; not how often it had to start."""
    return {r.id: (r.state, r.cause, r.curve, r.chosen, r.test) for r in study.confirmation.retrainings}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The ledger of a study that has run to its end."""
    place = tmp_path_factory.mktemp("study") / "ledger.db"
    open_study(place, toy_config())
    drive(place, toy_config())
    return place.read_bytes()


@pytest.fixture
def place(finished: bytes, tmp_path: Path) -> Path:
    file = tmp_path / "ledger.db"
    file.write_bytes(finished)
    return file


@pytest.fixture(scope="module")
def whole(finished: bytes, tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """The study, its two best confirmed with three seeds in one go."""
    file = tmp_path_factory.mktemp("whole") / "ledger.db"
    file.write_bytes(finished)
    return confirm(file, 2, 3)


def test_each_retraining_is_the_trial_with_the_seed_of_its_index(whole: StudyRecord) -> None:
    plan = whole.confirmation.plan
    assert plan is not None
    assert set(outcome(whole)) == {TrialId(trial, index, END) for trial in plan.trials for index in (1, 2, 3)}
    for r in whole.confirmation.retrainings:
        config = whole.trials[r.number].config | {"seed": retraining_seed(7, r.seed)}
        assert r.curve == {k: fid_of(config, k) for k in range(1, END + 1)}
        assert r.state == TrialState.COMPLETED
        assert r.test is not None
        assert r.chosen == min(r.curve, key=lambda k: r.curve[k])
        assert r.test["fid"] == r.curve[r.chosen] + 2


def test_fresh_seeds_are_the_same_for_all_trials_and_none_of_the_studys(whole: StudyRecord) -> None:
    seeds = [retraining_seed(7, index) for index in range(1, 200)]
    assert len(set(seeds)) == len(seeds)
    assert retraining_seed(8, 1) != seeds[0]
    assert min(seeds) >= 2**32 > max(trial.config["seed"] for trial in whole.trials)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder where many commits wait for no disk, if there is one."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as folder:
        yield Path(folder)


def test_a_crash_after_any_commit_changes_nothing(in_memory: Path, finished: bytes, whole: StudyRecord) -> None:
    place = in_memory / "ledger.db"
    commits = 1 + 2 * (1 + END)  # the plan; for each retraining its start and its reports, the last with its end
    expected = {where: found for where, found in outcome(whole).items() if where.seed == 1}
    for number in range(commits):
        place.write_bytes(finished)
        with pytest.raises(Crash):
            confirm(place, 2, 1, crash_after=number)
        assert outcome(confirm(place, 2, 1)) == expected, f"after commit {number}"
    place.write_bytes(finished)
    assert outcome(confirm(place, 2, 1, crash_after=commits)) == expected, "there are no more"


def test_the_last_report_and_the_end_are_one_transaction(place: Path) -> None:
    """However far a crash let it come: no ledger holds the one without the other."""
    for crash_after in range(2 + END):
        with suppress(Crash):
            confirm(place, 1, 1, crash_after=crash_after, slots=1)
        events = [row.event for row in read(place)]
        last = [e for e in events if isinstance(e, Reported) and e.seed and e.kimg == END]
        assert len(last) == sum(isinstance(e, Ended) and bool(e.seed) for e in events)
    assert len(last) == 1


def test_more_seeds_and_more_trials_extend_it(place: Path, whole: StudyRecord) -> None:
    assert outcome(confirm(place, 1, 2)).items() < outcome(whole).items()
    assert outcome(confirm(place, 2, 3)) == outcome(whole)
    assert [r.attempts for r in fold(read(place), live=False).confirmation.retrainings] == [1] * 6, "none ran twice"
    assert outcome(confirm(place, 2, 3, crash_after=0)) == outcome(whole), "the same again writes nothing"
    again = confirm(place, 1, 2)
    assert outcome(again) == outcome(whole)
    assert again.confirmation.complete
    assert len(again.confirmation.planned) == 2, "the newest plan decides what is evaluated"


def test_the_study_itself_is_untouched(place: Path, finished: bytes) -> None:
    config, more = toy_config(), toy_config(trials=14)
    before = fold(read(place), live=False)
    after = confirm(place, 2, 2)
    assert (after.trials, after.config, after.measured) == (before.trials, before.config, before.measured)
    folder = StudyFolder(place.parent, "toy")
    Replay(folder, Counter()).take(read(place))
    check_sampler(after, Counter())
    counts = Counter[str]()
    assert (
        check_retrainings(folder, read(place), CONFIRM, False, counts)
        == "4 retrainings have no checkpoints to compare with"
    )
    assert counts == {"plans": 1, "retrainings": 4, "reports": 4 * END}

    confirmed_first = drive(place, more)
    place.write_bytes(finished)
    assert [t.config for t in drive(place, more).trials] == [t.config for t in confirmed_first.trials]
    assert config.trials < more.trials


def test_a_study_that_went_on_has_no_winner_until_it_is_confirmed_again(place: Path) -> None:
    assert confirmed(confirm(place, 2, 1)) is not None
    longer = toy_config(schedule={"grace_kimg": 1, "max_kimg": 27, "reduction_factor": 3})
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        writer.append(StudyChanged(1, longer.to_dict()))
    evaluated = conclude(drive(place, longer))
    assert evaluated is not None
    assert (evaluated.complete, evaluated.current, evaluated.winner) == (True, False, None)


ENDS: dict[str, tuple[dict[str, Any], TrialState, str]] = {
    "diverged": ({"ended": "diverged", "cause": "Diverged: loss_d"}, TrialState.DIVERGED, "Diverged: loss_d"),
    "failed": ({"ended": "failed", "cause": "error: no"}, TrialState.FAILED, "error: no"),
    "not finite": ({"fid": math.nan}, TrialState.DIVERGED, f"fid is nan at {END} kimg"),
    "no number": ({"loss_g": None}, TrialState.FAILED, "error: metric loss_g is None, which is no number"),
    "not evaluated": (
        {"chosen": None},
        TrialState.FAILED,
        "error: evaluated on test images was the generator of None kimg, not ",
    ),
    "evaluated by less": (
        {TEST + "kid": None},
        TrialState.FAILED,
        f"error: metric {TEST}kid is None, which is no number",
    ),
    "evaluated without a number": ({TEST + "kid": math.inf}, TrialState.FAILED, f"error: metric {TEST}kid is inf"),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_retraining_that_does_not_complete_is_kept_and_counted(place: Path, how: str) -> None:
    change, state, cause = ENDS[how]
    lost = retraining_seed(7, 2)

    def result(config: Mapping[str, Any], kimg: int) -> dict[str, Any]:
        return retrained(config, kimg) | (change if kimg == END and config["seed"] == lost else {})

    study = confirm(place, 1, 3, result=result)
    first, second, third = sorted(study.confirmation.retrainings, key=lambda r: r.seed)
    assert (first.state, second.state, third.state) == (TrialState.COMPLETED, state, TrialState.COMPLETED)
    assert (second.cause or "").startswith(cause)
    assert (second.test, second.chosen) == (None, None)
    evaluated = conclude(study)
    assert evaluated is not None
    (configuration,) = evaluated.configurations
    assert (set(configuration.tests), configuration.lost) == ({1, 3}, 1)
    assert evaluated.complete
    again = confirm(place, 1, 3)
    _, second, _ = sorted(again.confirmation.retrainings, key=lambda r: r.seed)
    if state == TrialState.DIVERGED:
        assert outcome(again) == outcome(study), "what has diverged is not tried again"
    else:
        assert (second.state, second.cause, second.attempts) == (TrialState.COMPLETED, None, 2)
        assert second.curve == {k: fid_of(second_config(again, second.number), k) for k in range(1, END + 1)}
    counts = Counter[str]()
    check_retrainings(StudyFolder(place.parent, "toy"), read(place), CONFIRM, False, counts)
    assert counts["retrainings"] == 3


def second_config(study: StudyRecord, trial: int) -> dict[str, Any]:
    return study.trials[trial].config | {"seed": retraining_seed(7, 2)}


def lost_at_5(config: Mapping[str, Any], kimg: int) -> dict[str, Any]:
    """The worker of the second seed is lost on its way to 5 kimg."""
    lost = {"ended": "failed", "cause": "worker_lost: 4 times"}
    return retrained(config, kimg) | (lost if kimg == 5 and config["seed"] == retraining_seed(7, 2) else {})


def test_a_crash_while_what_failed_is_tried_again_changes_nothing(
    in_memory: Path, finished: bytes, whole: StudyRecord
) -> None:
    place = in_memory / "ledger.db"
    place.write_bytes(finished)
    before = confirm(place, 1, 2, result=lost_at_5)
    failed, winner = place.read_bytes(), confirmed(before)
    assert winner is not None
    assert (winner.lost, len(winner.tests)) == (1, 1)
    trial = winner.trial.number
    expected = {at: found for at, found in outcome(whole).items() if at.trial == trial and at.seed <= 2}
    commits = 1 + END - 4  # its start, and its reports after 4 kimg, the last with its end
    for number in range(commits):
        place.write_bytes(failed)
        with pytest.raises(Crash):
            confirm(place, 1, 2, crash_after=number)
        crashed = fold(read(place), live=False)
        retraining = crashed.confirmation.find(TrialId(trial, 2, END))
        assert retraining is not None
        assert (retraining.state, retraining.retried) == (TrialState.FAILED, number > 0)
        assert crashed.confirmation.complete, "what was known before is not lost"
        assert confirmed(crashed) == replace(winner, retrainings=(winner.retrainings[0], retraining))
        assert fold(read(place), live=True).confirmation.complete == (number == 0)
        check_retrainings(StudyFolder(place.parent, "toy"), read(place), CONFIRM, False, Counter())
        assert outcome(confirm(place, 1, 2)) == expected, f"after commit {number}"
    place.write_bytes(failed)
    assert outcome(confirm(place, 1, 2, crash_after=commits)) == expected, "there are no more"


def test_an_answer_is_not_lost_to_a_larger_plan_that_is_unfinished(place: Path) -> None:
    small = confirmed(confirm(place, 2, 1))
    assert small is not None
    with pytest.raises(Crash):
        confirm(place, 2, 3, crash_after=5)
    study = fold(read(place), live=False)
    evaluated = conclude(study)
    assert evaluated is not None
    assert evaluated.unfinished is study.confirmation.plan
    assert (evaluated.plan.seeds, evaluated.complete, evaluated.winner) == (1, True, small)
    larger = conclude(confirm(place, 2, 3))
    assert larger is not None
    assert (larger.plan.seeds, larger.unfinished) == (3, None)


def test_an_older_plan_of_another_budget_does_not_hold(place: Path) -> None:
    """The study has gone on to a larger budget: neither the old plan nor the new, unfinished one decides."""
    confirm(place, 2, 1)
    longer = toy_config(schedule={"grace_kimg": 1, "max_kimg": 27, "reduction_factor": 3})
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        writer.append(StudyChanged(1, longer.to_dict()))
    drive(place, longer)
    with pytest.raises(Crash):
        confirm(place, 2, 1, crash_after=2)
    evaluated = conclude(fold(read(place), live=False))
    assert evaluated is not None
    assert (evaluated.plan.number, evaluated.unfinished, evaluated.winner) == (2, None, None)


def test_unless_told_otherwise_the_plan_is_as_large_as_the_newest(place: Path) -> None:
    study = fold(read(place), live=False)
    first = ConfirmRequest().plan(study, "test")
    assert (len(first.trials), first.seeds) == (3, 5)
    study = confirm(place, 2, 3)
    same = ConfirmRequest().plan(study, "test")
    assert study.confirmation.plan is not None
    assert (same.trials, same.seeds) == (study.confirmation.plan.trials, 3)
    assert (len(ConfirmRequest(top=1).plan(study, "test").trials), ConfirmRequest(top=1).plan(study, "test").seeds) == (
        1,
        3,
    )
    assert (
        len(ConfirmRequest(seeds=4).plan(study, "test").trials),
        ConfirmRequest(seeds=4).plan(study, "test").seeds,
    ) == (2, 4)


def test_reports_made_twice_or_by_a_worker_that_was_given_up_change_nothing(place: Path) -> None:
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        writer.append(ConfirmRequest(1, 1).plan(fold(ledger.read(), live=False), "test"))
        confirmer = Retrainer(toy_config(), fold(ledger.read(), live=True), writer, CONFIRM)
        running = confirmer.next()
        assert running is not None
        config = dict(running.config)
        assert confirmer.report(0, retrained(config, 1) | {"attempt": 1})
        assert confirmer.retry(0) is not None
        assert not confirmer.report(0, retrained(config, 2) | {"attempt": 1}), "of the attempt before"
        assert confirmer.report(0, retrained(config, 1) | {"attempt": 2, "fid": 500.0})
        for kimg in range(2, END):
            assert confirmer.report(0, retrained(config, kimg) | {"attempt": 2})
        assert not confirmer.report(0, retrained(config, END) | {"attempt": 2})
        before = ledger.read()
        assert not confirmer.report(0, retrained(config, END) | {"attempt": 2})
        assert confirmer.retry(0) is None
        confirmer.fail(0, "worker_lost: too late")
        assert ledger.read() == before
        (retraining,) = fold(before, live=False).confirmation.retrainings
    assert retraining.curve == {k: fid_of(config, k) for k in range(1, END + 1)}
    assert (retraining.state, retraining.attempts) == (TrialState.COMPLETED, 2)


def test_a_lost_worker_fails_only_its_retraining_and_a_full_disk_stops_all(place: Path) -> None:
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        writer.append(ConfirmRequest(1, 2).plan(fold(ledger.read(), live=False), "test"))
        confirmer = Retrainer(toy_config(), fold(ledger.read(), live=True), writer, CONFIRM)
        for _ in range(2):
            assert confirmer.next() is not None
        confirmer.fail(0, "worker_lost: 4 times")
        with pytest.raises(GanStudyError, match="seed 2 cannot go on: full; free space, then confirm again"):
            confirmer.report(1, {"ended": "halt", "cause": "full; free space"})
        study = fold(ledger.read(), live=False)
    states = {r.seed: (r.state, r.cause) for r in study.confirmation.retrainings}
    assert states == {1: (TrialState.FAILED, "worker_lost: 4 times"), 2: (TrialState.INTERRUPTED, None)}


def test_a_plan_that_the_ranking_did_not_make_is_found(place: Path) -> None:
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        right = ConfirmRequest(2, 1).plan(fold(ledger.read(), live=False), "test")
        wrong = RetrainingPlanned(CONFIRM, 1, right.trials[::-1], 1, right.budget, right.fingerprint, "test")
        writer.append(wrong)
    with pytest.raises(GanStudyError, match=r"confirm/1: plans trials .* the best were"):
        check_retrainings(StudyFolder(place.parent, "toy"), read(place), CONFIRM, False, Counter())
