"""Records: the fold of every possible history is what a naive reading of it says, and an impossible one is refused."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import (
    METRICS,
    OPENED,
    STORY,
    Backend,
    opened,
    planned,
    proposed,
    reported,
    retraining_ended,
    retraining_reported,
    retraining_started,
)

from study.ledger.events import (
    EVALUATION,
    SEED,
    AttemptStarted,
    Ended,
    Event,
    NoiseMeasured,
    Reported,
    StudyChanged,
    StudyOpened,
    TrialId,
    TrialProposed,
)
from study.ledger.records import StudyRecord, TrialRecord, TrialState, fold
from study.ledger.rows import Row
from trainables.errors import CorruptFile, InvalidInput


def rows(*events: Event) -> list[Row]:
    return [Row(seq, float(seq), 1, event) for seq, event in enumerate(events, start=1)]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """A random history that a driver could have written: it only ever does what is possible next."""
    events: list[Event] = [OPENED]
    started: dict[int, int] = {}  # trial -> attempts
    running: set[int] = set()
    told: set[tuple[int, int]] = set()
    revision = 0
    measured: Counter[tuple[int, int, str]] = Counter()
    steps = ["propose", "start", "report", "report", "end", "change", "noise"]
    for step in draw(st.lists(st.sampled_from(steps), max_size=40)):
        if step == "propose" and all(started.values()):
            events.append(proposed(len(started)))
            started[len(started)] = 0
        elif step == "change":
            revision += 1
            events.append(StudyChanged(revision, {"revision": revision}))
        elif step == "start" and started:
            trial = draw(st.sampled_from(sorted(started)))
            started[trial] += 1
            running.add(trial)
            events.append(AttemptStarted(trial, started[trial]))
        elif step == "report" and running:
            trial, kimg = draw(st.sampled_from(sorted(running))), draw(st.integers(1, 6))
            fid = draw(st.floats(0, 400))
            if (trial, kimg) not in told:
                told.add((trial, kimg))
                events.append(reported(trial, kimg, fid, started[trial]))
        elif step == "noise" and told:
            trial, kimg = draw(st.sampled_from(sorted(told)))
            kind = (trial, kimg, draw(st.sampled_from((EVALUATION, SEED))))
            measured[kind] += 1
            events.append(NoiseMeasured(*kind, measured[kind], draw(st.floats(0, 400)), None))
        elif step == "end" and running:
            trial = draw(st.sampled_from(sorted(running)))
            state = draw(st.sampled_from(["completed", "stopped", "diverged", "failed"]))
            rung = 3 if state == "stopped" else None
            running.remove(trial)
            events.append(Ended(trial, started[trial], 3, state, rung, "why" if state == "failed" else None))
    return events


def check_against_naive_reading(record: StudyRecord, events: Sequence[Event], live: bool) -> None:
    """Derive each field by looking through all the events for it, without any state."""
    changes = [event for event in events if isinstance(event, StudyChanged)]
    assert record.config == (changes[-1].config if changes else OPENED.config)
    assert record.revision == len(changes)
    assert (record.uid, record.fingerprint) == (OPENED.uid, OPENED.fingerprint)
    assert (record.fid_floor, record.fid_ceiling) == (OPENED.fid_floor, OPENED.fid_ceiling)
    assert list(record.measured) == [event for event in events if isinstance(event, NoiseMeasured)]
    proposals = [event.trial for event in events if isinstance(event, TrialProposed)]
    begun = {event.trial for event in events if isinstance(event, AttemptStarted)}
    assert [trial.number for trial in record.trials] == [number for number in proposals if number in begun]
    assert ([record.ahead.number] if record.ahead else []) == [number for number in proposals if number not in begun]
    for trial in record.trials:
        mine = [event for event in events if getattr(event, "trial", None) == trial.number]
        starts = [event for event in mine if isinstance(event, AttemptStarted)]
        reports = [event for event in mine if isinstance(event, Reported)]
        last = next((e for e in reversed(mine) if isinstance(e, AttemptStarted | Ended)), None)
        assert trial.attempts == len(starts)
        assert trial.curve == {event.kimg: event.metrics["fid"] for event in reports}
        assert list(trial.curve) == sorted(trial.curve)
        if isinstance(last, Ended):
            assert (trial.state, trial.rung, trial.cause) == (last.state, last.rung, last.cause)
            assert trial.ended_at is not None
        else:
            assert trial.state == ("running" if live else "interrupted")
            assert (trial.rung, trial.cause, trial.ended_at) == (None, None, None)
        assert trial.unfinished == (not isinstance(last, Ended))
        _check_figures(trial)


def _check_figures(trial: TrialRecord) -> None:
    curve = trial.curve
    if not curve:
        assert (trial.kimg, trial.fid, trial.fid_best, trial.kimg_best) == (0, None, None, None)
        return
    assert trial.kimg == max(curve)
    assert trial.fid == curve[max(curve)]
    assert trial.fid_best == min(curve.values())
    assert trial.kimg_best == min(kimg for kimg, fid in curve.items() if fid == min(curve.values()))


@given(histories(), st.booleans())
def test_fold_is_the_naive_reading(events: list[Event], live: bool) -> None:
    check_against_naive_reading(fold(rows(*events), live), events, live)


@settings(max_examples=25, deadline=None)
@given(events=histories(), cuts=st.lists(st.integers(1, 40), max_size=3), again=st.data())
def test_through_the_ledger_it_is_the_same(
    backend: Backend, events: list[Event], cuts: list[int], again: st.DataObject
) -> None:
    """Written in several transactions, some events twice, by several drivers one after the other."""
    bounds = sorted({0, *(min(cut, len(events)) for cut in cuts), len(events)})
    with opened(backend.fresh()) as ledger:
        for start, end in pairwise(bounds):
            with ledger.own("here", 1) as writer:
                assert writer.append(*events[start:end]) == [True] * (end - start)
                repeated = again.draw(st.lists(st.sampled_from(events[:end]), max_size=3))
                assert writer.append(*repeated) == [False] * len(repeated)
        read = ledger.read()
    assert [row.event for row in read] == events
    assert [row.epoch for row in read] == [
        epoch for epoch, (a, b) in enumerate(pairwise(bounds), start=1) for _ in range(a, b)
    ]
    check_against_naive_reading(fold(read, live=True), events, live=True)


def test_a_reopened_trial_runs_again_and_keeps_its_reports() -> None:
    again = rows(*STORY, AttemptStarted(0, 2), reported(0, 5, 70.0, attempt=2))
    trial = fold(again, live=True).trials[0]
    assert (trial.state, trial.attempts, trial.rung, trial.ended_at) == (TrialState.RUNNING, 2, None, None)
    assert trial.curve == {5: 70.0, 10: 50.0}  # in order of budget, not of arrival
    assert fold(again, live=False).trials[0].state == TrialState.INTERRUPTED


@pytest.mark.parametrize(
    ("flags", "last", "best"),
    [((None, None), None, None), ((0.0, 0.0), False, False), ((0.0, 1.0), True, False), ((1.0, 0.0), False, True)],
)
def test_whether_a_trial_had_collapsed_at_its_end_and_at_its_best(
    flags: tuple[float | None, ...], last: bool | None, best: bool | None
) -> None:
    """The first report has the best FID; a ledger from before the flag has none."""
    reports = [
        Reported(0, kimg, 1, {"fid": float(kimg)} | ({} if flag is None else {"collapsed": flag}))
        for kimg, flag in zip((10, 20), flags, strict=True)
    ]
    trial = fold(rows(*BEGUN, *reports), live=False).trials[0]
    assert (trial.collapsed, trial.collapsed_best) == (last, best)


def test_earlier_results_are_no_trials_of_the_study() -> None:
    study = fold(rows(*STORY), live=False)
    assert [trial.number for trial in study.trials] == [0, 1]
    (earlier,) = study.earlier
    assert (earlier.name, earlier.uid, earlier.finished, str(earlier)) == (
        *("other", "u0", 2),
        "1 of 2 finished trials of other",
    )
    assert [(t.number, t.params, t.state, t.curve) for t in earlier.trials] == [
        (1, {"loss": "hinge"}, "stopped", {10: 60.0})
    ]
    assert earlier.event == STORY[1]


def test_times_are_those_of_the_rows() -> None:
    study = fold(rows(*STORY), live=False)
    first = study.trials[0]
    assert (study.opened_at, first.started_at, first.reports[0].written_at, first.ended_at) == (1.0, 4.0, 5.0, 6.0)


BEGUN = (OPENED, proposed(0), AttemptStarted(0, 1))
PLANNED = (*BEGUN, planned(1, [0], 2, 9, "f", "t"))
RETRAINING = (*PLANNED, retraining_started(0, 1, 9, 1))


def again(kimg: int) -> Reported:
    """A report of the retraining, its FID the kimg."""
    return retraining_reported(0, 1, 9, 1, kimg, {"fid": float(kimg)})


def judged_at(chosen: int) -> Ended:
    return retraining_ended(0, 1, 9, 1, 9, "completed", None, chosen, {"fid": 5.0})


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ((proposed(0),), "was not opened before"),
        ((OPENED, StudyOpened("u2", {}, "f", 1.0, 2.0, {})), "was opened before"),
        ((OPENED, reported(0, 10)), "trial 0 was never proposed"),
        ((OPENED, AttemptStarted(0, 1)), "trial 0 was never proposed"),
        ((OPENED, Ended(0, 1, 0, "failed", None, None)), "trial 0 was never proposed"),
        ((OPENED, proposed(0), proposed(0)), "proposed before"),
        ((OPENED, proposed(0), proposed(1)), "trial 0 was proposed before it, and never started"),
        ((OPENED, proposed(0), AttemptStarted(0, 2)), "follows attempt 0"),
        ((OPENED, proposed(0), reported(0, 10)), "of attempt 1, but trial 0 is at attempt 0"),
        ((*BEGUN, AttemptStarted(0, 1)), "follows attempt 1"),
        ((*BEGUN, AttemptStarted(0, 2), reported(0, 10)), "of attempt 1, but trial 0 is at attempt 2"),
        ((*BEGUN, reported(0, 10), reported(0, 10, 3.0)), "reported at kimg 10 before"),
        ((*BEGUN, Ended(0, 1, 0, "failed", None, None), reported(0, 10)), "has ended"),
        ((*BEGUN, Ended(0, 1, 0, "failed", None, None), Ended(0, 1, 0, "completed", None, None)), "has ended"),
        ((OPENED, StudyChanged(2, {})), "follows revision 0"),
        ((*BEGUN, STORY[1]), "written when a study is opened"),
        ((OPENED, StudyChanged(1, {}), STORY[1]), "written when a study is opened"),
        ((OPENED, NoiseMeasured(0, 10, "seed", 1, 5.0, None)), "trial 0 was never proposed"),
        ((*BEGUN, NoiseMeasured(0, 10, "seed", 1, 5.0, None)), "trial 0 has not reported at kimg 10"),
        ((*BEGUN, reported(0, 10), NoiseMeasured(0, 10, "seed", 2, 5.0, None)), "follows 0 such measurements"),
        ((*STORY, NoiseMeasured(0, 10, "evaluation", 1, 5.0, None)), "follows 1 such measurements"),
        ((*BEGUN, planned(2, [0], 1, 9, "f", "t")), "follows 0 plans"),
        ((*BEGUN, planned(1, [0, 1], 1, 9, "f", "t")), "trial 1 was never proposed"),
        ((*BEGUN, planned(1, [0], 1, 9, "other", "t")), "its fingerprint is other, the study's f"),
        ((*PLANNED, planned(2, [0], 3, 9, "f", "other")), "test fingerprint other follows t"),
        ((*PLANNED, retraining_started(1, 1, 9, 1)), "is in no plan"),
        ((*PLANNED, retraining_started(0, 3, 9, 1)), "is in no plan"),
        ((*PLANNED, retraining_started(0, 1, 8, 1)), "is in no plan"),
        ((*PLANNED, retraining_started(0, 1, 9, 2)), "follows attempt 0"),
        ((*PLANNED, again(9)), "never began"),
        (
            (*RETRAINING, retraining_reported(0, 1, 9, 2, 9, METRICS)),
            "of attempt 2, but the retraining is at attempt 1",
        ),
        ((*RETRAINING, again(3), again(3)), "reported at kimg 3 before"),
        ((*RETRAINING, retraining_ended(0, 1, 9, 1, 9, "failed", "why", None, None)), "last report is of kimg 0"),
        ((*RETRAINING, again(3), again(9), judged_at(9)), "kimg 9 is not that of its best FID"),
        ((*RETRAINING, again(3), again(9), judged_at(3), retraining_started(0, 1, 9, 2)), "has ended"),
    ],
)
def test_an_impossible_history_is_refused_with_its_row(events: tuple[Event, ...], message: str) -> None:
    with pytest.raises(CorruptFile, match=message) as caught:
        fold(rows(*events), live=False)
    assert f"row {len(events)} ({events[-1].key!r})" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_retraining_is_folded_apart_from_the_trials() -> None:
    history = (*RETRAINING, again(9), retraining_started(0, 1, 9, 2), retraining_reported(0, 1, 9, 2, 3, {"fid": 3.0}))
    without, study = fold(rows(*BEGUN), live=False), fold(rows(*history), live=False)
    assert study.trials == without.trials
    (retraining,) = study.confirmation.retrainings
    assert (retraining.id, retraining.attempts, retraining.state) == (TrialId(0, 1, 9), 2, TrialState.INTERRUPTED)
    assert retraining.curve == {3: 3.0, 9: 9.0}  # in order of kimg, not of arrival
    assert (retraining.fid_best, retraining.kimg_best, retraining.best_up_to(2)) == (3.0, 3, None)
    assert not study.confirmation.complete
    assert study.confirmation.planned == [TrialId(0, 1, 9), TrialId(0, 2, 9)]


def test_the_newest_plan_holds_and_is_complete_when_all_of_it_has_ended() -> None:
    end = (retraining_reported(0, 1, 9, 1, 9, METRICS), judged_at(9))
    extended = (planned(2, [0], 1, 9, "f", "t"),)
    assert fold(rows(*RETRAINING), live=True).confirmation.retrainings[0].state == TrialState.RUNNING
    first = fold(rows(*RETRAINING, *end), live=True).confirmation
    assert (first.ended, first.complete) == (1, False)
    second = fold(rows(*RETRAINING, *end, *extended), live=True).confirmation
    assert (second.ended, second.complete) == (1, True)
    assert second.retrainings[0].test_fid == 5.0


def test_what_failed_may_start_again_and_is_failed_until_it_ends_otherwise() -> None:
    lost = retraining_ended(0, 1, 9, 1, 3, "failed", "worker_lost: 4 times", None, None)
    history = (*RETRAINING, again(3), lost, retraining_started(0, 1, 9, 2))
    (retraining,) = fold(rows(*history), live=False).confirmation.retrainings
    assert (retraining.state, retraining.cause, retraining.retried) == (TrialState.FAILED, lost.cause, True)
    (retraining,) = fold(rows(*history), live=True).confirmation.retrainings
    assert (retraining.state, retraining.cause, retraining.retried) == (TrialState.RUNNING, None, True)
    end = replace(judged_at(3), attempt=2)
    history += (retraining_reported(0, 1, 9, 2, 9, {"fid": 9.0}), end)
    (retraining,) = fold(rows(*history), live=False).confirmation.retrainings
    assert (retraining.state, retraining.attempts, retraining.retried) == (TrialState.COMPLETED, 2, False)
    for state in ("diverged", "failed"):
        over = (*RETRAINING, replace(lost, kimg=0, state=state), retraining_started(0, 1, 9, 3))
        with pytest.raises(CorruptFile, match="has ended" if state == "diverged" else "follows attempt 1"):
            fold(rows(*over), live=False)


def test_an_empty_ledger_is_no_study() -> None:
    with pytest.raises(InvalidInput, match="ganstudy launch"):
        fold([], live=False)
