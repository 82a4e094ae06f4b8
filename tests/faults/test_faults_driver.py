"""The driver is killed again and again, at random points of one study: while it starts and while it trains."""

import random
import signal
import time

import pytest
from fault_studies import Driver, Record, Struck, check_promises, results, wait_until

from study.ledger.records import StudyRecord

pytestmark = pytest.mark.slow

KILLS = 4
SLOW = {"do": "slow", "trial": None, "kimg": None, "seconds": 1.0}  # each report: so that kills find it at work
ENDS = {
    signal.SIGKILL: {-signal.SIGKILL},
    signal.SIGTERM: {130},
}


def wait_for_a_moment(study: Struck, driver: Driver, dice: random.Random) -> None:
    """Until a while after the driver said that it prepares, or runs, or got a report."""
    before = study.count()
    reached = dice.choice(
        [
            lambda: "preparing" in driver.output,
            lambda: "running" in driver.output,
            *[lambda: study.count() > before] * 4,
        ]
    )
    wait_until(lambda: reached() or driver.process.poll() is not None, "a moment to strike")
    time.sleep(dice.uniform(0, SLOW["seconds"]))


def kill_until_done(study: Struck, seed: int) -> list[signal.Signals]:
    """Launch until the study is done, and strike the first launches; return the signals that struck."""
    dice = random.Random(seed)
    struck: list[signal.Signals] = []
    while True:
        driver = study.start(faults=[SLOW])
        how = None
        if len(struck) < KILLS:
            wait_for_a_moment(study, driver, dice)
            if driver.process.poll() is None:
                how = dice.choice(list(ENDS))
                driver.process.send_signal(how)
        code = driver.wait()
        driver.clean()
        if code == 0:
            return struck
        assert how is not None, driver.output
        assert code in ENDS[how], driver.output
        if code == 130:
            assert "go on with: ganstudy launch" in driver.output
            assert "Traceback" not in driver.output
        struck.append(how)


def test_a_driver_killed_again_and_again_gets_the_same_results(
    study: Struck, whole: StudyRecord, record: Record
) -> None:
    struck = kill_until_done(study, seed=1)
    assert len(struck) >= 3
    assert results(check_promises(study)) == results(whole)
    record(f"driver: {told(struck)}, at random points", "resume exact", "results equal the uninterrupted run's")


def test_a_driver_of_two_trials_at_a_time_killed_again_and_again_keeps_its_promises(
    study: Struck, record: Record
) -> None:
    study.changes["concurrency"] = 2
    struck = kill_until_done(study, seed=2)
    assert len(struck) >= 2
    check_promises(study)
    verify = study.start(command="verify")
    assert verify.wait() == 0, verify.output
    assert "as the ledger says, all of it" in verify.output
    record(f"driver of 2 trials at a time: {told(struck)}", "promises hold", "`ganstudy verify` agrees")


def told(struck: list[signal.Signals]) -> str:
    return " and ".join(f"{struck.count(how)} x {how.name}" for how in ENDS if how in struck)
