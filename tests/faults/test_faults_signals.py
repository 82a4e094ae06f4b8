"""Signals that reach Ray as well as the driver: of `timeout` and a terminal to a process group, of systemd and Slurm
to every process, in any order.
"""

import os
import re
import signal
import time
from contextlib import suppress

import psutil
import pytest
from fault_studies import Driver, Record, Struck, check_promises, one_line_error, results, wait_until

from study.ledger.records import StudyRecord

pytestmark = pytest.mark.slow


def group(driver: Driver, how: signal.Signals) -> None:
    os.killpg(driver.process.pid, how)


def all_from_the_last(driver: Driver, how: signal.Signals) -> None:
    """To the workers and Ray's servers before the driver."""
    for process in sorted(driver.family(), key=lambda process: process.pid == driver.process.pid):
        with suppress(psutil.Error):
            process.send_signal(how)


def gcs_first(driver: Driver, how: signal.Signals) -> None:
    for gcs in driver.gcs():
        gcs.kill()
    group(driver, how)


def test_a_signal_to_all_is_an_interrupt_whatever_dies_first(study: Struck, whole: StudyRecord, record: Record) -> None:
    strikes = (
        (group, signal.SIGTERM, lambda driver: driver.gcs()),  # while Ray starts
        (group, signal.SIGHUP, lambda driver: study.count() > 0),
        (all_from_the_last, signal.SIGTERM, lambda driver: study.count() > 1),
        (gcs_first, signal.SIGTERM, lambda driver: study.count() > 2),
    )
    slowest = 0.0
    for strike, how, moment in strikes:
        driver = study.start(faults=[study.closed()])
        wait_until(lambda driver=driver, moment=moment: moment(driver) or driver.process.poll() is not None, "it")
        strike(driver, how)
        struck_at = time.monotonic()
        assert driver.wait() == 130, f"{strike.__name__}: {driver.output}"
        slowest = max(slowest, time.monotonic() - struck_at)
        assert re.search("interrupted.*; .*go on with: ganstudy launch", driver.output.replace("\n", " ")), (
            driver.output
        )
        assert "Traceback" not in driver.output
        wait_until(lambda driver=driver: not (driver.gcs() or driver.raylets() or driver.workers()), "Ray's end")
        driver.clean()
    again = study.start()
    assert again.wait() == 0, again.output
    assert results(check_promises(study)) == results(whole)
    fault = "all processes of a launch: SIGTERM, SIGHUP, in any order, and with the GCS killed before"
    record(fault, "as Ctrl-C: the line that goes on, exit 130", "exit 130 each time, results equal", slowest)


def test_ray_is_killed_while_it_starts(study: Struck, record: Record) -> None:
    driver = study.start()
    wait_until(lambda: driver.gcs() or driver.process.poll() is not None, "the GCS")
    for gcs in driver.gcs():
        gcs.kill()
    struck_at = time.monotonic()
    assert driver.wait() == 1, driver.output
    assert re.search("a local Ray does not start: |Ray's GCS at .* is gone", one_line_error(driver.output))
    record("GCS: SIGKILL while it starts", "one line", "one line, exit 1", time.monotonic() - struck_at)
