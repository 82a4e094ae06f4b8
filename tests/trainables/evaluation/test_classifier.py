import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from inception_weights import write_random_weights
from torch import nn

from trainables.data import Dataset, Digits, FashionMnist, LabelledImages
from trainables.data.fashion_mnist import DEBIAN
from trainables.errors import CorruptFile, InvalidInput
from trainables.evaluation import classifier, extractors, self_supervised
from trainables.evaluation.classifier import DIMENSION, Classifier, accuracy, from_arrays, state_arrays, train
from trainables.evaluation.extractors import (
    EXTRACTORS,
    SHIPPED_SHA256,
    ClassifierExtractor,
    build_extractor,
    read_shipped,
    shipped_path,
)
from trainables.tensors import weights_digest

debian_only = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs `apt-get install dataset-fashion-mnist`")


@pytest.fixture
def short_recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Five steps of training instead of hundreds, and an empty cache, which it gives."""
    monkeypatch.setattr(classifier, "_STEPS_MIN", 5)
    monkeypatch.setattr(classifier, "_STEPS_MAX", 5)
    monkeypatch.setattr(self_supervised, "_STEPS", 5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ganstudy" / "classifiers"


def random_images(count: int, channels: int, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(size)
    return torch.randint(0, 256, (count, channels, size, size), generator=generator, dtype=torch.uint8)


def blank(name: str, size: int, classes: int | None = 10) -> Dataset:
    """A data set of this name and size, for what looks at nothing else."""
    images = np.zeros((4, 1, size, size), np.uint8)
    part = LabelledImages(images, None if classes is None else np.zeros(4, np.int64))
    return Dataset(name, part, part, part, classes=classes)


# --------------------------------------------------------------------------------------------------- the convnet


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 9, 16, 28, 32])
def test_takes_every_size_and_channel_count(size: int, channels: int) -> None:
    model = Classifier(channels, classes=7).eval()
    images = random_images(5, channels, size)
    assert model.features(images).shape == (5, DIMENSION)
    assert model(images).shape == (5, 7)


def test_every_parameter_comes_from_the_generator_and_none_from_the_global_one() -> None:
    before = torch.get_rng_state()
    one = state_arrays(Classifier(1, 10, torch.Generator().manual_seed(7)))
    torch.manual_seed(123)
    two = state_arrays(Classifier(1, 10, torch.Generator().manual_seed(7)))
    other = state_arrays(Classifier(1, 10, torch.Generator().manual_seed(8)))
    torch.set_rng_state(before)
    assert weights_digest(one) == weights_digest(two)
    convolutions = [name for name in one if one[name].ndim == 4]
    assert len(convolutions) == 4
    assert all((one[name] != other[name]).any() for name in [*convolutions, "embed.weight", "head.weight"])


def test_training_is_repeatable_and_leaves_all_global_generators_alone(short_recipe: Path) -> None:
    assert not short_recipe.exists()
    dataset = Digits().load()
    torch_before, numpy_before = torch.get_rng_state(), str(np.random.get_state())
    digests = {weights_digest(state_arrays(train(dataset))) for _ in range(2)}
    assert len(digests) == 1
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert str(np.random.get_state()) == numpy_before


def test_training_sees_the_train_split_alone(short_recipe: Path) -> None:
    dataset = Digits().load()
    noise = LabelledImages(random_images(180, 1, 8).numpy(), np.zeros(180, np.int64))
    elsewhere = Dataset("digits", dataset.train, noise, noise, classes=10)
    swapped = Dataset("digits", dataset.test, dataset.validation, dataset.train, classes=10)
    one, same, other = (weights_digest(state_arrays(train(d))) for d in (dataset, elsewhere, swapped))
    assert one == same != other


def test_training_without_classes_to_tell_apart_is_refused() -> None:
    for classes in (None, 1):
        with pytest.raises(InvalidInput, match=f"classes={classes}; a classifier needs labels"):
            train(blank("d", 8, classes))


def test_arrays_there_and_back_give_the_same_features() -> None:
    model = Classifier(3, 4, torch.Generator().manual_seed(5)).eval()
    arrays = state_arrays(model)
    back = from_arrays(arrays)
    images = random_images(6, 3, 12)
    assert torch.equal(model.features(images), back.features(images))
    assert not back.training
    assert not any(p.requires_grad for p in back.parameters())
    del arrays["trunk.1.running_mean"]
    with pytest.raises(InvalidInput, match=r"trunk\.1\.running_mean"):
        from_arrays(arrays)


@pytest.mark.slow
def test_the_recipe_learns_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ClassifierExtractor().prepare(Digits().load()).test_accuracy > 0.93


# -------------------------------------------------------------------------------------------- the shipped weights


def test_the_shipped_file_is_the_pinned_one_and_its_papers_agree() -> None:
    content = shipped_path().read_bytes()
    facts = json.loads(shipped_path().with_suffix(".json").read_text())
    arrays, test_accuracy = read_shipped()
    assert len(content) < 2_000_000
    assert hashlib.sha256(content).hexdigest() == SHIPPED_SHA256 == facts["sha256"]
    assert weights_digest(arrays) == facts["weights_digest"]
    assert test_accuracy == facts["test_accuracy"] >= 0.91
    assert facts["recipe"] == classifier.recipe()
    assert all(np.isfinite(array).all() for array in arrays.values())


@debian_only
def test_the_shipped_classifier_is_as_accurate_as_it_says() -> None:
    arrays, test_accuracy = read_shipped()
    dataset = FashionMnist(root=DEBIAN).load()
    # Another processor may round a tie between two classes the other way, in a few of 10,000 images.
    assert accuracy(from_arrays(arrays), dataset.test) == pytest.approx(test_accuracy, abs=5e-4)
    facts = json.loads(shipped_path().with_suffix(".json").read_text())
    assert dataset.digest == facts["data_digest"]


@pytest.mark.parametrize("change", ["byte", "cut", "missing"])
def test_a_changed_shipped_file_is_refused(change: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = bytearray(shipped_path().read_bytes())
    content[-1] ^= 1
    file = tmp_path / "weights.safetensors"
    if change != "missing":
        file.write_bytes(content if change == "byte" else content[:-100])
    monkeypatch.setattr(extractors, "shipped_path", lambda: file)
    with pytest.raises(CorruptFile, match="reinstall") as caught:
        ClassifierExtractor().prepare(blank("fashion_mnist", 28))
    assert change == "missing" or SHIPPED_SHA256 in str(caught.value)


# ------------------------------------------------------------------------------------------------- the extractor


def test_every_extractor_is_tested_below() -> None:
    assert set(EXTRACTORS) == {"inception", "classifier", "self_supervised"}


@pytest.mark.parametrize("name", [pytest.param("inception", marks=pytest.mark.slow), "classifier", "self_supervised"])
def test_an_extractor_gives_finite_float32_features_image_by_image(name: str, short_recipe: Path) -> None:
    assert not short_recipe.exists()
    dataset = Digits().load()
    images = torch.from_numpy(dataset.test.images[: 6 if name == "inception" else 180].copy())
    knobs = {}
    if name == "inception":
        knobs["weights"] = write_random_weights(short_recipe / "inception.pth", images.expand(-1, 3, -1, -1))
    state = EXTRACTORS[name].model_validate({"name": name} | knobs).prepare(dataset)
    extractor = build_extractor(state)
    features = extractor(images)
    assert (extractor.name, extractor.digest, extractor.dimension) == (name, state.digest, state.dimension)
    assert features.shape == (len(images), extractor.dimension)
    assert features.dtype == torch.float32
    assert features.isfinite().all()
    assert not features.requires_grad
    logits = extractor.logits(features)
    assert logits.shape == (len(images), {"classifier": 10, "self_supervised": 10, "inception": 1008}[name])
    assert logits.isfinite().all()
    torch.testing.assert_close(extractor(images[3:5]), features[3:5], rtol=1e-4, atol=1e-4)
    for wrong in (images.float(), images[:, :, :-1], images.expand(-1, 3, -1, -1)):
        with pytest.raises(InvalidInput, match="the extractor takes uint8 N x 1 x 8 x 8"):
            extractor(wrong)


def test_of_padded_fashion_mnist_the_extractor_sees_what_it_sees_of_the_plain() -> None:
    plain, padded = (build_extractor(ClassifierExtractor().prepare(blank("fashion_mnist", s))) for s in (28, 32))
    images = random_images(10, 1, 28)
    assert plain.digest == padded.digest
    assert torch.equal(plain(images), padded(nn.functional.pad(images, (2, 2, 2, 2))))


def test_a_new_data_set_is_trained_on_once_and_then_read_from_the_cache(
    short_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Digits().load()
    first = ClassifierExtractor().prepare(dataset)
    (file,) = short_recipe.iterdir()
    monkeypatch.setattr(classifier, "train", None)  # training again would fail
    again = ClassifierExtractor().prepare(dataset)
    assert (again.digest, again.test_accuracy) == (first.digest, first.test_accuracy)
    content = file.read_bytes()
    for damaged in (b"", content[:-100], content[:-1] + bytes([content[-1] ^ 1])):
        file.write_bytes(damaged)
        with pytest.raises(CorruptFile, match="delete it") as caught:
            ClassifierExtractor().prepare(dataset)
        assert str(file) in str(caught.value)


def test_other_data_or_another_recipe_is_another_cached_file(
    short_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Digits().load()
    ClassifierExtractor().prepare(dataset)
    ClassifierExtractor().prepare(Dataset("digits", dataset.train, dataset.test, dataset.validation, classes=10))
    monkeypatch.setattr(classifier, "RECIPE", classifier.RECIPE + 1)
    ClassifierExtractor().prepare(dataset)
    assert len(list(short_recipe.iterdir())) == 3


def test_data_without_labels_is_told_to_bring_some(short_recipe: Path) -> None:
    with pytest.raises(InvalidInput, match="has no labels"):
        ClassifierExtractor().prepare(blank("npz", 8, None))
    assert not short_recipe.exists()
