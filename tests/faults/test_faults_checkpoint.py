"""A worker dies, and its trial's checkpoints are found damaged: the one before is taken, or the trial fails, typed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_studies import Record, Struck, check_promises, struck

pytestmark = pytest.mark.slow

# How two checkpoints (of 2 and 4 kimg) are damaged: the trial's state, and how its cause begins.
DAMAGE: dict[str, tuple[str, str | None]] = {
    "cut_off": ("completed", None),
    "bit": ("completed", None),
    "code": ("completed", None),
    "empty": ("failed", "checkpoint: CorruptFile: "),
    "remove": ("failed", "checkpoint: CorruptFile: "),
    "architecture": ("failed", "checkpoint: CorruptInput: "),
}
FAULTS = {
    "cut_off": "the newest checkpoint cut off",
    "bit": "a bit of the newest checkpoint flipped",
    "code": "the newest checkpoint holds a pickle that runs code",
    "empty": "all checkpoints emptied",
    "remove": "all checkpoints missing",
    "architecture": "all checkpoints of another architecture",
}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Struck]:
    """A study of which every trial is struck before its last report, each in another way."""
    changes = {
        "trials": len(DAMAGE),
        "concurrency": 2,
        "schedule": {"grace_kimg": 6, "max_kimg": 6, "report_kimg": 2},
    }
    with struck(tmp_path_factory.mktemp("damaged"), **changes) as study:
        faults = [
            {
                **{"do": "spoil", "how": how, "trial": number, "kimg": 6},
                **{"once": str(study.folder / f"struck-{how}"), "makes": str(made(study))},
            }
            for number, how in enumerate(DAMAGE)
        ]
        driver = study.start(faults=faults)
        assert driver.wait() == 0, driver.output
        assert "Traceback" not in driver.output, driver.output
        yield study


def made(study: Struck) -> Path:
    """What the code in a checkpoint would make."""
    return study.folder / "made"


def test_every_trial_comes_to_an_end(damaged: Struck) -> None:
    found = check_promises(damaged)
    assert [trial.state.value for trial in found.trials] == [state for state, _ in DAMAGE.values()]
    assert [trial.attempts for trial in found.trials] == [2] * len(DAMAGE)
    assert all((damaged.folder / f"struck-{how}").exists() for how in DAMAGE)


@pytest.mark.parametrize("how", DAMAGE)
def test_damaged_checkpoints_are_passed_over_or_end_the_trial(damaged: Struck, record: Record, how: str) -> None:
    state, cause = DAMAGE[how]
    number = list(DAMAGE).index(how)
    trial = damaged.study().trials[number]
    assert trial.state == state
    if cause is None:
        assert list(trial.curve) == [2, 4, 6]
    else:
        assert trial.cause is not None
        assert trial.cause.startswith(cause)
        assert "\n" not in trial.cause
        assert list(trial.curve) == [2, 4], "what was acknowledged stays; the trial is not begun afresh"
    assert not made(damaged).exists(), "code was run"
    rows = [row for row in damaged.rows() if getattr(row.event, "trial", None) == number]
    again = next(i for i, row in enumerate(rows) if getattr(row.event, "attempt", 0) == 2)
    expected = "the one before is taken" if cause is None else "trial failed, typed; never begun afresh"
    observed = "trial completed" if cause is None else f"{trial.cause}".replace(str(damaged.folder), "…")[:60]
    record(FAULTS[how], expected, observed, rows[again + 1].written_at - rows[again].written_at)
