"""Two studies side by side, with the numbers derived by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.stats
from confirmations import confirmed_study
from made_up import big_ledger, study, trial
from rich.console import Console
from toys import toy_config
from typer.testing import CliRunner

from study.analysis.compare import compare
from study.cli import app
from study.ledger.events import NoiseMeasured
from study.ledger.records import StudyRecord
from study.views.comparison import print_comparison
from trainables.errors import InvalidInput

A = study(
    trial(0, {1: 40.0, 3: 30.0, 9: 20.0}),
    trial(1, {1: 35.0}, "stopped", rung=1),
    trial(2, {1: 1.0}, "diverged"),
    name="a",
)
B = study(trial(0, {1: 45.0, 3: 29.0, 9: 28.0}), name="b", seed=3)


def test_by_hand() -> None:
    made = compare(A, B)
    a, b = made.sides
    assert (a.trials, a.states, a.kimg, a.seconds) == (3, {"completed": 1, "stopped": 1, "diverged": 1}, 11, 33.0)
    assert a.best is not None
    assert (a.best["trial"], a.best["fid_best"], a.best["kimg"]) == (0, 20.0, 9)
    assert a.best_at == {1: 35.0, 3: 30.0, 9: 20.0}  # the diverged trial's 1.0 never counts
    assert b.best_at == {1: 45.0, 3: 29.0, 9: 28.0}
    assert made.cost == 9  # b has spent no more
    # a had trial 0 at 9 kimg after 9 kimg in all: its reports were written before those of the others.
    assert (a.best_at_equal_cost, b.best_at_equal_cost) == (20.0, 28.0)
    assert made.apart == {"trials": (3, 1), "seed": (None, 3)}
    assert (made.noise_kimg, made.least_difference) == (9, None)


def test_a_lead_is_held_against_the_noise() -> None:
    """Seeds 19, 20, 21: 6.08 is the least difference, and 20 is 8 ahead of 28."""
    seeds = tuple(NoiseMeasured(0, 9, "seed", i, 18.0 + i, None) for i in (1, 2, 3))
    console = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    print_comparison(compare(replace(A, measured=seeds), B), console)
    text = console.export_text()
    assert "at 9 kimg a is ahead by 8: more than single runs differ by chance (6.08)" in text
    assert "best FID at 3 kimg" in text


def with_confirmation(record: StudyRecord, fids: list[float]) -> StudyRecord:
    """`record` with its trial 0 confirmed by retrainings of these FIDs on test images."""
    found = {index: (fid, fid) for index, fid in enumerate(fids, start=1)}
    return confirmed_study(record, {0: found}, len(fids), [0])


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ([10.0, 11.0, 12.0], [20.0, 22.0, 21.0, 23.0], "a is ahead"),
        ([20.0, 22.0, 21.0, 23.0], [10.0, 11.0, 12.0], "b is ahead"),
        ([10.0, 11.0, 30.0], [12.0, 20.0, 11.0], "they are tied"),
    ],
)
def test_confirmed_winners_decide(a: list[float], b: list[float], says: str) -> None:
    made = compare(with_confirmation(A, a), with_confirmation(B, b))
    assert made.confirmed is not None
    found = scipy.stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    low, high = made.confirmed.interval or (0.0, 0.0)
    assert low <= found.low <= found.high <= high, "rounding the degrees of freedom down makes it a little longer"
    assert high - low < 1.5 * (found.high - found.low)
    console = Console(record=True, width=300, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    print_comparison(made, console)
    text = console.export_text()
    assert f"{says}, 95% interval of the difference" in text
    assert "single runs" not in text, "one verdict"


def test_a_confirmation_of_one_seed_says_nothing_of_chance() -> None:
    made = compare(with_confirmation(A, [10.0]), with_confirmation(B, [20.0, 21.0]))
    assert made.confirmed is not None
    assert (made.confirmed.difference, made.confirmed.interval) == (10.5, None)
    assert compare(with_confirmation(A, [10.0]), B).confirmed is None


def test_other_fingerprints_are_refused_in_one_line() -> None:
    with pytest.raises(InvalidInput, match="do not compare") as refused:
        compare(A, replace(B, fingerprint="other"))
    assert "\n" not in str(refused.value)


def test_studies_without_anything_in_common() -> None:
    none = study(trial(0, {}, "failed"), name="none")
    made = compare(A, none)
    assert made.sides[1].best is None
    assert made.noise_kimg is None
    print_comparison(made, Console(file=open("/dev/null", "w")))  # noqa: PTH123, SIM115


def test_the_command(tmp_path: Path) -> None:
    for name, trials in (("a", 6), ("b", 9)):
        big_ledger(toy_config(name=name, trials=trials, storage={"path": str(tmp_path)}), tmp_path, trials)
    command = ["compare", "a", "b", "--storage", str(tmp_path)]
    assert "best FID at 1 kimg" in CliRunner().invoke(app, command, catch_exceptions=False).output
    plain = json.loads(CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False).output)
    assert [side["trials"] for side in plain["studies"]] == [6, 9]
    assert plain["settings"] == {"trials": [6, 9]}
