"""What goes wrong in a worker: it costs at most the trial it struck."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from fault_studies import Record, Struck, check_promises, results, struck

from study.ledger.ledger import Row
from study.ledger.records import StudyRecord

pytestmark = pytest.mark.slow


def seconds_to_recover(rows: list[Row], trial: int) -> float:
    """From the last row before the trial's second start to the first row after it about the trial."""
    about = [row for row in rows if getattr(row.event, "trial", None) == trial]
    again = next(i for i, row in enumerate(about) if getattr(row.event, "attempt", 0) == 2)
    return about[again + 1].written_at - about[again - 1].written_at


def test_a_worker_that_dies_in_a_trial_costs_nothing(study: Struck, whole: StudyRecord, record: Record) -> None:
    """Three trials lose their worker in three ways; all results are as if nothing had happened."""
    deaths = {0: "segv", 1: "exit", 2: "os_exit"}
    faults: list[dict[str, Any]] = [
        {"do": how, "trial": trial, "kimg": 2 if trial > 1 else 4, "once": str(study.folder / f"struck-{trial}")}
        for trial, how in deaths.items()
    ]
    driver = study.start(faults=faults)
    assert driver.wait() == 0, driver.output
    assert all((study.folder / f"struck-{trial}").exists() for trial in deaths)
    found = check_promises(study)
    assert results(found) == results(whole)
    assert [trial.attempts for trial in found.trials] == [2, 2, 2, 1]
    for trial, name in enumerate(["worker: SIGSEGV", "worker: sys.exit", "worker: os._exit"]):
        seconds = seconds_to_recover(study.rows(), trial)
        record(name, "trial goes on from its checkpoint", "results equal the uninterrupted run's", seconds)


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "an exception in evaluation": ({"do": "raise"}, "failed", "error: ValueError: the extractor is broken"),
    "out of memory": ({"do": "memory"}, "failed", "out_of_memory: MemoryError: cannot allocate 80 GiB"),
    "a worker that always dies": ({"do": "os_exit"}, "failed", "worker_lost: 2 times, last: "),
    "metric NaN": ({"do": "set", "name": "fid", "value": math.nan}, "diverged", "fid is nan at 4 kimg"),
    "metric inf": ({"do": "set", "name": "loss_g", "value": math.inf}, "diverged", "loss_g is inf at 4 kimg"),
    "metric None": ({"do": "set", "name": "fid", "value": None}, "failed", "error: metric fid is None"),
    "metric a string": ({"do": "set", "name": "fid", "value": "12"}, "failed", "error: metric fid is '12'"),
    "metric missing": ({"do": "drop", "name": "fid"}, "failed", "error: metric fid is missing"),
    "a trial that hangs": ({"do": "hang", "after": 2}, "failed", "deadline: no report within the deadline; "),
    "time backward": ({"do": "set", "name": "kimg", "value": 1}, "failed", "error: metric kimg went backward: 1 after"),
}
STARTS = {"a worker that always dies": 2, "a trial that hangs": 2}  # the second finds why the first ended


@pytest.fixture(scope="module")
def full_of_faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """A study of which every trial but the first and the last is struck at 4 kimg, each by another fault."""
    changes = {
        "trials": len(FAULTS) + 2,
        "concurrency": 2,
        "max_failures": 1,
        "report_deadline_minutes": 0.05,  # for the trial that hangs alone: see `inject`
        "schedule": {"grace_kimg": 6, "max_kimg": 6, "report_kimg": 2},
    }
    with struck(tmp_path_factory.mktemp("faults"), **changes) as study:
        faults = [fault | {"trial": n, "kimg": 4} for n, (fault, _, _) in enumerate(FAULTS.values(), start=1)]
        driver = study.start(faults=faults)
        assert driver.wait() == 0, driver.output
        assert "Traceback" not in driver.output, driver.output
        yield study


def test_a_study_goes_on_past_every_bad_trial(full_of_faults: Struck) -> None:
    found = check_promises(full_of_faults)
    assert len(found.trials) == len(FAULTS) + 2
    assert [found.trials[n].state for n in (0, -1)] == ["completed", "completed"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_trial_ends_with_its_cause(full_of_faults: Struck, record: Record, fault: str) -> None:
    _, state, cause = FAULTS[fault]
    number = list(FAULTS).index(fault) + 1
    trial = full_of_faults.study().trials[number]
    assert trial.state == state
    assert trial.cause is not None
    assert trial.cause.startswith(cause), full_of_faults.drivers[0].output
    assert "\n" not in trial.cause
    assert list(trial.curve) == [2], "what was acknowledged before stays, and nothing comes after"
    assert trial.attempts == STARTS.get(fault, 1), "only a lost worker is tried again"
    rows = [row for row in full_of_faults.rows() if getattr(row.event, "trial", None) == number]
    seconds = rows[-1].written_at - next(row.written_at for row in rows if row.event.kind == "reported")
    record(fault, f"trial {state}, typed, study goes on", trial.cause.partition(";")[0][:60], seconds)
