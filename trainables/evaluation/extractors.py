"""Feature extractors: they turn images into the numbers that an FID compares.

A row of `EXTRACTORS` is a configuration. It is prepared once per study, which gives an `ExtractorState` (plain
arrays, so that Ray can ship it), and built from that state in every worker.
"""

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.images import Dataset
from trainables.errors import CorruptFile, InvalidInput
from trainables.evaluation import classifier
from trainables.evaluation.extractors_base import Extractor, ExtractorConfig, ExtractorState
from trainables.evaluation.extractors_inception import InceptionExtractor
from trainables.evaluation.extractors_self_supervised import SelfSupervisedExtractor
from trainables.evaluation.extractors_trained import Trained, TrainedFeatures, parse, trained_once
from trainables.precision import PRECISIONS, Context

SHIPPED = "fashion_mnist_classifier.safetensors"
SHIPPED_SHA256 = "74a605a88765f069c4b5b540336e4d48f970615edfb990bb9cbf060c3cbc7d6d"
"""Of the shipped file; `python -m trainables.evaluation.train_classifier` prints it."""

_SHIPPED_SIZE = 28
_SHIPPED_FOR = (28, 32)  # 32 is 28 with zeros around it, which are cut off again


class ClassifierExtractor(ExtractorConfig):
    """The inner features of a small classifier of the data set's own train split.

    Shipped for Fashion-MNIST of 28 and 32 pixels (of the latter it sees the central 28); for other labelled
    data the same recipe runs once and its result is kept in the user's cache.
    """

    name: Literal["classifier"] = "classifier"
    dimension: ClassVar[int] = classifier.DIMENSION

    def check(self, dataset: Dataset) -> None:
        """Refuse data without labels.

        Raises:
            InvalidInput: saying where the data source finds labels, and the alternative.
        """
        if dataset.classes is None:
            raise InvalidInput(
                f"{dataset.name}: has no labels, and the classifier extractor is trained on them; label the data "
                "(folder: a sub-folder per class; npz: `labels`), or set evaluation.extractor: {name: self_supervised}"
            )

    def prepare(self, dataset: Dataset) -> ExtractorState:
        """The shipped classifier, or the cached one, or a new one.

        Raises:
            InvalidInput: when the data has no labels.
            CorruptFile: when the shipped or cached file is damaged.
        """
        self.check(dataset)
        if dataset.name == "fashion_mnist" and dataset.size in _SHIPPED_FOR:
            trained: Trained = read_shipped()
            crop = _SHIPPED_SIZE
        else:
            trained = trained_once(dataset, str(classifier.RECIPE), _trained)
            crop = dataset.size
        arrays, test_accuracy = trained
        return self.state(dataset, arrays, crop, test_accuracy)

    @staticmethod
    def build(state: ExtractorState, device: torch.device) -> Extractor:
        """The extractor, ready on `device`."""
        return TrainedFeatures(state, device)


EXTRACTORS: dict[str, type[ExtractorConfig]] = {
    "classifier": ClassifierExtractor,
    "self_supervised": SelfSupervisedExtractor,
    "inception": InceptionExtractor,
}


def build_extractor(state: ExtractorState, device: torch.device | str = "cpu", precision: str = "float32") -> Extractor:
    """The extractor of a prepared state, on a device; computes in one of `PRECISIONS`."""
    on = torch.device(device)
    built = EXTRACTORS[state.name].build(state, on)
    return built if precision == "float32" else _Lowered(built, PRECISIONS[precision](on.type))


class _Lowered:
    """An extractor whose network computes in lower precision; its features and logits are float32."""

    def __init__(self, extractor: Extractor, precision: Context) -> None:
        self.name, self.digest, self.dimension = extractor.name, extractor.digest, extractor.dimension
        self._extractor, self._precision = extractor, precision

    def __call__(self, images: Tensor) -> Tensor:
        with self._precision():
            return self._extractor(images).float()

    def logits(self, features: Tensor) -> Tensor:
        return self._extractor.logits(features)


def shipped_path() -> Path:
    """Where the shipped weights are; the script that trains them writes there."""
    return Path(__file__).parent / "weights" / SHIPPED


def _trained(dataset: Dataset) -> Trained:
    model = classifier.train(dataset)
    return classifier.state_arrays(model), classifier.accuracy(model, dataset.test)


def read_shipped() -> tuple[dict[str, NDArray[Any]], float]:
    """The classifier of Fashion-MNIST that comes with the package, and its test accuracy.

    Raises:
        CorruptFile: when its SHA-256 is not the one pinned here.
    """
    file = shipped_path()
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise CorruptFile(f"{file} is missing; reinstall ganstudy") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHIPPED_SHA256:
        raise CorruptFile(f"{file} has SHA-256 {digest}, not {SHIPPED_SHA256}; reinstall ganstudy")
    arrays, test_accuracy = parse(content, str(file))
    assert test_accuracy is not None, "its SHA-256 is the pinned one's"
    return arrays, test_accuracy
