"""Fixtures of the fault tests: what an uninterrupted study gives, small disks, and a record of each fault."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_studies import Record, Struck, struck

from study.ledger.records import StudyRecord

STUDY = Path(__file__).parents[1] / "study"
sys.path[:0] = [str(STUDY), str(STUDY / "mlflow")]  # for its PostgreSQL server, and for servers that drip and flood


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Note (fault, expected, observed, seconds to recover) for `benchmarks/fault_matrix.py`."""

    def note(fault: str, expected: str, observed: str, seconds: float | None = None) -> None:
        target = os.environ.get("GANSTUDY_FAULT_RECORD")
        if target:
            row = {"fault": fault, "expected": expected, "observed": observed, "seconds": seconds}
            with Path(target).open("a") as file:
                file.write(json.dumps(row | {"test": request.node.nodeid}) + "\n")

    return note


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """The study of `fault_studies.STUDY`, one trial at a time, run in one go."""
    with struck(tmp_path_factory.mktemp("whole")) as study:
        driver = study.start()
        assert driver.wait() == 0, driver.output
        return study.study()


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Struck]:
    with struck(tmp_path) as study:
        yield study


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path], None]]:
    """Mount a disk of 48 MB on a folder."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no `mount` here")
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)
