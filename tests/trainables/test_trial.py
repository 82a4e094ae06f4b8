import dataclasses
import hashlib
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_trials import example, global_randomness_untouched, same, small, weights

from trainables.checkpoint import CheckpointStore
from trainables.errors import CorruptFile, Diverged
from trainables.evaluation.prepare import Prepared
from trainables.faults import StaleAttempt
from trainables.gan.config import TrialConfig
from trainables.gan.histograms import histogram_picture
from trainables.gan.models import MODELS
from trainables.gan.session import MEANS, Session, Training
from trainables.images import sample_grid
from trainables.repeats import allow_repeat
from trainables.trial import METRICS, Report, Trial, report_keys

CONFIG = small(ema_kimg=1, n_critic=2)

TIMES = {"images_per_second", "train_seconds", "eval_seconds"}


def timeless(reports: list[Report]) -> list[Report]:
    """The reports without what the machine's speed decides."""
    return [{name: value for name, value in report.items() if name not in TIMES} for report in reports]


def run(folder: Path, prepared: Prepared, reports: int, config: TrialConfig = CONFIG) -> list[Report]:
    trial = Trial(config, prepared, folder)
    return [trial.next_report(1) for _ in range(reports)]


def grids(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "samples").iterdir())


@pytest.fixture(scope="module")
def whole(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> list[Report]:
    """The reports of five kimg in one go."""
    return run(tmp_path_factory.mktemp("whole"), prepared, 5)


# --------------------------------------------------------------------------------------- of an older ganstudy


def older(config: TrialConfig) -> dict[str, Any]:
    """The configuration as written before `reuse_fakes` and an evaluation's `precision` and `rung_count`."""
    data = config.to_dict()
    assert data.pop("reuse_fakes") is False
    assert data["evaluation"].pop("precision") == "float32"
    assert data["evaluation"].pop("rung_count") is None
    return data


def sha256(data: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def test_a_field_that_came_later_changes_no_digest_at_its_default() -> None:
    before = sha256(older(CONFIG))
    assert CONFIG.digest == TrialConfig.from_dict(older(CONFIG)).digest == before
    for other in ({"precision": "bf16", "rung_count": 300}, {"precision": "float32", "rung_count": 200}):
        changed = small(evaluation=older(CONFIG)["evaluation"] | other)
        assert changed.digest != before
    assert small(ema_kimg=1, n_critic=2, reuse_fakes=True).digest != before
    lowered = small(reuse_fakes=True, evaluation=older(CONFIG)["evaluation"] | {"precision": "bf16", "rung_count": 300})
    assert lowered.digest == sha256(lowered.to_dict())


def test_a_trial_begun_before_a_field_came_goes_on(
    whole: list[Report], prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(TrialConfig, "digest", property(lambda config: sha256(older(config))))
        began = run(tmp_path, prepared, 2)
    trial = Trial(TrialConfig.from_dict(older(CONFIG)), prepared, tmp_path)
    reports = [*began, *(trial.next_report(1) for _ in range(4))]
    del reports[2]  # the checkpoint's own, told again
    assert timeless(reports) == timeless(whole)


# --------------------------------------------------------------------------------------------------- reports


def test_a_report_has_every_metric_and_each_is_finite(whole: list[Report]) -> None:
    assert set(METRICS) == {"kimg", "fid", "fid_best", *MEANS, *TIMES}
    for kimg, report in enumerate(whole, start=1):
        assert set(report) == set(report_keys(CONFIG.evaluation))
        assert report["kimg"] == kimg
        assert all(math.isfinite(value) for value in report.values())
        assert json.loads(json.dumps(report)) == report


def test_the_best_fid_is_the_least_so_far_and_times_add_up(whole: list[Report]) -> None:
    fids = [report["fid"] for report in whole]
    assert [report["fid_best"] for report in whole] == [min(fids[: i + 1]) for i in range(5)]
    for name in ("train_seconds", "eval_seconds"):
        spent = [report[name] for report in whole]
        assert spent[0] > 0
        assert all(later > earlier for earlier, later in pairwise(spent))
    for previous, report in pairwise(whole):
        seconds = report["train_seconds"] - previous["train_seconds"]
        assert report["images_per_second"] * seconds == pytest.approx(1000, rel=1e-6)


def test_the_best_fid_stays_when_the_fid_rises(prepared: Prepared, tmp_path: Path) -> None:
    trial = Trial(CONFIG, prepared, tmp_path)
    first = trial.next_report(1)
    with torch.no_grad():
        for parameter in trial.session.evaluated.parameters():
            parameter.zero_()
    second = trial.next_report(1)
    assert second["fid"] > first["fid"]
    assert second["fid_best"] == first["fid"]


def test_the_fids_are_those_of_a_session_without_a_folder(whole: list[Report], prepared: Prepared) -> None:
    session = Session(CONFIG, prepared)
    expected = [(session.train(1).loss_d, session.evaluate()["fid"]) for _ in range(5)]
    assert [(report["loss_d"], report["fid"]) for report in whole] == expected


def test_leaves_global_randomness_alone(prepared: Prepared, tmp_path: Path) -> None:
    with global_randomness_untouched():
        run(tmp_path, prepared, 1)
        run(tmp_path, prepared, 2)


# --------------------------------------------------------------------------------------------------- samples


def test_a_grid_is_drawn_at_the_start_and_at_each_report(prepared: Prepared, tmp_path: Path) -> None:
    trial = Trial(CONFIG, prepared, tmp_path)
    untrained = sample_grid(trial.session.samples())
    trial.next_report(2)
    trial.next_report(1)
    assert grids(tmp_path) == ["kimg-000000.png", "kimg-000002.png", "kimg-000003.png"]
    pictures = []
    for name in grids(tmp_path):
        with Image.open(tmp_path / "samples" / name) as picture:
            assert picture.format == "PNG"
            pictures.append(np.asarray(picture))
    assert len({picture.tobytes() for picture in pictures}) == 3
    assert {picture.shape for picture in pictures} == {((8 * 9 + 1) * 2, (8 * 9 + 1) * 2)}  # 8 x 8 grey images of 8 x 8
    np.testing.assert_array_equal(pictures[0], np.asarray(untrained))
    np.testing.assert_array_equal(pictures[-1], np.asarray(sample_grid(trial.session.samples())))


def test_a_histogram_of_ds_probabilities_is_drawn_beside_each_grid(prepared: Prepared, tmp_path: Path) -> None:
    trial = Trial(CONFIG, prepared, tmp_path)
    trial.next_report(2)
    assert sorted(path.name for path in (tmp_path / "histograms").iterdir()) == grids(tmp_path)
    expected = histogram_picture(*trial.session.discriminator_probabilities(256), "2 kimg")
    with Image.open(tmp_path / "histograms" / "kimg-000002.png") as picture:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))


def test_a_collapse_is_reported_and_is_no_divergence(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(small(), prepared, tmp_path)
    reports = [trial.next_report(1) for _ in range(3)]
    train = trial.session.train

    def train_and_break(kimg: int) -> Training:
        training = train(kimg)
        with torch.no_grad():
            for parameter in trial.session.generator.parameters():
                parameter.zero_()  # the same grey image for every latent
        return training

    monkeypatch.setattr(trial.session, "train", train_and_break)
    fallen = trial.next_report(1)
    assert fallen["modes_covered"] == 1
    assert fallen["fid"] > 1.3 * fallen["fid_best"]
    assert [report["collapsed"] for report in (*reports, fallen)] == [0, 0, 0, 1]


# ---------------------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_trial_found_in_its_folder_goes_on_as_if_nothing_had_happened(
    cut: int, whole: list[Report], prepared: Prepared, tmp_path: Path
) -> None:
    before = run(tmp_path, prepared, cut)
    resumed = Trial(CONFIG, prepared, tmp_path)
    assert resumed.unreported == before[-1]
    again = resumed.next_report(1)
    assert again == before[-1]  # the very same, times too
    assert resumed.unreported is None
    after = [resumed.next_report(1) for _ in range(5 - cut)]
    assert timeless(before + after) == timeless(whole)
    spent = [report["train_seconds"] for report in before + after]
    assert spent == sorted(spent)
    assert grids(tmp_path) == [f"kimg-{kimg:06d}.png" for kimg in range(6)]


def test_a_damaged_checkpoint_costs_one_report(whole: list[Report], prepared: Prepared, tmp_path: Path) -> None:
    run(tmp_path, prepared, 3)
    store = CheckpointStore(tmp_path / "checkpoints")
    damaged = store.path(3) / "generator.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert timeless(run(tmp_path, prepared, 4)) == timeless(whole[1:])  # from 2 kimg, told again
    assert store.kimgs()[-2:] == [4, 5]


def test_nothing_but_damage_is_an_error(prepared: Prepared, tmp_path: Path) -> None:
    run(tmp_path, prepared, 1)
    (tmp_path / "checkpoints" / "kimg-000001" / "manifest.json").unlink()
    with pytest.raises(CorruptFile, match=r"kimg-000001.*manifest\.json"):
        Trial(CONFIG, prepared, tmp_path)


def test_keeps_the_newest_two_checkpoints_and_the_best(prepared: Prepared, tmp_path: Path) -> None:
    reports = run(tmp_path, prepared, 5)
    best = min(reports, key=lambda report: report["fid"])["kimg"]
    assert CheckpointStore(tmp_path / "checkpoints").kimgs() == sorted({best, 4, 5})


def test_restoring_takes_over_the_report_that_came_before(prepared: Prepared, tmp_path: Path) -> None:
    trial = Trial(CONFIG, prepared, tmp_path / "one")
    reports = [trial.next_report(1) for _ in range(2)]
    other = Trial(CONFIG, prepared, tmp_path / "other")
    other.restore(trial.checkpoint())
    assert other.session.kimg == 2
    assert other.unreported is None
    expected, found = trial.next_report(1), other.next_report(1)
    assert timeless([found]) == timeless([expected])
    assert found["fid_best"] <= min(report["fid"] for report in reports)
    assert found["train_seconds"] > reports[-1]["train_seconds"]


def test_a_checkpoint_before_the_first_report_has_none(prepared: Prepared, tmp_path: Path) -> None:
    trial, other = (Trial(CONFIG, prepared, tmp_path / name) for name in ("one", "other"))
    other.restore(trial.checkpoint())
    assert other.unreported is None
    assert timeless([other.next_report(1)]) == timeless([trial.next_report(1)])


# --------------------------------------------------------------------------------------------------- the rest


def test_a_diverged_report_leaves_the_last_good_checkpoint(
    whole: list[Report], prepared: Prepared, tmp_path: Path
) -> None:
    trial = Trial(CONFIG, prepared, tmp_path)
    first = trial.next_report(1)
    with torch.no_grad():
        next(trial.session.generator.parameters()).fill_(math.nan)
    with pytest.raises(Diverged, match="by 2 kimg"):
        trial.next_report(1)
    assert CheckpointStore(tmp_path / "checkpoints").kimgs() == [1]
    again = run(tmp_path, prepared, 2)
    assert again[0] == first
    assert timeless(again) == timeless(whole[:2])


@pytest.mark.parametrize("model", MODELS)
def test_every_model_resumes_from_its_files(model: str, prepared: Prepared, tmp_path: Path) -> None:
    config = small(model=example(MODELS[model], width=4), normalisation="spectral")
    trial = Trial(config, prepared, tmp_path)
    trial.next_report(1)
    found = Trial(config, prepared, tmp_path)
    for net in ("generator", "discriminator", "evaluated"):
        assert same(weights(getattr(found.session, net)), weights(getattr(trial.session, net)))


def test_another_seed_draws_other_images(prepared: Prepared, tmp_path: Path) -> None:
    drawn = set()
    for seed in (1, 1, 2):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        Trial(small(seed=seed), prepared, folder).next_report(1)
        drawn.add((folder / "samples" / "kimg-000000.png").read_bytes())
    assert len(drawn) == 2


def test_a_shared_preparation_is_not_changed(prepared: Prepared, tmp_path: Path) -> None:
    copies = {field.name: getattr(prepared, field.name) for field in dataclasses.fields(prepared)}
    before = {name: value.copy() for name, value in copies.items() if isinstance(value, np.ndarray)}
    run(tmp_path, prepared, 1)
    assert set(before) == {"mean", "covariance", "root", "features", "noise_mean", "noise_covariance"}
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(prepared, name), value)


