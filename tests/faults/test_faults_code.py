"""What a working directory or a node's installation could change in workers' code, and what a killed driver leaves."""

import json
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from fault_studies import Driver, Record, Struck, check_promises, one_line_error, results, wait_until

from study.ledger.records import StudyRecord, TrialState

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLUSTER = Path(__file__).parent / "small_cluster.py"
# Ray's workers alone find no GAN trainable.
MISSING = """
import sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "trainables.tune":
            raise ModuleNotFoundError("No module named 'some_dependency'")
if "default_worker.py" in " ".join(sys.orig_argv):
    sys.meta_path.insert(0, Finder())
"""


def other_checkout(folder: Path) -> Path:
    """A folder of another version of `trainables`, that draws other numbers, and of files that hide modules."""
    shutil.copytree(ROOT / "trainables", folder / "trainables", ignore=shutil.ignore_patterns("__pycache__"))
    streams = folder / "trainables" / "streams.py"
    text = streams.read_text()
    assert text.count(">> 1") == 1
    streams.write_text(text.replace(">> 1", ">> 2"))
    return folder


def test_workers_run_the_drivers_code_wherever_it_is_launched(
    study: Struck, whole: StudyRecord, tmp_path: Path, record: Record
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(MISSING)
    driver = study.start(PYTHONPATH=str(broken))
    assert driver.wait() == 1, driver.output
    line = one_line_error(driver.output)
    assert "cannot import its code (ModuleNotFoundError: No module named 'some_dependency')" in line
    [trial] = study.study().trials
    assert (trial.state, trial.attempts, trial.cause) == (TrialState.INTERRUPTED, 1, None), "no trial's fault, no retry"
    record("a worker cannot import its code", "one line, no trial fails", "one line, exit 1, attempt 1, resume exact")

    cwd = other_checkout(tmp_path / "other")
    for name in ("torch", "numpy", "yaml", "random", "ray", "optuna"):
        (cwd / f"{name}.py").write_text("raise RuntimeError('hidden')")
    driver = study.start(cwd=cwd)
    assert driver.wait() == 0, driver.output
    assert results(check_promises(study)) == results(whole)
    record("launched in a folder with another `trainables/`, `torch.py`...", "the same FIDs", "results equal")


def test_a_cluster_with_other_code_is_refused(study: Struck, tmp_path: Path, record: Record) -> None:
    other = other_checkout(tmp_path / "other")
    cluster = study.run([sys.executable, str(CLUSTER)], PYTHONPATH=str(other))
    lines = wait_until(lambda: [x for x in cluster.output.splitlines() if x.startswith("{")], "the cluster")
    driver = study.start("--address", json.loads(lines[0])["address"])
    assert driver.wait() == 1, driver.output
    line = one_line_error(driver.output)
    assert f"would run other code than this driver: {other.resolve() / 'trainables'}, and not {ROOT}" in line
    assert not study.path.exists(), "nothing was begun"
    record("a cluster whose workers have another ganstudy", "refused before any training", "one line, exit 1")


@contextmanager
def busy_cores() -> Iterator[None]:
    """Three processes for each core that never wait."""
    burning = [multiprocessing.get_context("spawn").Process(target=_burn, daemon=True) for _ in range(3 * _CORES)]
    for process in burning:
        process.start()
    try:
        yield
    finally:
        for process in burning:
            process.kill()


_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


def _burn() -> None:
    while True:
        pass


def starting(study: Struck, driver: Driver) -> bool:
    """Ray's own processes have just begun, the workers import."""
    return bool(driver.raylets())


def training(study: Struck, driver: Driver) -> bool:
    """A trial is in code that holds Python's lock and never returns."""
    return study.count() >= 1


@pytest.mark.parametrize("when", [starting, training])
def test_nothing_outlives_a_killed_driver(study: Struck, record: Record, when: object) -> None:
    assert callable(when)
    driver = study.start(faults=[{"do": "hang in C", "kimg": 4}])
    with busy_cores():
        wait_until(lambda: when(study, driver) or driver.process.poll() is not None, "the moment")
        family = driver.family()
        assert len(family) >= 5, driver.output
        driver.process.kill()
        struck_at = time.monotonic()
        gone, alive = psutil.wait_procs(family, timeout=30)
        left = {process.pid for process in driver.family()} | {process.pid for process in alive}
    seconds = time.monotonic() - struck_at
    assert not left, f"{len(gone)} of {len(family)} are gone after {seconds:.0f} s"
    record(f"driver: SIGKILL on busy cores, while {when.__name__}", "nothing outlives it", "all gone", seconds)
