"""Fewer images at the rungs: which FIDs compare, what a trial reports, and that training does not notice."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_trials import EVALUATION, refusal, same, small, weights

from trainables.checkpoint import CheckpointStore
from trainables.errors import CorruptFile, InvalidInput
from trainables.evaluation.collapse import RISE_FEW_CLASSES, collapsed
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import FID_OF_FIRST
from trainables.evaluation.image_counts import IMAGES, FidEstimate, ImageCounts, best_of
from trainables.evaluation.prepare import Prepared, _fingerprint, check
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session
from trainables.held_out import evaluate_best
from trainables.trial import Report, Trial, report_keys

FULL, RUNG = EVALUATION.count, 200
WITHOUT = small(ema_kimg=1, n_critic=2)
WITH = small(ema_kimg=1, n_critic=2, evaluation=EVALUATION.model_dump(mode="json") | {"rung_count": RUNG})
TIMES = {"images_per_second", "train_seconds", "eval_seconds"}


def timeless(report: Report) -> Report:
    return {name: value for name, value in report.items() if name not in TIMES}


def run(folder: Path, prepared: Prepared, kimg: int, config: TrialConfig = WITH, at: tuple[int, ...] = (3,)) -> Trial:
    """A trial that has reported up to `kimg`; its reports are on disk as far as they are kept."""
    trial = Trial(config, prepared, folder, full_count_at=at)
    while trial.session.kimg < kimg or trial.unreported:
        trial.next_report(1)
    return trial


# ------------------------------------------------------------------------------------------ which FIDs compare

estimates = st.lists(
    st.builds(FidEstimate, st.integers(1, 9), st.floats(0, 100), st.sampled_from([0, 1000, 5000])), max_size=8
)


@given(estimates)
def test_the_best_is_never_taken_across_numbers_of_images(found: list[FidEstimate]) -> None:
    best = best_of(found)
    if not found:
        assert best is None
        return
    assert best is not None
    assert best.images == max(one.images for one in found)
    alike = [one for one in found if one.images == best.images]
    assert (best.fid, best.kimg) == min((one.fid, one.kimg) for one in alike)
    fewer = [replace(one, fid=one.fid - 1000) for one in found if one.images < best.images]
    assert best_of([*alike, *fewer]) == best, "however low an FID of fewer images is"


@given(estimates, st.integers(0, 8))
def test_the_best_of_bests_is_the_best_of_all(found: list[FidEstimate], cut: int) -> None:
    """So that what is kept on the way (checkpoints, displays) is what is found at the end."""
    parts = (best_of(found[:cut]), best_of(found[cut:]))
    assert best_of([part for part in parts if part is not None]) == best_of(found)


@given(st.integers(1, 99), st.sets(st.integers(1, 99)))
def test_the_number_of_images_follows_from_kimg_alone(kimg: int, full_at: set[int]) -> None:
    counts = ImageCounts.of(Evaluation(count=5000, rung_count=1000), full_at)
    assert counts.at(kimg) == (5000 if kimg in full_at else 1000)
    for everywhere in (ImageCounts.of(Evaluation(count=5000), full_at), ImageCounts.of(Evaluation(rung_count=9), None)):
        assert everywhere.at(kimg) == everywhere.full


# ------------------------------------------------------------------------------------------------ what is refused


def test_more_images_at_rungs_than_at_the_end_are_refused() -> None:
    message = refusal(evaluation={"count": 300, "rung_count": 301})
    assert "rung_count 301 is above count 300" in message
    assert "\n" not in message
    assert small(evaluation={"count": 300, "rung_count": 300}).evaluation.rung_count == 300


def test_no_more_images_than_features_are_refused_before_any_work(prepared: Prepared) -> None:
    dimension = prepared.extractor.dimension
    evaluation = Evaluation(count=300, rung_count=dimension)
    with pytest.raises(InvalidInput, match=rf"evaluation\.rung_count={dimension}: must be more than .* {dimension} "):
        check(prepared.dataset, evaluation)
    check(prepared.dataset, Evaluation(count=300, rung_count=dimension + 1))


# ------------------------------------------------------------------------------------------------- in a trial


def test_the_key_changes_no_fingerprint(prepared: Prepared) -> None:
    of = {_fingerprint(prepared.dataset, one.evaluation, prepared.extractor) for one in (WITH, WITHOUT)}
    assert of == {prepared.fingerprint}


def test_training_and_the_reports_in_full_are_those_without_the_key(prepared: Prepared, tmp_path: Path) -> None:
    plain = Trial(WITHOUT, prepared, tmp_path / "plain")
    trial = Trial(WITH, prepared, tmp_path / "trial", full_count_at=[3])
    onlooker = Session(WITHOUT, prepared)
    fids = []
    for kimg in (1, 2, 3, 4):
        expected, found = plain.next_report(1), trial.next_report(1)
        onlooker.train(1)
        assert set(found) == set(report_keys(WITH.evaluation)) == {*report_keys(WITHOUT.evaluation), IMAGES}
        assert found[IMAGES] == (FULL if kimg == 3 else RUNG)
        assert found["fid"] == onlooker.evaluate(images=RUNG if kimg != 3 else None)["fid"]
        fids.append(found["fid"])
        # 3 kimg is the only report in full, so it is the best from there on, whatever the others say.
        assert found["fid_best"] == (min(fids) if kimg < 3 else fids[2])
        trained = ("loss_g", "loss_d", "d_real", "d_fake", "grad_norm_g", "grad_norm_d")
        assert [found[name] for name in trained] == [expected[name] for name in trained]
        if kimg == 3:
            alike = {name for name in set(expected) - TIMES if name not in ("fid_best", "collapsed")}
            assert {name: found[name] for name in alike} == {name: expected[name] for name in alike}
        else:
            assert found["fid"] != expected["fid"]
    for net in ("generator", "discriminator", "evaluated"):
        assert same(weights(getattr(trial.session, net)), weights(getattr(plain.session, net)))


def test_without_a_study_every_report_is_in_full(prepared: Prepared, tmp_path: Path) -> None:
    trial, plain = Trial(WITH, prepared, tmp_path / "a"), Trial(WITHOUT, prepared, tmp_path / "b")
    for _ in range(2):
        assert timeless(trial.next_report(1)) == timeless(plain.next_report(1)) | {IMAGES: FULL}


def test_a_trial_goes_on_from_its_files_with_the_bests_it_had(prepared: Prepared, tmp_path: Path) -> None:
    """At each kimg a new process takes over, as after a crash; 2 and 4 kimg are in full: a budget that was raised."""
    whole = Trial(WITH, prepared, tmp_path / "whole", full_count_at=[2, 4])
    expected = [timeless(whole.next_report(1)) for _ in range(5)]
    found = []
    for kimg in range(1, 6):
        trial = Trial(WITH, prepared, tmp_path / "cut", full_count_at=[2, 4])
        trial.unreported = None
        found.append(timeless(trial.next_report(1)))
        assert trial.session.kimg == kimg
    assert found == expected
    full = {2: expected[1]["fid"], 4: expected[3]["fid"]}
    assert expected[4]["fid_best"] == min(full.values())
    best = min(full, key=lambda kimg: full[kimg])
    store = CheckpointStore(tmp_path / "cut" / "checkpoints")
    assert store.best() == best
    assert store.kimgs() == sorted({best, 4, 5})


def test_a_checkpoint_that_cannot_be_read_is_no_best(prepared: Prepared, tmp_path: Path) -> None:
    run(tmp_path, prepared, 2, at=(1,))
    store = CheckpointStore(tmp_path / "checkpoints")
    assert store.best() == 1, "in full"
    (store.path(1) / "report.json").write_text("{")
    assert store.best() == 2


def test_the_generator_that_is_evaluated_on_other_images_is_the_best_in_full(
    prepared: Prepared, tmp_path: Path
) -> None:
    trial = run(tmp_path, prepared, 3)
    chosen, measured = evaluate_best(WITH, prepared, tmp_path)
    assert chosen == 3
    assert measured == trial.session.evaluate()
    with pytest.raises(CorruptFile, match="are gone"):
        evaluate_best(WITH, prepared, tmp_path / "nowhere")


def test_a_rise_is_seen_between_equally_many_images(prepared: Prepared, tmp_path: Path) -> None:
    """The first report in full has no FID in full before it: the FID of its first images tells of a collapse."""
    trial = Trial(WITH, prepared, tmp_path, full_count_at=[3])
    trial.next_report(1)
    before = trial.next_report(1)
    with torch.no_grad():  # every latent gives the same image from here on
        for net in (trial.session.evaluated, trial.session.generator):
            for name, value in net.named_parameters():
                value.fill_(5.0 if "bias" in name else 0.0)
    trial.session.train = Session(WITHOUT, prepared).train  # type: ignore[method-assign]
    trial.session.kimg = 3
    found = trial.next_report(1)
    measured = trial.session.evaluate(first=RUNG)
    assert measured[FID_OF_FIRST] == pytest.approx(measured["fid"], rel=1e-3), "one image is one image"
    assert found[IMAGES] == FULL
    assert found["fid"] == found["fid_best"] > RISE_FEW_CLASSES * before["fid"]
    assert not collapsed(found, found["fid_best"], prepared.classes_present), "across numbers it would be missed"
    assert found["collapsed"] == 1.0