def test_checkpoints_of_another_configuration_are_not_continued(prepared: Prepared, tmp_path: Path) -> None:
    Trial(small(seed=1), prepared, tmp_path).next_report(1)
    with pytest.raises(CorruptFile, match="of another configuration"):
        Trial(small(seed=2), prepared, tmp_path)
    assert Trial(small(seed=1), prepared, tmp_path).session.kimg == 1


def test_checkpoints_that_are_gone_are_missed_where_there_was_a_report(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(CorruptFile, match="its checkpoints are gone"):
        Trial(small(), prepared, tmp_path, attempt=2, reported=4)
    allow_repeat(tmp_path, 3)
    with pytest.raises(CorruptFile, match="its checkpoints are gone"):
        Trial(small(), prepared, tmp_path, attempt=2, reported=4)
    allow_repeat(tmp_path, 4)
    assert Trial(small(), prepared, tmp_path, attempt=2, reported=4).session.kimg == 0


def test_a_folder_that_a_later_attempt_took_over_is_left_alone(prepared: Prepared, tmp_path: Path) -> None:
    stale = Trial(small(), prepared, tmp_path, attempt=1)
    Trial(small(), prepared, tmp_path, attempt=2)
    with pytest.raises(StaleAttempt, match="attempt 2 has begun"):
        stale.next_report(1)
    assert not list((tmp_path / "checkpoints").glob("kimg-*"))
