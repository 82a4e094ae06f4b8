"""The extractor for images without classes: its losses by hand, its recipe's promises, and a study without labels."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from small_trials import global_randomness_untouched
from torch.nn import functional as F

from trainables.data import Dataset, Digits, LabelledImages, Npz
from trainables.errors import InvalidInput
from trainables.evaluation import classifier, self_supervised
from trainables.evaluation.config import Evaluation
from trainables.evaluation.extractors_self_supervised import SelfSupervisedExtractor
from trainables.evaluation.prepare import prepare
from trainables.evaluation.self_supervised import CLUSTERS, crop, nt_xent, train
from trainables.tensors import as_tensor, weights_digest


@pytest.fixture
def short_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Five steps of training, and an empty cache, which it gives."""
    monkeypatch.setattr(self_supervised, "_STEPS", 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ganstudy" / "classifiers"


def without_labels(dataset: Dataset) -> Dataset:
    parts = (LabelledImages(part.images, None) for part in (dataset.train, dataset.validation, dataset.test))
    return Dataset(dataset.name, *parts, classes=None)


def digest_of(dataset: Dataset) -> str:
    return weights_digest(classifier.state_arrays(train(dataset)))


def test_nt_xent_is_its_formula() -> None:
    """Chen et al. 2020, equation 1, one pair at a time."""
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = F.normalize(z, dim=1)
    losses = []
    for i in range(6):
        alike = [math.exp(float(unit[i] @ unit[k]) / 0.2) for k in range(6)]
        losses.append(-math.log(alike[(i + 3) % 6] / sum(alike[k] for k in range(6) if k != i)))
    assert float(nt_xent(z)) == pytest.approx(sum(losses) / 6)


def test_crops_of_one_image_are_parts_of_it() -> None:
    """A ramp from left to right: every crop still rises, within its range and less steeply; one colour stays so."""
    rng = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 255, 16).expand(50, 1, 16, 16)
    found = crop(ramp, rng)
    assert found.shape == ramp.shape
    assert 0 <= found.min() < found.max() <= 255
    rise = (found[..., 11] - found[..., 4]).mean((1, 2)) / 7
    assert (rise > 0).all()
    assert 17 * 0.4 < rise.min() < rise.max() < 17 * 1.1  # the ramp's own is 17 a pixel; a side is at least half
    assert torch.allclose(crop(torch.full((5, 3, 8, 8), 7.0), rng), torch.tensor(7.0))
    assert len(found.flatten(1).unique(dim=0)) == 50, "each of its own"


def test_it_repeats_and_looks_at_train_images_alone(short_recipe: Path) -> None:
    assert not short_recipe.exists()
    dataset = Digits().load()
    with global_randomness_untouched():
        digest = digest_of(dataset)
    assert digest_of(without_labels(dataset)) == digest, "labels are not looked at"
    assert digest_of(Dataset("other", dataset.train, dataset.test, dataset.validation, classes=10)) == digest
    swapped = Dataset("digits", dataset.test, dataset.validation, dataset.train, classes=10)
    assert digest_of(swapped) != digest


def test_its_logits_are_those_of_the_nearest_centre(short_recipe: Path) -> None:
    assert not short_recipe.exists()
    model = train(Digits().load())
    features = model.features(as_tensor(Digits().load().test.images))
    weight, bias = model.head.weight.detach(), model.head.bias.detach()
    scale = float(weight.square().sum(1)[0] / (-2 * bias[0]))  # |c|^2 / s^4 over |c|^2 / s^2: 1 / s^2
    centres = weight / scale
    nearest = torch.cdist(features, centres).argmin(1)
    assert (model.head(features).argmax(1) == nearest).float().mean() > 0.99
    assert len(nearest.unique()) > CLUSTERS // 2


@pytest.mark.parametrize("different", [1, 3])
def test_images_that_are_equal_have_fewer_clusters(short_recipe: Path, different: int) -> None:
    assert not short_recipe.exists()
    greys = np.repeat(np.linspace(40, 220, different).astype(np.uint8), 20)
    images = np.ones((1, 1, 8, 8), np.uint8) * greys[:, None, None, None]
    part = LabelledImages(images, None)
    model = train(Dataset("flat", part, part, part, classes=None))
    assert 1 <= model.head.out_features <= different
    assert model(as_tensor(images)).isfinite().all()


def test_images_without_classes_can_be_studied(short_recipe: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "made.npz", images=Digits().load().train.images[:, 0])
    data = Npz(path=tmp_path / "made.npz")
    with pytest.raises(InvalidInput, match=r"or set evaluation.extractor: \{name: self_supervised\}"):
        prepare(data, Evaluation(count=300))
    asked = Evaluation.model_validate({"count": 300, "extractor": {"name": "self_supervised"}})
    prepared = prepare(data, asked)
    assert prepared.extractor.name == "self_supervised"
    assert prepared.extractor.test_accuracy is None
    assert 0 < prepared.fid_floor < prepared.fid_ceiling
    (kept,) = short_recipe.iterdir()
    content = kept.read_bytes()
    assert prepare(data, asked).fingerprint == prepared.fingerprint
    assert kept.read_bytes() == content


def test_its_fids_have_a_fingerprint_of_their_own(short_recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not short_recipe.exists()
    monkeypatch.setattr(classifier, "_STEPS_MIN", 5)
    monkeypatch.setattr(classifier, "_STEPS_MAX", 5)
    asked = (Evaluation(count=300), Evaluation(count=300, extractor=SelfSupervisedExtractor()))
    one, other = (prepare(Digits(), evaluation).fingerprint for evaluation in asked)
    assert one != other


@pytest.mark.slow
def test_without_labels_it_learns_what_digits_there_are() -> None:
    """The nearest train image by its features is of the same digit for nine in ten test images; by chance for one."""
    dataset = Digits().load()
    model = train(without_labels(dataset))
    assert dataset.train.labels is not None
    assert dataset.test.labels is not None
    known, asked = (model.features(as_tensor(part.images)) for part in (dataset.train, dataset.test))
    nearest = torch.cdist(asked, known).argmin(1)
    assert (as_tensor(dataset.train.labels)[nearest] == as_tensor(dataset.test.labels)).float().mean() > 0.9
