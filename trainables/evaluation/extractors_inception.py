"""Inception's features (Szegedy et al. 2016), as the published FIDs use them, through torch-fidelity's network.

The weights are those of TensorFlow's 2015 graph, ported by torch-fidelity; resizing to 299 pixels is TensorFlow
1's bilinear one, without antialiasing, inside torch-fidelity's network (Parmar et al. 2022 show how other ways change
an FID). Nothing here uses the internet: the file is copied by hand.
"""

import io
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from trainables.data.images import Dataset
from trainables.errors import CorruptInput, DataNotFound, reason_of
from trainables.evaluation.extractors_base import Built, Extractor, ExtractorConfig, ExtractorState
from trainables.paths import absolute
from trainables.tensors import as_tensor

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"

DIMENSION = 2048
_FEATURES, _LOGITS = "2048", "fc.weight"  # logits without the bias, of which torch-fidelity takes the inception score
_SHAPES = {"Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), _LOGITS: (1008, DIMENSION)}


class InceptionExtractor(ExtractorConfig):
    """The 2048 pooled features of Inception v3; grey images are repeated to three channels.

    For colour images and for comparison with published numbers; a thousand times the classifier's work.
    """

    name: Literal["inception"] = "inception"
    weights: Path | None = Field(default=None, description=f"{FILE}; None for torch hub's cache")

    dimension: ClassVar[int] = DIMENSION

    def check(self, dataset: Dataset) -> None:
        """Check that there is a file.

        Raises:
            DataNotFound: when the file is not found; says where it was searched for and how to get it.
        """
        path = self._path()
        if not path.is_file():
            raise _missing(path)

    def prepare(self, dataset: Dataset) -> ExtractorState:
        """Read the weights; the images do not matter.

        Raises:
            DataNotFound: when the file is not found; says where it was searched for and how to get it.
            CorruptInput: when it holds something else.
        """
        arrays = read_weights(self._path())
        return self.state(dataset, arrays, dataset.size, None)

    def _path(self) -> Path:
        return absolute(self.weights) if self.weights else cached_path()

    @staticmethod
    def build(state: ExtractorState, device: torch.device) -> Extractor:
        """The extractor, ready on `device`."""
        return _InceptionFeatures(state, device)


def cached_path() -> Path:
    """Where torch-fidelity keeps the weights once it has fetched them."""
    return Path(torch.hub.get_dir()) / "checkpoints" / FILE


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of torch-fidelity's file by name; never runs code that a file may contain.

    Raises:
        DataNotFound: when there is no such file.
        CorruptInput: when it is not a state dict of that network.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        arrays = {str(name): np.ascontiguousarray(value.numpy()) for name, value in state.items()}
    except (FileNotFoundError, IsADirectoryError):
        raise _missing(path) from None
    except Exception as error:  # torch's unpickler raises errors of every kind on foreign bytes
        reason = reason_of(error, most=150)
        raise CorruptInput(f"inception weights {path}: not a state dict ({reason}); fetch {URL} again") from None
    wrong = [name for name, shape in _SHAPES.items() if name not in arrays or arrays[name].shape != shape]
    if wrong:
        raise CorruptInput(
            f"inception weights {path}: {wrong[0]} is missing or of another shape: not torch-fidelity's "
            f"Inception v3; fetch {URL}"
        )
    return arrays


def _missing(path: Path) -> DataNotFound:
    return DataNotFound(
        f"inception weights {path}: not there; fetch {URL} on a machine with internet and put it there, "
        "or set evaluation.extractor.weights to where it lies"
    )


class _InceptionFeatures(Built):
    def __init__(self, state: ExtractorState, device: torch.device) -> None:
        super().__init__(state)
        self._network = _network({name: as_tensor(array) for name, array in state.arrays.items()}).to(device)
        self._head = self._network.fc.weight

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        self.check_input(images)
        (features,) = self._network(images.expand(-1, 3, -1, -1))
        return features  # type: ignore[no-any-return]

    @torch.inference_mode()
    def logits(self, features: Tensor) -> Tensor:
        """Logits N x 1008 without the bias."""
        return features @ self._head.T  # type: ignore[no-any-return]


def _network(state: dict[str, Tensor]) -> Any:
    """torch-fidelity's network with these weights.

    Its constructor unpickles whatever file it is given, so it is given bytes made here, of tensors only.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # a second to import

    content = io.BytesIO()
    torch.save(state, content)
    content.seek(0)
    with torch.random.fork_rng(devices=[]):  # layers draw weights that are replaced
        return FeatureExtractorInceptionV3("inception", [_FEATURES], feature_extractor_weights_path=content)
