"""What extractors that are trained on the data itself share: their features, and the cache of what was trained."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import safetensors
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.images import Dataset
from trainables.errors import CorruptFile
from trainables.evaluation import classifier
from trainables.evaluation.extractors_base import Built, ExtractorState
from trainables.files import check_writable, write_atomically
from trainables.paths import cache_folder
from trainables.tensors import weights_digest
from trainables.threads import fixed_threads

Trained = tuple[dict[str, NDArray[Any]], float | None]
"""The weights of a `classifier.Classifier`, and its accuracy on test images if it was trained on labels."""


class TrainedFeatures(Built):
    """The inner features of a `classifier.Classifier`, and the logits of its last layer."""

    def __init__(self, state: ExtractorState, device: torch.device) -> None:
        """Build the network of a state on `device`."""
        super().__init__(state)
        self._crop = state.crop
        self._model = classifier.from_arrays(state.arrays).to(device)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Uint8 N x C x H x W to float32 N x `classifier.DIMENSION`."""
        self.check_input(images)
        margin = (self._shape[1] - self._crop) // 2
        end = margin + self._crop
        return self._model.features(images[:, :, margin:end, margin:end])

    @torch.inference_mode()
    def logits(self, features: Tensor) -> Tensor:
        """Logits N x classes of the network's classes."""
        logits: Tensor = self._model.head(features)
        return logits


def trained_once(dataset: Dataset, recipe: str, train: Callable[[Dataset], Trained]) -> Trained:
    """What `train` makes of the data with one thread; kept in the user's cache under `recipe`, a name and a version.

    Raises:
        InvalidInput: when the cache cannot be written; before anything is trained.
        CorruptFile: when the cached file is damaged.
    """
    key = hashlib.sha256(f"{dataset.digest}/{recipe}".encode()).hexdigest()[:16]
    path = cache_folder() / "classifiers" / f"{key}.safetensors"
    if not path.is_file():
        check_writable(path.parent, "cache", "make it writable, or set XDG_CACHE_HOME to another folder")
        with fixed_threads(1):
            content = serialise(*train(dataset))
        write_atomically(path, content)
    return parse(path.read_bytes(), f"{path}: delete it to train a new one;")


def serialise(arrays: Mapping[str, NDArray[Any]], test_accuracy: float | None) -> bytes:
    """The weights as a safetensors file, with their digest and the accuracy."""
    facts = json.dumps({"digest": weights_digest(arrays), "test_accuracy": test_accuracy}, sort_keys=True)
    return safetensors.numpy.save(dict(arrays), metadata={"ganstudy": facts})


def parse(content: bytes, where: str) -> Trained:
    """Undo `serialise`; `where` begins the error's message.

    Raises:
        CorruptFile: when it is something else, or damaged.
    """
    try:
        arrays = safetensors.numpy.load(content)
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["ganstudy"])
        digest, accuracy = facts["digest"], facts["test_accuracy"]
        test_accuracy = None if accuracy is None else float(accuracy)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise CorruptFile(f"{where} not a classifier's weights ({error})") from error
    if weights_digest(arrays) != digest:
        raise CorruptFile(f"{where} weights have SHA-256 {weights_digest(arrays)}, not {digest}")
    return arrays, test_accuracy
