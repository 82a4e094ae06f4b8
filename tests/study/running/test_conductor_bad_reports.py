"""A report without sense fails its trial, and only that."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import REPORTED, drive, fid_of, first_trial, open_study, result_of, toy_config

from study.ledger.records import StudyRecord, TrialState, fold

BAD_TRIAL, BAD_KIMG = 1, 2


def study_with(tmp_path: Path, change: Any) -> StudyRecord:
    """A study of four trials, none of them stopped early, in which one report is changed."""
    place = tmp_path / "ledger.db"
    config = toy_config(trials=4, schedule={"grace_kimg": 3, "max_kimg": 3, "report_kimg": 1})
    open_study(place, config)
    seeds: list[int] = []

    def result(trial: Any, kimg: int) -> dict[str, Any]:
        if trial["seed"] not in seeds:
            seeds.append(trial["seed"])
        report = dict.fromkeys(REPORTED, 1.0) | {"kimg": kimg, "fid": fid_of(trial, kimg)}
        bad = seeds.index(trial["seed"]) == BAD_TRIAL and kimg == BAD_KIMG
        return change(report) if bad else report

    return drive(place, config, result=result)


def check(study: StudyRecord, state: TrialState, cause: str) -> None:
    states = [trial.state for trial in study.trials]
    assert states == [state if n == BAD_TRIAL else TrialState.COMPLETED for n in range(4)]
    bad = study.trials[BAD_TRIAL]
    assert bad.cause == cause
    assert list(bad.curve) == list(range(1, BAD_KIMG)), "what was acknowledged before stays"


@pytest.mark.parametrize("name", REPORTED)
def test_a_missing_metric(tmp_path: Path, name: str) -> None:
    study = study_with(tmp_path, lambda report: {k: v for k, v in report.items() if k != name})
    check(study, TrialState.FAILED, f"error: metric {name} is missing")


@pytest.mark.parametrize("name", ["kimg", "fid", "loss_g"])
@pytest.mark.parametrize("value", [None, "12.5", "nan", True, [1.0], {"a": 1}, 1 + 2j])
def test_a_metric_that_is_no_number(tmp_path: Path, name: str, value: Any) -> None:
    study = study_with(tmp_path, lambda report: report | {name: value})
    check(study, TrialState.FAILED, f"error: metric {name} is {value!r}, which is no number")


@pytest.mark.parametrize("kimg", [0, -1, 0.0, -(10**30)])
def test_a_time_that_runs_backward(tmp_path: Path, kimg: float) -> None:
    study = study_with(tmp_path, lambda report: report | {"kimg": kimg})
    check(study, TrialState.FAILED, f"error: metric kimg went backward: {float(kimg):g} after 1")


@pytest.mark.parametrize("kimg", [1.5, math.nan, math.inf])
def test_a_time_that_is_no_whole_number(tmp_path: Path, kimg: float) -> None:
    study = study_with(tmp_path, lambda report: report | {"kimg": kimg})
    check(study, TrialState.FAILED, f"error: metric kimg is {kimg}; it counts in whole thousands of images")


@pytest.mark.parametrize(("value", "shown"), [(math.nan, "nan"), (-math.inf, "-inf")])
def test_a_metric_that_is_not_finite_is_divergence_and_no_fault(tmp_path: Path, value: float, shown: str) -> None:
    check(study_with(tmp_path, lambda r: r | {"fid": value}), TrialState.DIVERGED, f"fid is {shown} at 2 kimg")


def test_a_time_past_the_end(tmp_path: Path) -> None:
    study = study_with(tmp_path, lambda report: report | {"kimg": 10**30})
    check(study, TrialState.FAILED, "error: metric kimg is 1e+30, past the end at 3")


@pytest.mark.parametrize("name", ["kimg", "fid"])
def test_a_number_that_no_float_holds(tmp_path: Path, name: str) -> None:
    study = study_with(tmp_path, lambda report: report | {name: -(10**400)})
    check(study, TrialState.FAILED, f"error: metric {name} is too large a number")


def test_numpys_numbers_are_numbers(tmp_path: Path) -> None:
    convert = {"fid": np.float32, "kimg": np.int64, "loss_g": np.float64}
    study = study_with(tmp_path, lambda report: report | {k: convert[k](report[k]) for k in convert})
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETED}


def test_a_known_report_made_again_out_of_order_is_no_step_backward(tmp_path: Path) -> None:
    with first_trial(tmp_path) as (ledger, conductor, running):
        for kimg in (1, 2, 3, 1, 2):
            assert conductor.report(0, result_of(running.config, kimg))
        trial = fold(ledger.read(), live=True).trials[0]
    assert trial.curve == {kimg: fid_of(running.config, kimg) for kimg in (1, 2, 3)}
