"""The noise: its numbers against scipy and by hand, and what the tables say of it, on made-up ledgers."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ledgers import OPENED, proposed, reported
from scipy import stats
from toys import CEILING, toy_config
from typer.testing import CliRunner

from study.analysis.noise import LEVEL, Noise, Pooled, factor
from study.analysis.quantile import student_t
from study.cli import app, console
from study.ledger.events import AttemptStarted, Ended, Event, NoiseMeasured, StudyOpened, TrialProposed
from study.ledger.ledger import Ledger
from study.ledger.records import fold
from study.ledger.rows import Row
from study.study_file.config import StudyConfig

finite = st.floats(0, 400)


def seed(trial: int, kimg: int, index: int, fid: float | None) -> NoiseMeasured:
    return NoiseMeasured(trial, kimg, "seed", index, fid, "Diverged: loss_d" if fid is None else None)


def seeds(trial: int, kimg: int, fids: Sequence[float | None]) -> list[NoiseMeasured]:
    return [seed(trial, kimg, index, fid) for index, fid in enumerate(fids, start=1)]


# ------------------------------------------------------------------------------------------------------ the numbers


@pytest.mark.parametrize("degrees", [*range(1, 31), 99, 100, 1001])
@pytest.mark.parametrize("level", [0.5, 0.9, LEVEL, 0.99])
def test_student_t_is_scipys(degrees: int, level: float) -> None:
    assert student_t(level, degrees) == pytest.approx(float(stats.t.ppf((1 + level) / 2, degrees)), rel=1e-9)


@given(st.lists(finite, min_size=2, max_size=9), st.integers(0, 3))
def test_a_spread_is_numpys_mean_and_sample_deviation(fids: list[float], diverged: int) -> None:
    noise = Noise(tuple(seeds(3, 10, [*fids, *[None] * diverged])))
    spread = noise.spread("seed", 3, 10)
    assert (spread.fids, spread.diverged) == (tuple(fids), diverged)
    assert spread.mean == pytest.approx(np.mean(fids))
    assert spread.deviation == pytest.approx(np.std(fids, ddof=1), abs=1e-9)


def test_fewer_than_two_values_have_no_deviation() -> None:
    one = Noise(tuple(seeds(0, 10, [5.0, None])))
    assert (one.spread("seed", 0, 10).mean, one.spread("seed", 0, 10).deviation) == (5.0, None)
    assert one.seed(10) is None
    none = Noise(tuple(seeds(0, 10, [None, None])))
    assert (none.spread("seed", 0, 10).mean, none.spread("seed", 0, 10).deviation) == (None, None)
    assert Noise().evaluation() is None


@given(st.lists(st.lists(finite, min_size=2, max_size=5), min_size=1, max_size=4))
def test_the_pooled_deviation_is_that_of_what_is_left_without_each_trials_mean(groups: list[list[float]]) -> None:
    noise = Noise(tuple(m for trial, fids in enumerate(groups) for m in seeds(trial, 10, fids)))
    residuals = np.concatenate([np.subtract(fids, np.mean(fids)) for fids in groups])
    degrees = len(residuals) - len(groups)
    pooled = noise.seed(10)
    assert pooled is not None
    assert pooled.deviation == pytest.approx(math.sqrt(np.sum(residuals**2) / degrees), abs=1e-9)
    assert (pooled.degrees, pooled.values, pooled.trials) == (degrees, len(residuals), tuple(range(len(groups))))
    least = stats.t.ppf(0.975, degrees) * math.sqrt(2) * pooled.deviation
    assert noise.least_difference(10) == pytest.approx(least, abs=1e-7)


def test_budgets_and_sources_are_kept_apart() -> None:
    latents = [NoiseMeasured(0, 10, "evaluation", i, fid, None) for i, fid in enumerate((9.0, 11.0), start=1)]
    noise = Noise((*seeds(0, 10, [1.0, 3.0]), *seeds(0, 30, [10.0, 50.0]), *latents))
    assert noise.seed(10) == Pooled(math.sqrt(2), 1, (0,))
    assert noise.seed(30) == Pooled(math.sqrt(800), 1, (0,))
    assert noise.evaluation() == Pooled(math.sqrt(2), 1, (0,))
    assert (noise.seed(20), noise.least_difference(20)) == (None, None)


def test_equally_good_configurations_are_told_apart_in_one_of_twenty_cases() -> None:
    """The definition does what it says, also with three seeds: two single runs, and the spread of three others."""
    generator = np.random.Generator(np.random.PCG64(5))
    cases = 100_000
    runs = generator.normal(20, 3, (cases, 2))
    deviations = generator.normal(50, 3, (cases, 3)).std(axis=1, ddof=1)
    apart = np.abs(runs[:, 0] - runs[:, 1]) > factor(2) * deviations
    standard_error = math.sqrt(0.05 * 0.95 / cases)
    assert abs(apart.mean() - 0.05) < 4 * standard_error
    naive = np.abs(runs[:, 0] - runs[:, 1]) > 1.96 * math.sqrt(2) * deviations
    assert naive.mean() > 0.15  # why it is Student's t


# ------------------------------------------------------------------------------------------------------- the tables


def write_study(root: Path, *events: Event) -> StudyConfig:
    """A study `toy` whose ledger holds these events after it was opened."""
    config = toy_config(storage={"path": str(root)})
    config.folder.path.mkdir(parents=True)
    config.folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    folder = config.folder
    with (
        Ledger.open(folder.ledger, schema="toy", create=True) as ledger,
        ledger.own("host", 1, None, folder.head) as writer,
    ):
        writer.append(StudyOpened("uid", config.to_dict(), "fingerprint", 0.5, CEILING, {}), *events)
    return config


def completed(trial: int, fid: float, kimg: int = 9, state: str = "completed", **more: float) -> list[Event]:
    config = toy_config()
    params = config.space.resolve().baselines[0].params
    built = config.space.resolve().build(
        params, data=config.data.model_dump(mode="json"), evaluation=config.evaluation.model_dump(mode="json"), seed=1
    )
    report = reported(trial, kimg, fid)
    report.metrics.update(more)
    rung = kimg if state == "stopped" else None
    return [
        TrialProposed(trial, built.to_dict(), dict(params), "sampler", {}),
        AttemptStarted(trial, 1),
        report,
        Ended(trial, 1, kimg, state, rung, None),
    ]


def run(*arguments: str | Path, code: int = 0) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "width", 160)  # whatever $COLUMNS was when the command line was imported
        result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


TRIALS = (*completed(0, 20.0), *completed(1, 22.5), *completed(2, 40.0), *completed(3, 15.0, 3, "stopped"))


def test_without_a_measurement_the_ranking_says_how_to_get_one(tmp_path: Path) -> None:
    write_study(tmp_path, *TRIALS)
    for command in ("best", "status"):
        text = run(command, "toy", "--storage", tmp_path)
        assert f"ganstudy noise toy --storage {tmp_path}" in text
        assert "tied" not in text
    rows = json.loads(run("best", "toy", "--storage", tmp_path, "--json"))
    assert {row["tied_with_first"] for row in rows} == {None}


def test_best_marks_the_trials_that_are_tied_with_the_first(tmp_path: Path) -> None:
    """Seeds 21, 22, 23: s = 1, t(2) = 4.303, so 6.085 FID: 22.5 is tied with 20, 40 is not, 3 kimg cannot be."""
    write_study(tmp_path, *TRIALS, *seeds(0, 9, [21.0, 22.0, 23.0]))
    text = run("best", "toy", "--storage", tmp_path)
    lines = text.splitlines()
    assert "behind first" in lines[0]
    assert "+2.50 tied" in lines[2]
    assert "+20.00 " in lines[3]
    assert "tied" not in lines[1] + lines[3] + lines[4]
    assert "1 over fresh seeds to 9 kimg (3 values, trial 0)" in text
    assert "6.08 = 4.30 x sqrt(2) x 1 " in text
    rows = json.loads(run("best", "toy", "--storage", tmp_path, "--json"))
    assert [(row["trial"], row["tied_with_first"]) for row in rows] == [(0, None), (1, True), (2, False), (3, None)]
    assert "6.08 = " in run("status", "toy", "--storage", tmp_path)


def test_retrainings_that_diverged_are_counted_and_said(tmp_path: Path) -> None:
    write_study(tmp_path, *TRIALS, *seeds(0, 9, [21.0, None, None]))
    text = run("best", "toy", "--storage", tmp_path)
    assert "2 of 3 retrainings diverged" in text
    assert "--seeds 5" in text


def test_noise_of_another_budget_does_not_judge_this_one(tmp_path: Path) -> None:
    write_study(tmp_path, *TRIALS, *seeds(3, 3, [15.0, 16.0, 17.0]))
    text = run("best", "toy", "--storage", tmp_path)
    assert "the noise of seeds at 9 kimg is not measured (it was at 3)" in text


def test_what_is_measured_already_is_shown_without_any_work(tmp_path: Path) -> None:
    """No checkpoint and no data is needed for that; the table's numbers are those derived here."""
    latents = [NoiseMeasured(0, 9, "evaluation", i, fid, None) for i, fid in enumerate((20.1, 20.3), start=1)]
    write_study(tmp_path, *TRIALS, *latents, *seeds(0, 9, [21.0, 24.0, None]))
    text = run("noise", "toy", "--storage", tmp_path, "--evaluations", "2", "--seeds", "3")
    rows = [line.split() for line in text.splitlines()]
    own = next(row for row in rows if row[:2] == ["the", "study's"])
    assert own[-2:] == ["1", "20.00"]
    fresh = next(row for row in rows if row[:2] == ["fresh", "latents,"])
    assert fresh[-5:] == ["2", "20.20", f"{0.2 / math.sqrt(2):.3g}", "20.10", "20.30"]
    trained = next(row for row in rows if row[:2] == ["fresh", "seeds,"])
    assert trained[-5:] == ["2", "22.50", f"{3 / math.sqrt(2):.3g}", "21.00", "24.00"]
    assert "1 of 3 retrainings diverged" in text
    assert "below all fresh seeds" in text
    assert "300 images (fingerprint)" in text
    data = json.loads(run("noise", "toy", "--storage", tmp_path, "--evaluations", "2", "--seeds", "3", "--json"))
    assert data["seed"] == {
        "kimg": 9,
        "fids": [21.0, 24.0],
        "mean": 22.5,
        "deviation": pytest.approx(3 / math.sqrt(2)),
        "diverged": 1,
    }
    assert data["least_difference"] == pytest.approx(stats.t.ppf(0.975, 1) * 3)


