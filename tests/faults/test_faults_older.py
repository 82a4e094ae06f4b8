"""A reader that holds the lock of a real study's ledger is stopped, and an older ledger is put back."""

import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from fault_studies import Record, Struck, check_promises, one_line_error, results, wait_until

from study.ledger.busy import READER_SECONDS
from study.ledger.records import StudyRecord

pytestmark = pytest.mark.slow

BEFORE_THE_GATE = 4  # reports: all of trial 0 and the first of trial 1 (see `Struck.closed`)
STOPPED_IN_ITS_READ = """
import os, signal, sys
from study.ledger.ledger import Ledger
with Ledger.open(sys.argv[1], schema="struck", create=False) as ledger, ledger._store.reading():
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_stopped_reader_and_an_older_ledger(study: Struck, whole: StudyRecord, record: Record) -> None:
    ledger, older = study.path / "ledger.db", study.folder / "older.db"
    driver = study.start(faults=[study.closed()])
    study.wait_for(BEFORE_THE_GATE, driver)
    shutil.copyfile(ledger, older)  # nobody writes: the one trial waits at the gate

    # A reader holds the lock for longer than anyone's patience but the driver's.
    reader = psutil.Popen([sys.executable, "-c", STOPPED_IN_ITS_READ, str(ledger)])
    wait_until(lambda: reader.status() == psutil.STATUS_STOPPED, "the reader to hold its lock")
    study.open()
    wait_until(lambda: "locked by" in driver.output or driver.process.poll() is not None, "a word on it")
    assert f"is locked by process {reader.pid} (" in " ".join(driver.output.split()), driver.output
    time.sleep(READER_SECONDS)
    assert driver.process.poll() is None, driver.output
    assert study.count() == BEFORE_THE_GATE, "other readers read, and nothing is committed"
    reader.send_signal(signal.SIGCONT)
    went_on = time.monotonic()
    assert reader.wait(60) == 0
    study.wait_for(BEFORE_THE_GATE + 1, driver)
    record(
        "a reader stopped while it holds the ledger's lock, for over 30 s",
        "named; the study waits and goes on",
        "so; results equal",
        time.monotonic() - went_on,
    )

    # Killed in the last trial, and the copy put back.
    wait_until(lambda: study.count("attempt_started") == 4 or driver.process.poll() is not None, "the last trial")
    assert driver.process.poll() is None, driver.output
    driver.clean()
    newer = study.study()
    shutil.copyfile(older, ledger)
    files = _files(study.path)
    for command in ("launch", "sync", "verify", "confirm", "promote"):
        refused = study.start(command=command)
        assert refused.wait() == 1, refused.output
        if command != "verify":
            message = one_line_error(refused.output)
            assert "to go on from it would lose trial 1 after 2 kimg, trial 2" in message
            assert "sync struck --from-older-ledger" in message
    assert _files(study.path) == files, "refused, and nothing touched"
    struck_at = time.monotonic()
    again = study.start("--from-older-ledger")
    assert again.wait() == 0, again.output
    found = check_promises(study)
    assert results(found) == results(whole)
    [aside] = (study.path / "set-aside").iterdir()
    kimgs = [report.kimg for report in newer.trials[2].reports]
    assert kimgs
    assert (aside / "trials" / "00002" / "checkpoints" / f"kimg-{kimgs[-1]:06d}").is_dir()
    for command in ("verify", "sync"):
        done = study.start(command=command)
        assert done.wait() == 0, done.output
    record(
        "an older ledger put back",
        "refused with what would be lost; with the option, newer files set aside, verify content",
        "so; results equal",
        time.monotonic() - struck_at,
    )


def _files(folder: Path) -> dict[str, int]:
    """Every file but those that a look alone may leave."""
    return {str(path): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
