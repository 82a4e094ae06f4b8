"""Real studies to strike with faults: started, watched, struck and cleaned up."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from study.ledger.events import Reported
from study.ledger.ledger import Ledger, Row
from study.ledger.records import StudyRecord, TrialState, fold
from study.running.asha import Asha
from study.study_file.schedule import Schedule

INJECT = Path(__file__).parent / "inject"
PATIENCE = 600.0  # seconds for anything at all: never what a test waits for, only when it gives up
_MARK = "GANSTUDY_TEST_MARK"

Record = Callable[..., None]

STUDY: dict[str, Any] = {
    "name": "struck",
    "seed": 5,
    "data": {"name": "digits"},
    "space": {"base": "quick", "fix": {"model.name": "mlp"}, "narrow": {"mlp.width": {"low": 128, "high": 192}}},
    "sampler": {"startup_trials": 2},
    "trials": 4,
    "concurrency": 1,
    "schedule": {"grace_kimg": 2, "max_kimg": 6, "reduction_factor": 3},
    "evaluation": {"count": 300},
}


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait for a condition to hold, and return what it returned."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.05)
    return found


@dataclass
class Driver:
    """A `ganstudy` process and all that came of it."""

    process: subprocess.Popen[bytes]
    mark: str
    log: Path
    seen: set[psutil.Process] = field(default_factory=set)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; return the exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the driver did not end within {seconds:g} s:\n{self.output}") from None

    def family(self) -> list[psutil.Process]:
        """Every process that descends from the driver, or did before its parent died (Ray retitles its workers)."""
        for process in psutil.process_iter():
            try:
                ours = process.environ().get(_MARK) == self.mark
            except (psutil.Error, OSError):
                continue
            if ours and process.pid != os.getpid():
                self.seen.add(process)
        for process in [p for p in self.seen if p.is_running()]:
            try:
                self.seen.update(process.children(recursive=True))
            except psutil.Error:
                continue
        return [p for p in self.seen if p.is_running()]

    def find(self, *words: str) -> list[psutil.Process]:
        """Living processes of the family that have one of `words` in the command line's first word."""
        found = []
        for process in self.family():
            try:
                line = process.cmdline()
                alive = process.status() != psutil.STATUS_ZOMBIE
            except psutil.Error:
                continue
            if alive and line and any(word in line[0] for word in words):
                found.append(process)
        return found

    def gcs(self) -> list[psutil.Process]:
        return self.find("gcs_server")

    def raylets(self) -> list[psutil.Process]:
        return self.find("raylet/raylet")

    def workers(self) -> list[psutil.Process]:
        """Ray's workers that hold a trial."""
        return self.find("Trainable", "_Inner")

    def clean(self) -> None:
        """End everything of the family."""
        for _ in range(5):
            left = self.family()
            for process in left:
                try:
                    process.kill()
                except psutil.Error:
                    continue
            psutil.wait_procs(left, timeout=5)
            if not left:
                break
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)


