"""An evaluation in bf16: a fingerprint of its own, features and FIDs that are nearly those of float32."""

import pytest
import torch
from small_trials import EVALUATION, small

from trainables.data import Digits
from trainables.evaluate_generator import evaluate_generator
from trainables.evaluation import classifier
from trainables.evaluation.config import Evaluation
from trainables.evaluation.prepare import Prepared, prepare
from trainables.gan.session import Session
from trainables.generator import Generator, GeneratorFacts
from trainables.tensors import weights_digest


@pytest.fixture(scope="module")
def lowered(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The digits, prepared for an evaluation in bf16."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "_STEPS_MIN", 50)
        patch.setattr(classifier, "_STEPS_MAX", 50)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return prepare(Digits(), Evaluation.model_validate(EVALUATION.model_dump() | {"precision": "bf16"}))


def test_fids_of_two_precisions_are_not_to_be_compared(prepared: Prepared, lowered: Prepared) -> None:
    assert lowered.extractor.digest == prepared.extractor.digest
    assert lowered.fingerprint != prepared.fingerprint


def test_features_are_float32_and_those_of_float32_but_for_rounding(prepared: Prepared, lowered: Prepared) -> None:
    images = torch.from_numpy(prepared.dataset.test.images[:64].copy())
    one, other = lowered.build_extractor()(images), prepared.build_extractor()(images)
    assert one.dtype == torch.float32
    assert not torch.equal(one, other)
    assert (one - other).norm() / other.norm() < 0.03  # eight layers that round to 8 bits each: 0.4 % a layer


def test_a_trial_is_evaluated_in_bf16_and_trained_as_ever(prepared: Prepared, lowered: Prepared) -> None:
    evaluation = lowered.evaluation.model_dump(mode="json")
    one, other = Session(small(), prepared), Session(small(evaluation=evaluation), lowered)
    assert one.train(2).loss_d == other.train(2).loss_d
    fid, lowered_fid = one.evaluate()["fid"], other.evaluate()["fid"]
    assert lowered_fid != fid
    assert lowered_fid == pytest.approx(fid, rel=0.05)


def test_its_file_is_evaluated_as_the_trial_was_to_the_last_bit(lowered: Prepared) -> None:
    session = Session(small(evaluation=lowered.evaluation.model_dump(mode="json")), lowered)
    session.train(1)
    expected, weights = session.evaluate(), session.evaluated.state_dict()
    facts = GeneratorFacts(
        trial=session.config,
        channels=1,
        size=8,
        class_counts=tuple(int((lowered.dataset.train.labels == k).sum()) for k in range(10)),
        kimg=1,
        fid=expected["fid"],
        fid_fingerprint=lowered.fingerprint,
        weights=weights_digest(weights),
    )
    assert evaluate_generator(Generator(facts, weights), lowered) == expected
