"""An extractor for images without classes."""

from typing import ClassVar, Literal

import torch

from trainables.data.images import Dataset
from trainables.evaluation import classifier, self_supervised
from trainables.evaluation.extractors_base import Extractor, ExtractorConfig, ExtractorState
from trainables.evaluation.extractors_trained import Trained, TrainedFeatures, trained_once


class SelfSupervisedExtractor(ExtractorConfig):
    """The inner features of a small network that taught itself on the data set's own train split, without labels.

    The recipe (`trainables.evaluation.self_supervised`) runs once and its result is kept in the user's cache. In place
    of classes, which some metrics ask for, it has clusters of its features.
    """

    name: Literal["self_supervised"] = "self_supervised"
    dimension: ClassVar[int] = classifier.DIMENSION

    def check(self, dataset: Dataset) -> None:
        """Nothing is refused: any images will do."""

    def prepare(self, dataset: Dataset) -> ExtractorState:
        """The cached network, or a new one.

        Raises:
            CorruptFile: when the cached file is damaged.
        """
        arrays, _ = trained_once(dataset, f"self_supervised/{self_supervised.RECIPE}", _trained)
        return self.state(dataset, arrays, dataset.size, None)

    @staticmethod
    def build(state: ExtractorState, device: torch.device) -> Extractor:
        """The extractor, ready on `device`."""
        return TrainedFeatures(state, device)


def _trained(dataset: Dataset) -> Trained:
    return classifier.state_arrays(self_supervised.train(dataset)), None
