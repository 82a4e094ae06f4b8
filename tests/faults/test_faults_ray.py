"""What goes wrong in Ray itself: its GCS, its raylets, a whole node."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from fault_studies import Record, Struck, check_promises, one_line_error, results, wait_until

from study.ledger.records import StudyRecord

pytestmark = pytest.mark.slow

CLUSTER = Path(__file__).parent / "small_cluster.py"


def test_the_gcs_is_killed(study: Struck, whole: StudyRecord, record: Record) -> None:
    driver = study.start(faults=[study.closed()])
    study.wait_for(4, driver)
    [gcs] = driver.gcs()
    gcs.kill()
    struck_at = time.monotonic()
    assert driver.wait(60) == 1, driver.output
    seconds = time.monotonic() - struck_at
    assert "Ray's GCS" in one_line_error(driver.output)
    driver.clean()
    again = study.start()
    assert again.wait() == 0, again.output
    assert results(check_promises(study)) == results(whole)
    record("GCS: SIGKILL", "one line within a minute, resume exact", "one line, exit 1, results equal", seconds)


def test_the_raylet_is_killed_and_two_drivers_resume_at_once(study: Struck, whole: StudyRecord, record: Record) -> None:
    driver = study.start(faults=[study.closed()])
    study.wait_for(4, driver)
    [raylet] = driver.raylets()
    raylet.kill()
    struck_at = time.monotonic()
    assert driver.wait(60) == 1, driver.output
    seconds = time.monotonic() - struck_at
    assert "Ray's raylet" in one_line_error(driver.output)
    driver.clean()
    record("raylet of the driver's node: SIGKILL", "one line, resume exact", "one line, exit 1, equal", seconds)

    two = [study.start(faults=[study.closed()]) for _ in range(2)]
    loser = wait_until(lambda: next((one for one in two if one.process.poll() is not None), None), "a loser")
    study.open()
    winner = next(one for one in two if one is not loser)
    assert loser.wait() == 1, loser.output
    assert f"is being run by process {winner.process.pid}" in one_line_error(loser.output)
    assert winner.wait() == 0, winner.output
    assert results(check_promises(study)) == results(whole)
    record("two resumes at once", "exactly one wins", "the other: one line that names it, exit 1")


class TwoNodes:
    """A cluster of two Ray nodes with one CPU each, and a study of which a trial waits on either, at its 4th kimg."""

    def __init__(self, study: Struck) -> None:
        study.changes |= {"concurrency": 2, "schedule": {"grace_kimg": 6, "max_kimg": 6, "report_kimg": 2}}
        self.study = study
        self.note = study.folder / "note"
        faults = [study.closed(trial=None), {"do": "note", "file": str(self.note)}]
        self.cluster = study.run([sys.executable, str(CLUSTER)], faults=faults)
        facts = wait_until(self._facts, "the cluster")
        self.other = psutil.Process(facts["other_raylet"])
        self.driver = study.start("--address", facts["address"])
        study.wait_for(2, self.driver)
        [self.worker] = [process for process in self.cluster.workers() if process in self._of_the_other()]

    def _facts(self) -> dict[str, Any] | None:
        assert self.cluster.process.poll() is None, self.cluster.output
        lines = [line for line in self.cluster.output.splitlines() if line.startswith("{")]
        return json.loads(lines[0]) if lines else None

    def _of_the_other(self) -> list[psutil.Process]:
        return self.other.children(recursive=True)

    def kill_the_node(self) -> None:
        for process in (self.other, *self._of_the_other()):
            process.kill()

    def second_attempt(self) -> int:
        """Wait for a second start of a trial; return its number."""

        def there() -> list[int]:
            assert self.driver.process.poll() is None, self.driver.output
            return [row.event.trial for row in self.study.rows() if getattr(row.event, "attempt", 0) > 1]

        return int(wait_until(there, "a second attempt")[0])

    def fence(self, number: int) -> int:
        """The attempt that owns the files of a trial."""
        return int((self.study.path / "trials" / f"{number:05d}" / "attempt").read_text() or 0)

    def check_the_end(self) -> StudyRecord:
        assert self.driver.wait() == 0, self.driver.output
        found = check_promises(self.study)
        assert [trial.state.value for trial in found.trials] == ["completed"] * 4
        assert sorted(trial.attempts for trial in found.trials) == [1, 1, 1, 2]
        return found


@pytest.mark.parametrize("what", ["all it runs", "its raylet"])
def test_a_node_is_killed(study: Struck, record: Record, what: str) -> None:
    two = TwoNodes(study)
    struck_at = time.monotonic()
    {"all it runs": two.kill_the_node, "its raylet": two.other.kill}[what]()
    two.second_attempt()
    seconds = time.monotonic() - struck_at
    study.open()
    two.check_the_end()
    record(f"a node: SIGKILL of {what}", "its trial goes on elsewhere", "all trials end, none counted twice", seconds)


def test_a_raylet_and_its_trial_stop_and_come_back_too_late(study: Struck, record: Record) -> None:
    two = TwoNodes(study)
    struck_at = time.monotonic()
    for process in (two.other, two.worker):
        process.suspend()
    number = two.second_attempt()
    seconds = time.monotonic() - struck_at
    study.open()
    wait_until(lambda: two.fence(number) == 2, "the second attempt to take the files over")
    two.worker.resume()  # which trains on and finds that it has been replaced, unless Ray ends it first
    wait_until(lambda: two.note.exists() or not two.worker.is_running(), "the old worker's end")
    assert not two.note.exists() or two.note.read_text() == f"{number}: StaleAttempt"
    two.other.resume()
    two.check_the_end()
    assert two.fence(number) == 2
    observed = "StaleAttempt; ledger and files are the second attempt's" if two.note.exists() else "Ray ended it first"
    record("raylet and its trial: SIGSTOP, SIGCONT later", "the late report is refused", observed, seconds)
