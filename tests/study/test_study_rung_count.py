"""A study that judges by fewer images below its top budget: every "best" is of one number of images."""

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from confirmations import confirm, retrained
from made_up import study as made_study
from made_up import trial as made_trial
from optuna.trial import TrialState as OptunaState
from toys import CEILING, drive, fid_of, first_trial, open_study, result_of, toy_config

from study.analysis.compare import compare
from study.analysis.cost import progress
from study.analysis.export import export, read_export
from study.analysis.images_judged import images_judged
from study.analysis.ranking import best_up_to, rank
from study.confirmation.record import chosen_kimg
from study.folder import StudyFolder
from study.ledger.earlier import EarlierTrial
from study.ledger.events import NoiseMeasured, Reported, RetrainingReported, StudyChanged, WarmStarted
from study.ledger.ledger import Ledger
from study.ledger.records import Report, StudyRecord, TrialRecord, TrialState, fold
from study.ledger.rows import Row
from study.noise.noise import Noise
from study.noise.view import ranking_lines
from study.running.board import Board
from study.running.conductor import Conductor
from study.running.sampling import Sampling
from study.running.warm_start import lesson
from study.study_file.config import StudyConfig, refuse_changes
from study.verify.check import Discrepancy
from study.verify.confirmation import check_confirmation
from study.verify.decisions import Replay, check_sampler
from trainables.errors import InvalidInput
from trainables.evaluation.image_counts import IMAGES, FidEstimate, ImageCounts

FULL, RUNG = 300, 200


def config_of(**changes: Any) -> StudyConfig:
    return toy_config(evaluation={"count": FULL, "rung_count": RUNG}, **changes)


def judged(full_at: set[int], shift: float = 50.0) -> Any:
    """A worker that judges so; its FIDs of few images are lower than they should be, so that they would win."""

    def result(config: Mapping[str, Any], kimg: int) -> dict[str, Any]:
        found = result_of(config, kimg)
        if "ended" in found:
            return found
        images = FULL if kimg in full_at else RUNG
        fid = fid_of(config, kimg) - (shift if images == RUNG else 0.0)
        fids = [fid_of(config, k) - (shift if k not in full_at else 0.0) for k in range(1, kimg + 1)]
        full = [fids[k - 1] for k in sorted(full_at) if k <= kimg]
        return found | {"fid": fid, "fid_best": min(full or fids), IMAGES: float(images)}

    return result


def rows_of(place: Path) -> list[Row]:
    with Ledger.open(place, schema="toy", create=False) as ledger:
        return ledger.read()


def replayed(rows: list[Row], place: Path) -> str | None:
    """What verify finds wrong."""
    try:
        Replay(toy_config(storage={"path": str(place)}).folder, Counter()).take(rows)
        check_sampler(fold(rows, live=False), Counter())
    except Discrepancy as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyRecord]:
    place = tmp_path_factory.mktemp("study") / "ledger.db"
    open_study(place, config_of())
    return place, drive(place, config_of(), result=judged({9}))


# ------------------------------------------------------------------------------------------------- a whole study


def test_completed_trials_are_ranked_and_learned_by_their_fid_in_full(study: tuple[Path, StudyRecord]) -> None:
    place, record = study
    completed = [trial for trial in record.trials if trial.state == TrialState.COMPLETED]
    stopped = [trial for trial in record.trials if trial.state == TrialState.STOPPED]
    assert completed
    assert stopped
    for trial in completed:
        assert (trial.fid_best, trial.kimg_best) == (trial.curve[9], 9)
        assert min(trial.curve.values()) < trial.curve[9], "an FID of few images is lower, and is not taken"
    for trial in stopped:
        assert trial.fid_best == min(trial.curve.values())
    assert [r.fid_best for r in rank(completed)] == sorted(trial.curve[9] for trial in completed)
    assert record.full_count_at == (9,)
    rows = rows_of(place)
    told = Sampling(config_of().space.resolve(), "tpe", 7, 3, CEILING)
    for trial in record.trials:
        told.restore(trial, finished=True)
        if trial.state == TrialState.COMPLETED:
            assert told.trials[trial.number].value == trial.curve[9]
            assert told.trials[trial.number].state == OptunaState.COMPLETE
    assert replayed(rows, place.parent) is None


