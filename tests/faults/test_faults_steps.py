"""The driver dies before each write step of a launch: commits, folders, synced and renamed files.

A trial's own steps are those of `trainables/test_checkpoint.py`, MLflow's those of `study/test_mlflow_projection.py`,
and what happens within one commit is in `test_faults_journal.py`.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fault_studies import PATIENCE, Record
from rayless import config_in, launch, outcome

from study.ledger.events import StudyChanged
from study.ledger.ledger import Ledger
from trainables.errors import InvalidInput

HERE = Path(__file__).parent


@pytest.mark.slow
def test_a_crash_before_any_write_step_changes_nothing(record: Record) -> None:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where nothing waits for a disk
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE.parent / "study"), os.environ.get("PYTHONPATH", "")])
    with TemporaryDirectory(dir=memory) as folder:
        done = subprocess.run(
            [sys.executable, str(HERE / "rayless.py"), folder],
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads(done.stdout.splitlines()[-1])
    assert steps["commit"] >= 3 + 4 * 2  # the tables, the owner, the opening; and of each trial a start and a report
    assert steps["replace"] >= 2  # study.yaml and best.yaml
    count = sum(steps.values())
    record(f"driver: ends before any of {count} write steps", "resume exact", "results and replay equal")


def test_a_changed_study_file_is_taken_and_recorded_or_refused(tmp_path: Path) -> None:
    first = launch(config_in(tmp_path))
    more = config_in(tmp_path, concurrency=3, mlflow={"uri": "http://127.0.0.1:9"}, max_failures=7)
    launch(more)
    launch(more)  # no change: no row
    launch(config_in(tmp_path, max_failures=2))
    with pytest.raises(InvalidInput, match=r"seed: 7 -> 8.*undo these, or choose another name"):
        launch(config_in(tmp_path).model_copy(update={"seed": 8}))
    place = more.folder
    with Ledger.open(place.ledger, schema=place.name, create=False) as ledger:
        changes = [row.event for row in ledger.read() if isinstance(row.event, StudyChanged)]
    assert [change.revision for change in changes] == [1, 2]
    assert changes[0].config == more.to_dict()
    assert changes[1].config["max_failures"] == 2
    assert len(first.trials) == 4


def test_more_trials_on_resume_are_recorded_before_they_run(tmp_path: Path) -> None:
    launch(config_in(tmp_path))
    more = config_in(tmp_path).model_copy(update={"trials": 6})
    assert len(launch(more).trials) == 6
    with Ledger.open(more.folder.ledger, schema=more.folder.name, create=False) as ledger:
        kinds = [row.event.kind for row in ledger.read()]
    assert kinds.index("study_changed") == len(kinds) - 1 - kinds[::-1].index("study_changed")
    assert kinds[: kinds.index("study_changed")].count("trial_proposed") == 4
    assert kinds[kinds.index("study_changed") :].count("trial_proposed") == 2


STRUCK_IN_THE_MIDDLE = """
import subprocess, sys
from pathlib import Path
import rayless
from study.exit_codes import Interrupted
from study.ledger import busy

HOLD = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN'); "
HOLD += "c.execute('SELECT * FROM events').fetchone(); print(flush=True); input()"
config, result_of, results = rayless.config_in(Path(sys.argv[1])), rayless.result_of, []

def result(*arguments):
    results.append(arguments)
    if len(results) == 4:
        line = [sys.executable, "-c", HOLD, str(config.folder.ledger)]
        rayless.reader = subprocess.Popen(line, stdin=-1, stdout=-1, start_new_session=True)
        rayless.reader.stdout.readline()
    return result_of(*arguments)

def wait(self, seconds, holder, wait=busy.Endless.__call__):
    print(rayless.reader.pid, holder(), flush=True)
    wait(self, seconds, holder)

rayless.result_of, busy.Endless.__call__ = result, wait
try:
    rayless.launch(config)
except Interrupted as error:
    rayless.reader.kill()
    sys.exit(error.exit_code)
"""


def test_ctrl_c_ends_a_launch_that_waits_for_its_ledger(tmp_path: Path) -> None:
    """A reader holds the lock and does not let go: what was not written is found again by the next launch."""
    config = config_in(tmp_path / "struck")
    path = os.pathsep.join(map(str, (HERE.parents[1], HERE, HERE.parent / "study")))
    line = [sys.executable, "-c", STRUCK_IN_THE_MIDDLE, str(tmp_path / "struck")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}) as driver:
        assert driver.stdout is not None
        reader, _, told = driver.stdout.readline().partition(" ")
        assert f"ledger.db is locked by process {reader} (python" in told
        driver.send_signal(signal.SIGINT)
        assert driver.wait(PATIENCE) == 130
    assert outcome(launch(config)) == outcome(launch(config_in(tmp_path / "whole")))