@dataclass
class Struck:
    """A study in `folder` that faults are tried on."""

    folder: Path
    changes: dict[str, Any] = field(default_factory=dict)
    drivers: list[Driver] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def path(self) -> Path:
        return self.runs / STUDY["name"]

    @property
    def config(self) -> dict[str, Any]:
        return STUDY | {"storage": {"path": str(self.runs)}} | self.changes

    @property
    def ledger(self) -> str | Path:
        return self.config["storage"].get("ledger") or self.path / "ledger.db"

    @property
    def gate(self) -> Path:
        return self.folder / "gate"

    def closed(self, trial: int | None = 1, kimg: int = 4) -> dict[str, Any]:
        """A trial (None: every one) waits before its report at `kimg` until the gate is opened."""
        return {"do": "wait", "trial": trial, "kimg": kimg, "gate": str(self.gate)}

    def open(self) -> None:
        """Let the waiting trials go on."""
        self.gate.touch()

    def start(
        self,
        *arguments: str,
        faults: list[dict[str, Any]] | None = None,
        command: str = "launch",
        cwd: Path | None = None,
        **env: str,
    ) -> Driver:
        """Start `ganstudy launch` on the study (or another command), in a folder."""
        self.file.write_text(yaml.safe_dump(self.config))
        words = [str(self.file)] if command == "launch" else [STUDY["name"], "--storage", str(self.runs)]
        return self.run([sys.executable, "-m", "study.cli", command, *words, *arguments], faults, cwd, **env)

    def run(
        self, line: list[str], faults: list[dict[str, Any]] | None = None, cwd: Path | None = None, **env: str
    ) -> Driver:
        """Start any process as a driver."""
        mark = uuid.uuid4().hex
        environment = {**os.environ, **env, _MARK: mark, "COLUMNS": "200"}
        if faults:
            path = os.pathsep.join(p for p in (str(INJECT), os.environ.get("PYTHONPATH", "")) if p)
            environment |= {"PYTHONPATH": path, "GANSTUDY_TEST_FAULTS": json.dumps(faults)}
        log = self.folder / f"log-{len(self.drivers)}"
        with log.open("wb") as file:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment,
                cwd=cwd,
                start_new_session=True,
            )
        driver = Driver(process, mark, log)
        self.drivers.append(driver)
        return driver

    def clean(self) -> None:
        for driver in self.drivers:
            driver.clean()

    def count(self, kind: str = "reported") -> int:
        """Rows of one kind in the SQLite ledger, while it may be written or not be there."""
        if not (self.path / "ledger.db").exists():
            return 0
        ledger = (self.path / "ledger.db").as_uri()
        connection = sqlite3.connect(f"{ledger}?mode=ro", uri=True, timeout=30)
        try:
            return int(connection.execute("SELECT count(*) FROM events WHERE kind = ?", (kind,)).fetchone()[0])
        except sqlite3.OperationalError:
            return 0
        finally:
            connection.close()

    def wait_for(self, reports: int, driver: Driver) -> None:
        """Wait until so many reports are acknowledged."""

        def there() -> bool:
            enough = self.count() >= reports
            assert enough or driver.process.poll() is None, driver.output
            return enough

        wait_until(there, f"{reports} reports")

    def rows(self) -> list[Row]:
        with Ledger.open(self.ledger, schema=STUDY["name"], create=False) as ledger:
            return ledger.read()

    def study(self) -> StudyRecord:
        return fold(self.rows(), live=False)


@contextmanager
def struck(folder: Path, **changes: Any) -> Iterator[Struck]:
    """A study whose processes are all gone afterwards."""
    study = Struck(folder, changes)
    try:
        yield study
    finally:
        study.clean()


def results(study: StudyRecord) -> list[tuple[Any, ...]]:
    """What a study found out, without how often a trial had to start or how long it took."""
    return [(t.number, t.config, t.params, t.origin, t.state.value, t.rung, t.cause, t.curve) for t in study.trials]


def check_promises(study: Struck) -> StudyRecord:
    """Hold the ledger against itself: each result once, by the attempt of its time, decisions as in a replay."""
    rows = study.rows()
    events = [row.event for row in rows]
    keys = [event.key for event in events]
    assert len(keys) == len(set(keys)), "counted twice"
    config = study.config
    asha = Asha(Schedule.model_validate(config["schedule"]), config["seed"])
    attempt: dict[int, int] = {}
    goes_on: dict[int, bool] = {}
    for event in events:
        if event.kind == "attempt_started":
            assert event.attempt == attempt.get(event.trial, 0) + 1
            attempt[event.trial] = event.attempt
        elif isinstance(event, Reported):
            assert event.attempt == attempt[event.trial], "a report of an attempt that was given up"
            assert goes_on.get(event.trial, True), "a report after the trial was stopped"
            goes_on[event.trial] = asha.goes_on(event.trial, event.kimg, event.metrics["fid"])
    record = fold(rows, live=False)
    for trial in record.trials:
        expected = list(range(2, trial.kimg + 1, 2))
        assert list(trial.curve) == expected, "a result is lost"
        if trial.state == TrialState.STOPPED:
            assert not goes_on[trial.number]
        if trial.state == TrialState.COMPLETED:
            assert trial.kimg == config["schedule"]["max_kimg"]
    return record


def one_line_error(output: str) -> str:
    """The one line by which the command ended; no traceback came with it."""
    assert "Traceback" not in output, output
    lines = [line for line in output.splitlines() if line.startswith("ganstudy: ")]
    assert len(lines) == 1, output
    return lines[0]