def test_the_display_shows_no_best_of_few_images_where_there_is_one_in_full(study: tuple[Path, StudyRecord]) -> None:
    place, record = study
    config = config_of()
    board = Board.resumed(config.schedule, config.trials, 1, (row.event for row in rows_of(place)))
    assert board.best is not None
    assert board.best.fid_best == min(t.curve[9] for t in record.trials if t.state == TrialState.COMPLETED)


def test_the_progress_of_a_study_is_of_the_most_images(study: tuple[Path, StudyRecord]) -> None:
    fids = [point.fid for point in progress(study[1])]
    assert fids == sorted(fids, reverse=True)
    assert set(fids) <= {trial.curve[9] for trial in study[1].trials if 9 in trial.curve}


@pytest.mark.parametrize("wrong", [FULL, None])
def test_verify_finds_a_report_of_another_number_of_images(
    study: tuple[Path, StudyRecord], tmp_path: Path, wrong: int | None
) -> None:
    rows = rows_of(study[0])
    index, event = next((i, row.event) for i, row in enumerate(rows) if isinstance(row.event, Reported))
    metrics = {name: value for name, value in event.metrics.items() if name != IMAGES}
    metrics |= {} if wrong is None else {IMAGES: float(wrong)}
    rows[index] = replace(rows[index], event=replace(event, metrics=metrics))
    expected = f"judged by {None if wrong is None else float(wrong)} images at 1 kimg, not {RUNG}"
    assert expected in (replayed(rows, tmp_path) or "")


def test_verify_finds_a_retraining_judged_by_another_number_of_images(
    study: tuple[Path, StudyRecord], tmp_path: Path
) -> None:
    place = tmp_path / "ledger.db"
    shutil.copy(study[0], place)

    def result(config: Mapping[str, Any], kimg: int) -> dict[str, Any]:
        found = retrained(config, kimg) | judged({9})(config, kimg)
        return found | ({"chosen": 9} if kimg == 9 else {})

    confirm(place, 1, 1, result=result, config=config_of())
    rows, folder = rows_of(place), StudyFolder(tmp_path, "toy")
    check_confirmation(folder, rows, False, Counter())
    index, event = next((i, row.event) for i, row in enumerate(rows) if isinstance(row.event, RetrainingReported))
    rows[index] = replace(rows[index], event=replace(event, metrics=event.metrics | {IMAGES: RUNG - 1.0}))
    with pytest.raises(Discrepancy, match=f"judged by {RUNG - 1} images at 1 kimg, not {RUNG}"):
        check_confirmation(folder, rows, False, Counter())


def test_a_report_without_the_number_fails_its_trial(tmp_path: Path) -> None:
    place, config = tmp_path / "ledger.db", config_of(trials=1)
    open_study(place, config)
    record = drive(place, config, result=result_of)
    assert record.trials[0].state == TrialState.FAILED
    assert f"metric {IMAGES} is missing" in (record.trials[0].cause or "")


def test_without_the_key_reports_tell_no_number(tmp_path: Path) -> None:
    with first_trial(tmp_path) as (_, conductor, running):
        assert conductor.report(0, result_of(running.config, 1))
        assert running.reports == {1: FidEstimate(1, fid_of(running.config, 1))}
        assert conductor.full_count_at == (9,)


# ------------------------------------------------------------------------------------------------ a raised budget


