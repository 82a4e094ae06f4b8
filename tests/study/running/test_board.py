"""The forecast of a running study: from its own pace, so that it comes true where the pace stays."""

import itertools

import pytest

from study.ledger.events import AttemptStarted, Ended, Event, Reported, StudyOpened, TrialProposed
from study.ledger.records import Fold
from study.ledger.rows import Row
from study.running import board as boards
from study.running.board import Board, Line, StudyBoard
from study.study_file.schedule import Schedule

CONFIG = {
    **{"model": {"name": "mlp", "width": 16}, "loss": "hinge", "penalty": {"name": "none"}, "normalisation": "none"},
    **{"generator_optimiser": {"lr": 1e-3}, "discriminator_optimiser": {"lr": 1e-3}},
}
SPEED = 1000.0  # images per second of training alone: a kimg takes 1 s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock; its one value is the time."""
    now = [100.0]
    monkeypatch.setattr(boards.time, "monotonic", lambda: now[0])
    return now


def made(schedule: Schedule, trials: int, concurrency: int) -> Board:
    """The board of a study that was just opened."""
    fold = Fold.of([Row(1, 0.0, 1, StudyOpened("u", {}, "f", 1.0, 2.0, {}))])
    return StudyBoard(schedule, trials, concurrency, fold)


def take(board: Board, event: Event) -> Line | None:
    """What the driver does once an event is committed."""
    board.fold.take(Row(board.fold.position + 1, 0.0, 1, event))
    return board.take(event)


def begin(board: Board, trial: int) -> None:
    take(board, TrialProposed(trial, CONFIG, {}, "sampler", {}))
    take(board, AttemptStarted(trial, 1))


def metrics(kimg: int) -> dict[str, float]:
    return {"fid": 1.0, "fid_best": 1.0, "images_per_second": SPEED, "train_seconds": kimg, "eval_seconds": 2.0 * kimg}


def report(board: Board, trial: int, kimg: int) -> None:
    take(board, Reported(trial, kimg, 1, metrics(kimg)))


def test_a_steady_study_comes_out_as_forecast(clock: list[float]) -> None:
    """Two slots, six trials without rungs to 4 kimg, 3 s for each kimg: 1 s of training and 2 s of evaluation."""
    board = made(Schedule(max_kimg=4, grace_kimg=4, report_kimg=1), trials=6, concurrency=2)
    end = 100.0 + 6 / 2 * 4 * 3.0
    for pair in (0, 2, 4):
        for trial in (pair, pair + 1):
            begin(board, trial)
        for kimg in range(1, 5):
            clock[0] += 3.0
            for trial in (pair, pair + 1):
                report(board, trial, kimg)
            if (pair, kimg) > (0, 3):
                assert board.seconds_left() == pytest.approx(end - clock[0], abs=1.5)
        for trial in (pair, pair + 1):
            take(board, Ended(trial, 1, 4, "completed", None, None))
    assert board.seconds_left() == pytest.approx(0.0)


def test_before_the_first_report_nothing_is_promised(clock: list[float]) -> None:
    board = made(Schedule(max_kimg=4, grace_kimg=1), trials=2, concurrency=2)
    assert board.seconds_left() is None
    begin(board, 0)
    assert board.seconds_left() is None


def test_the_last_trial_has_one_slot(clock: list[float]) -> None:
    """One trial of two is left: half the pace of both."""
    board = made(Schedule(max_kimg=100, grace_kimg=100, report_kimg=1), trials=2, concurrency=2)
    begin(board, 0)
    begin(board, 1)
    for kimg in range(1, 51):
        clock[0] += 2.0
        report(board, 0, kimg)
        report(board, 1, kimg)
    assert board.seconds_left() == pytest.approx(50 * 2.0, rel=0.05)
    take(board, Ended(0, 1, 50, "failed", None, "error"))
    assert board.seconds_left() == pytest.approx(50 * 2.0, rel=0.05)


def test_a_resumed_study_is_not_paced_by_the_past(clock: list[float]) -> None:
    """All earlier events come at one instant, which is no pace."""
    schedule = Schedule(max_kimg=4, grace_kimg=4, report_kimg=1)
    earlier = made(schedule, trials=4, concurrency=1)
    events = [
        event
        for trial, kimg in itertools.product(range(2), range(1, 5))
        for event in (
            *([TrialProposed(trial, CONFIG, {}, "sampler", {}), AttemptStarted(trial, 1)] if kimg == 1 else []),
            Reported(trial, kimg, 1, metrics(kimg)),
        )
    ]
    for event in events:
        take(earlier, event)
    resumed = StudyBoard(schedule, 4, 1, earlier.fold)
    assert resumed.seconds_left() == pytest.approx(8 * 3.0)  # two trials of 4 kimg, each 1 s and 2 s of evaluation
