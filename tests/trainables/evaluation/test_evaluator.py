import math

import pytest
import torch
from small_trials import EVALUATION, global_randomness_untouched

from trainables.errors import Diverged
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.fid import FeatureMoments
from trainables.evaluation.metrics import METRICS, Looks, Metric
from trainables.evaluation.metrics.base import Knobs
from trainables.evaluation.prepare import Prepared


def with_metrics(prepared: Prepared, *names: str) -> Prepared:
    """The same study with other metrics: none of them enters what is prepared."""
    import dataclasses

    evaluation = Evaluation.model_validate(EVALUATION.model_dump() | {"metrics": names})
    return dataclasses.replace(prepared, evaluation=evaluation)


def batches(prepared: Prepared, size: int) -> list[torch.Tensor]:
    return list(torch.from_numpy(prepared.dataset.train.images[:300].copy()).split(size))


def test_gives_what_the_evaluation_promises_without_randomness(prepared: Prepared) -> None:
    evaluator = Evaluator(prepared)
    with global_randomness_untouched():
        found = evaluator.evaluate(batches(prepared, 64))
        assert (
            evaluator.evaluate(iter(batches(prepared, 64)))
            == found
            == Evaluator(prepared).evaluate(batches(prepared, 64))
        )
    assert tuple(found) == evaluator.keys == EVALUATION.keys
    assert set(found) == {
        *("fid", "kid", "kid_std", "precision", "recall", "density", "coverage"),
        *("modes_covered", "class_kl", "inception_score"),
    }
    assert all(math.isfinite(value) for value in found.values())


def test_the_fid_is_the_same_to_the_last_bit_whatever_else_is_measured(prepared: Prepared) -> None:
    extractor, moments = prepared.build_extractor(), FeatureMoments(64)
    for images in batches(prepared, 64):
        moments.update(extractor(images))
    expected = prepared.reference().distance(moments)
    for names in ((), ("kid",), tuple(METRICS)):
        found = Evaluator(with_metrics(prepared, *names)).evaluate(batches(prepared, 64))
        assert found["fid"] == expected
        assert len(found) == 1 + sum(len(METRICS[name].keys) for name in names)


def test_how_the_images_are_cut_into_batches_changes_nothing_but_rounding(prepared: Prepared) -> None:
    evaluator = Evaluator(prepared)
    whole, cut = (evaluator.evaluate(batches(prepared, size)) for size in (300, 7))
    assert cut == pytest.approx(whole, rel=1e-4, abs=0.01)


def test_real_images_are_rated_well_and_noise_badly(prepared: Prepared) -> None:
    evaluator = Evaluator(prepared)
    real = evaluator.evaluate(batches(prepared, 100))
    noise = evaluator.evaluate([torch.randint(0, 256, (300, 1, 8, 8), generator=torch.Generator(), dtype=torch.uint8)])
    for key in ("fid", "kid", "class_kl"):
        assert real[key] < noise[key] / 3
    for key in ("precision", "recall", "density", "coverage"):
        assert real[key] > 0.6
        assert real[key] > noise[key] + 0.3
    assert real["modes_covered"] == prepared.classes_present > noise["modes_covered"]
    assert real["inception_score"] > noise["inception_score"]


class Broken(Metric):
    keys = ("broken",)

    def __init__(self, real: Looks, knobs: Knobs) -> None:
        pass

    def __call__(self, fake: Looks) -> dict[str, float]:
        return {"broken": math.inf}


def test_a_number_that_is_not_finite_is_divergence(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "broken", Broken)
    evaluator = Evaluator(with_metrics(prepared, "broken"))
    assert evaluator.keys == ("fid", "broken")
    with pytest.raises(Diverged, match="broken of the generated images is inf"):
        evaluator.evaluate(batches(prepared, 100))
