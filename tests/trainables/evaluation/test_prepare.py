import dataclasses
import hashlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from trainables.data import Dataset, Digits, LabelledImages, Npz, Split
from trainables.errors import InvalidInput
from trainables.evaluation import classifier
from trainables.evaluation.config import Evaluation
from trainables.evaluation.extractors import EXTRACTORS
from trainables.evaluation.fid import FeatureMoments, frechet_distance
from trainables.evaluation.prepare import Prepared, check, describe, prepare
from trainables.threads import fixed_threads

EVALUATION = Evaluation(count=300, batch=64)


@pytest.fixture(scope="module", autouse=True)
def short_recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A classifier of fifty steps, in a cache of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "_STEPS_MIN", 50)
        patch.setattr(classifier, "_STEPS_MAX", 50)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def prepared(short_recipe: None) -> Prepared:
    assert short_recipe is None
    return prepare(Digits(), EVALUATION)


def features_of(prepared: Prepared, split: Split) -> torch.Tensor:
    images = torch.from_numpy(prepared.dataset.split(split).images.copy())
    return prepared.build_extractor()(images).double()


def numbers(prepared: Prepared) -> tuple[bytes | float | str, ...]:
    arrays = (prepared.mean, prepared.covariance, prepared.root)
    return (prepared.fingerprint, prepared.fid_floor, prepared.fid_ceiling, *(a.tobytes() for a in arrays))