def test_a_raised_budget_keeps_the_old_top_in_full_for_old_and_new_trials(tmp_path: Path) -> None:
    """3 kimg was the top and is a rung now: its ASHA compares FIDs in full, of trials of before and after."""
    place = tmp_path / "ledger.db"
    first = config_of(schedule={"grace_kimg": 1, "max_kimg": 3, "reduction_factor": 3}, trials=6)
    second = config_of(trials=10)
    refuse_changes(first.to_dict(), second.to_dict(), tmp_path)
    open_study(place, first)
    before = drive(place, first, result=judged({3}))
    with Ledger.open(place, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        writer.append(StudyChanged(1, second.to_dict()))
        assert set(Conductor(second, CEILING, writer, ledger.read()).full_count_at) == {3, 9}
    after = drive(place, second, result=judged({3, 9}))
    assert after.full_count_at == (3, 9)
    for old, new in zip(before.trials, after.trials, strict=False):
        assert old.curve.items() <= new.curve.items()
    reached = [trial for trial in after.trials if 3 in trial.curve]
    assert {trial.number < 6 for trial in reached} == {True, False}, "of both"
    for trial in reached:
        assert [report.estimate.images for report in trial.reports if report.kimg in (3, 9)] == [FULL] * (
            1 + (trial.kimg == 9)
        )
        full = [trial.curve[kimg] for kimg in (3, 9) if kimg in trial.curve]
        assert trial.fid_best == min(full)
        assert best_up_to(trial, 8) == trial.curve[3]
        assert best_up_to(trial, 2) == min(trial.curve[1], trial.curve[2])
    assert replayed(rows_of(place), tmp_path) is None


def test_the_key_cannot_be_changed_later() -> None:
    for old, new in ((toy_config(), config_of()), (config_of(), toy_config())):
        with pytest.raises(InvalidInput, match=r"evaluation\.rung_count: "):
            refuse_changes(old.to_dict(), new.to_dict(), Path("place"))
    older = toy_config().to_dict()
    del older["evaluation"]["rung_count"]
    refuse_changes(older, toy_config().to_dict(), Path("place"))


# ------------------------------------------------------------------------------------------------ what follows


def with_images(trial: TrialRecord, full_at: set[int]) -> TrialRecord:
    reports = (
        replace(report, metrics=report.metrics | {IMAGES: FULL if report.kimg in full_at else RUNG})
        for report in trial.reports
    )
    return replace(trial, reports=tuple(reports))


def test_an_export_tells_where_fids_are_in_full(study: tuple[Path, StudyRecord], tmp_path: Path) -> None:
    record = study[1]
    export(record, rank(record.trials)[0].trial, tmp_path / "best.yaml")
    origin = read_export(tmp_path / "best.yaml").origin
    assert origin is not None
    assert origin.full_count_at == (9,)
    plain = made_study(made_trial(0, {1: 5.0}), resources={"cpus": "auto"})
    export(plain, plain.trials[0], tmp_path / "plain.yaml")
    assert "full_count_at" not in yaml.safe_load((tmp_path / "plain.yaml").read_text())["origin"]


def test_studies_compare_where_both_judged_by_equally_many() -> None:
    curve = {1: 40.0, 3: 30.0, 9: 20.0}
    plain = made_study(made_trial(0, curve), name="plain")
    often = made_study(made_trial(0, curve | {3: 15.0}), name="often")
    fewer = made_study(with_images(made_trial(0, curve), {9}), name="fewer", evaluation={"count": FULL})
    at_rungs = made_study(with_images(made_trial(0, {1: 40.0, 3: 30.0}, "stopped"), {9}), name="stopped")
    both = compare(plain, fewer)
    assert [list(side.best_at) for side in both.sides] == [[9], [9]]
    assert [side.best_at_equal_cost for side in both.sides] == [20.0, 20.0]
    looked = compare(often, fewer)
    assert [side.best_at for side in looked.sides] == [{9: 20.0}, {9: 20.0}], (
        "15 was a look that the other did not take"
    )
    neither = compare(plain, at_rungs)
    assert [side.best_at for side in neither.sides] == [{}, {}]
    assert [side.best_at_equal_cost for side in neither.sides] == [None, None], "30 of 200 images is not set against 30"


def test_a_warm_start_takes_reports_of_equally_many_images() -> None:
    space, schedule = toy_config().space.resolve(), toy_config().schedule
    params = dict(space.baselines[0].params)
    curve = {1: 10.0, 3: 9.0, 9: 30.0}
    plain = EarlierTrial(0, params, "completed", curve)
    mixed = EarlierTrial(0, params, "completed", curve, {1: RUNG, 3: RUNG, 9: FULL})
    alike, fewer = ImageCounts(FULL), ImageCounts(FULL, RUNG, frozenset({9}))
    expected = {
        (False, False): ({1: 10.0, 3: 9.0, 9: 30.0}, 9.0),
        (False, True): ({9: 30.0}, 30.0),
        (True, False): ({9: 30.0}, 30.0),
        (True, True): ({1: 10.0, 3: 9.0, 9: 30.0}, 30.0),
    }
    for (trial_fewer, here_fewer), (shared, value) in expected.items():
        told = lesson(mixed if trial_fewer else plain, space, schedule, CEILING, fewer if here_fewer else alike)
        assert (told.intermediate_values, told.value, told.state) == (shared, value, OptunaState.COMPLETE)
    raised = ImageCounts(FULL, RUNG, frozenset({3, 9}))
    assert lesson(mixed, space, schedule, CEILING, raised).intermediate_values == {1: 10.0, 9: 30.0}
    stopped = EarlierTrial(0, params, "stopped", {1: 10.0})
    with pytest.raises(InvalidInput, match="by other numbers of images"):
        lesson(stopped, space, schedule, CEILING, fewer)


@pytest.mark.parametrize("images", [{"1": 0}, {"1": True}, {"2": 5}, [], {"1": 5, "2": 5}])
def test_an_impossible_number_of_images_is_refused_in_the_ledger(images: Any) -> None:
    trial = {"params": {}, "state": "completed", "curve": {"1": 5.0}}
    WarmStarted("a", "uid", 1, {"0": trial | {"images": {"1": 5}}})
    with pytest.raises(ValueError, match="its images are no number for each FID"):
        WarmStarted("a", "uid", 1, {"0": trial | {"images": images}})


def test_the_noise_of_latents_is_pooled_over_equally_many_images() -> None:
    few = with_images(made_trial(0, {1: 5.0}, "stopped", rung=1), {9})
    full = with_images(made_trial(1, {1: 5.0, 3: 5.0, 9: 8.0}), {9})
    values = [(0, 1, (1.0, 9.0)), (1, 9, (7.0, 8.0))]
    noise = [NoiseMeasured(t, k, "evaluation", i, fid, None) for t, k, fids in values for i, fid in enumerate(fids, 1)]
    made = replace(made_study(few, full), noise=Noise(tuple(noise)))
    (line, _) = ranking_lines(made, rank(made.trials), "ganstudy noise toy")
    assert "0.707 over fresh latents (2 values, trial 1)" in line  # |7 - 8| / sqrt(2), not with |1 - 9| / sqrt(2)


def test_the_generator_of_a_retraining_is_the_best_in_full() -> None:
    reports = [
        Report(k, 1, {"fid": fid, IMAGES: n}, 0.0) for k, fid, n in ((1, 5.0, RUNG), (3, 9.0, FULL), (9, 9.0, FULL))
    ]
    assert chosen_kimg(reports) == 3
    assert chosen_kimg(reports[:1]) == 1


def test_the_words_for_people_tell_both_numbers(study: tuple[Path, StudyRecord]) -> None:
    assert images_judged(study[1]) == "300 generated images at 9 kimg, of 200 at the others"
    assert images_judged(made_study(made_trial(0, {1: 5.0}))) == "300 generated images"