def test_a_collapsed_trial_is_marked_and_is_not_a_diverged_one(tmp_path: Path) -> None:
    write_study(tmp_path, *completed(0, 20.0, collapsed=0.0), *completed(1, 22.5, collapsed=1.0))
    text = run("best", "toy", "--storage", tmp_path)
    assert "collapsed" in text.splitlines()[0]
    assert "at its best" not in text.splitlines()[1]
    assert "at its best" in text.splitlines()[2]
    assert "2 completed; 1 collapsed at the end" in text
    rows = json.loads(run("status", "toy", "--storage", tmp_path, "--json"))
    assert [(row["state"], row["collapsed"]) for row in rows] == [("completed", False), ("completed", True)]


def test_a_ledger_from_before_the_flag_has_no_such_column(tmp_path: Path) -> None:
    write_study(tmp_path, *TRIALS)
    assert "collapsed" not in run("best", "toy", "--storage", tmp_path)


def test_a_study_with_noise_goes_on_as_one_without() -> None:
    """The rows of the noise change nothing about the trials."""
    story = [OPENED, proposed(0), AttemptStarted(0, 1), reported(0, 9), Ended(0, 1, 9, "completed", None, None)]
    after = [AttemptStarted(0, 2), reported(0, 18, attempt=2)]
    measured = seeds(0, 9, [1.0, 2.0])

    def trials(events: Sequence[Event]) -> object:
        record = fold([Row(seq, 1.0, 1, event) for seq, event in enumerate(events, start=1)], live=True)
        return record.trials

    assert trials([*story, *measured, *after]) == trials([*story, *after])