def test_the_reference_is_the_moments_of_the_evaluation_split(prepared: Prepared) -> None:
    features = features_of(prepared, Split.VALIDATION)
    reference = prepared.reference()
    assert reference.count == len(features) == 180
    torch.testing.assert_close(reference.mean, features.mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(reference.covariance, torch.cov(features.T), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(reference.root @ reference.root, reference.covariance, rtol=1e-6, atol=1e-6)


def test_the_floor_is_train_against_test_and_far_below_the_ceiling_of_noise(prepared: Prepared) -> None:
    # 300 of the 1,437 train images were drawn; any 300 give much the same distance, and nothing like noise.
    train, test = features_of(prepared, Split.TRAIN)[:300], features_of(prepared, Split.TEST)
    expected = frechet_distance(train.mean(0), torch.cov(train.T), test.mean(0), torch.cov(test.T))
    assert prepared.floor_count == 300
    assert 0.5 * expected < prepared.fid_floor < 2 * expected
    assert prepared.fid_floor < prepared.fid_ceiling / 3


def test_more_noise_on_real_images_is_a_larger_distance(prepared: Prepared) -> None:
    extractor, reference = prepared.build_extractor(), prepared.reference()
    real = torch.from_numpy(prepared.dataset.train.images.copy())
    noise = torch.randn(real.shape, generator=torch.Generator().manual_seed(0))
    distances = []
    for scale in (0, 20, 60, 200):
        moments = FeatureMoments(extractor.dimension)
        moments.update(extractor((real + scale * noise).clamp(0, 255).to(torch.uint8)))
        distances.append(reference.distance(moments))
    assert distances == sorted(distances)
    assert distances[-1] > 2 * distances[0]


def test_all_numbers_are_the_same_to_the_last_bit_for_any_number_of_threads(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # so that the classifier is trained anew as well
    generator_before = torch.get_rng_state()
    for threads in (1, 2):
        with fixed_threads(threads):
            assert numbers(prepare(Digits(), EVALUATION)) == numbers(prepared)
            assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), generator_before)


def test_the_fingerprint_tells_apart_what_must_not_be_compared(prepared: Prepared) -> None:
    others = [
        prepare(Digits(), EVALUATION.model_copy(update={"count": 301})),
        prepare(Digits(), EVALUATION.model_copy(update={"split": Split.TEST})),
        prepare(Digits(size=16), EVALUATION),
        prepare(Digits(), EVALUATION.model_copy(update={"prdc_images": 50})),
    ]
    assert len({prepared.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert len(prepared.fingerprint) == 16
    # The batch is only how the work is cut up: the same fingerprint, and the same numbers but for rounding.
    batched = prepare(Digits(), EVALUATION.model_copy(update={"batch": 100}))
    assert batched.fingerprint == prepared.fingerprint
    np.testing.assert_allclose(batched.covariance, prepared.covariance, rtol=1e-4, atol=1e-5)
    # Whether other numbers are measured beside the FID makes no other FID; nor do knobs of what is not measured.
    alone = prepare(Digits(), Evaluation(**EVALUATION.model_dump() | {"metrics": (), "prdc_images": 50}))
    assert (alone.fingerprint, alone.fid_ceiling) == (prepared.fingerprint, prepared.fid_ceiling)
    assert (
        alone.fingerprint
        == hashlib.sha256(
            f"{prepared.dataset.digest}/validation/{prepared.extractor.digest}/300/8".encode()
        ).hexdigest()[:16]
    )


@pytest.mark.parametrize("split", list(Split))
def test_on_another_split_everything_is_as_if_prepared_anew(
    split: Split, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    anew = prepare(Digits(), EVALUATION.model_copy(update={"split": split}))
    monkeypatch.setattr(Digits, "load", None)  # neither the data nor the noise again
    monkeypatch.setattr("trainables.evaluation.prepare.noise_images", None)
    for derived in (prepared.on(split), prepared.on(Split.TRAIN).on(split)):
        for field in dataclasses.fields(Prepared):
            found, expected = getattr(derived, field.name), getattr(anew, field.name)
            if isinstance(expected, np.ndarray):
                assert (found.dtype, found.tobytes()) == (expected.dtype, expected.tobytes()), field.name
            elif field.name == "dataset":
                assert found.digest == expected.digest
            elif field.name == "extractor":
                assert found.digest == expected.digest
                assert (found.input_shape, found.crop) == (expected.input_shape, expected.crop)
            else:
                assert found == expected, field.name
    assert (derived.fingerprint == prepared.fingerprint) == (split == Split.VALIDATION)


def test_on_a_split_with_too_few_images_is_refused(prepared: Prepared) -> None:
    few = LabelledImages(*(array[:64] for array in (prepared.dataset.test.images, prepared.dataset.test.labels)))
    short = dataclasses.replace(prepared, dataset=dataclasses.replace(prepared.dataset, test=few))
    with pytest.raises(InvalidInput, match="digits: 64 test images: must be more than the extractor's 64 features"):
        short.on(Split.TEST)


def test_the_features_are_those_of_the_evaluation_split(prepared: Prepared) -> None:
    features = features_of(prepared, Split.VALIDATION)
    assert prepared.features.dtype == np.float32
    assert prepared.features.shape == (180, 64)
    np.testing.assert_allclose(prepared.features, features.numpy(), rtol=1e-4, atol=1e-4)
    logits = prepared.build_extractor().logits(torch.from_numpy(prepared.features.copy()))
    assert prepared.classes_present == len(set(logits.argmax(1).tolist())) > 5


def test_pickles_without_torch_and_with_every_large_array_out_of_band(prepared: Prepared) -> None:
    buffers: list[pickle.PickleBuffer] = []
    content = pickle.dumps(prepared, protocol=5, buffer_callback=buffers.append)
    assert b"torch" not in content
    assert len(content) < 10_000 < sum(len(b.raw()) for b in buffers)
    back: Prepared = pickle.loads(content, buffers=[bytes(b) for b in buffers])  # read-only, as Ray maps them
    assert numbers(back) == numbers(prepared)
    features, expected = features_of(back, Split.TEST), features_of(prepared, Split.TEST)
    assert torch.equal(features, expected)
    moments = FeatureMoments(back.extractor.dimension)
    moments.update(features)
    assert back.reference().distance(moments) == prepared.reference().distance(moments)


def test_describe_is_plain_and_says_the_counts(prepared: Prepared) -> None:
    facts = describe(prepared)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["images"] == {"train": 1437, "validation": 180, "test": 180}
    assert facts["shape"] == [1, 8, 8]
    assert sum(facts["class_counts"]["train"]) == 1437
    assert facts["fid_floor_images"] == {"train": 300, "test": 180}
    assert facts["fid_ceiling_images"] == {"noise": 300, "validation": 180}
    assert (facts["fid_floor"], facts["fid_ceiling"]) == (prepared.fid_floor, prepared.fid_ceiling)
    assert (facts["digest"], facts["fingerprint"]) == (prepared.dataset.digest, prepared.fingerprint)
    assert facts["extractor"]["digest"] == prepared.extractor.digest


def test_there_must_be_more_images_than_features(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"evaluation\.count=64: must be more than the extractor's 64"):
        prepare(Digits(), Evaluation(count=64))
    images = np.arange(400 * 64).reshape(400, 8, 8) % 256
    np.savez(tmp_path / "few.npz", images=images.astype(np.uint8), labels=np.arange(400) % 2)
    with pytest.raises(InvalidInput, match="npz: 40 validation images: must be more than"):
        prepare(Npz(path=tmp_path / "few.npz"), EVALUATION)


UNWORKABLE: dict[str, tuple[str, dict[str, Any], str]] = {
    "too few generated": ("labelled", {"count": 64}, r"count=64: must be more than the extractor's 64 features"),
    "no labels": (
        "unlabelled",
        {"count": 300},
        r"a sub-folder per class.*evaluation\.extractor: \{name: self_supervised\}",
    ),
    "no weights": (
        "labelled",
        {"extractor": {"name": "inception", "weights": "nowhere.pth"}},
        "nowhere.pth: not there",
    ),
    "too few for inception": (
        "labelled",
        {"extractor": {"name": "inception", "weights": "weights.pth"}, "count": 2048},
        "count=2048: must be more than the extractor's 2048",
    ),
}


@pytest.mark.parametrize("case", UNWORKABLE)
def test_what_cannot_be_measured_is_refused_before_any_work(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No classifier is trained and no weights are read: of these there is only an empty file."""
    monkeypatch.chdir(tmp_path)
    Path("weights.pth").touch()
    name, evaluation, says = UNWORKABLE[case]
    digits = Digits().load()
    labels = {} if name == "unlabelled" else {"labels": np.asarray(digits.train.labels)}
    np.savez("made.npz", images=digits.train.images[:, 0], **labels)

    def worked(*_: object) -> None:
        raise AssertionError("work was done")

    for extractor in EXTRACTORS.values():
        monkeypatch.setattr(extractor, "prepare", worked)
    data, asked = Npz(path=Path("made.npz")), Evaluation.model_validate(evaluation)
    for refuse in (lambda: check(data.load(), asked), lambda: prepare(data, asked)):
        with pytest.raises(InvalidInput, match=says):
            refuse()


def test_misfits_are_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dataset: Dataset) -> None:
        raise InvalidInput(f"{dataset.name} does not fit")

    monkeypatch.setattr(EXTRACTORS["classifier"], "prepare", lambda *_: pytest.fail("work was done"))
    with pytest.raises(InvalidInput, match="digits does not fit"):
        prepare(Digits(), EVALUATION, refuse)


def test_the_number_of_features_is_known_beforehand(prepared: Prepared) -> None:
    assert features_of(prepared, Split.TEST).shape == (180, EXTRACTORS["classifier"].dimension)


def test_an_evaluation_is_strict_and_frozen() -> None:
    for wrong in ({"counts": 5}, {"count": 1}, {"batch": 0}, {"split": "val"}, {"extractor": {"name": "vgg"}}):
        with pytest.raises(ValidationError):
            Evaluation.model_validate(wrong)
    assert Evaluation.model_validate(EVALUATION.model_dump(mode="json")) == EVALUATION
    with pytest.raises(ValidationError, match="frozen"):
        EVALUATION.count = 5  # type: ignore[misc]
