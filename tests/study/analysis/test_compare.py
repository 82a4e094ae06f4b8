"""Two studies side by side, with the numbers derived by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import big_ledger, study, trial
from rich.console import Console
from toys import toy_config
from typer.testing import CliRunner

from study.analysis.compare import compare
from study.cli import app
from study.ledger.events import NoiseMeasured
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
