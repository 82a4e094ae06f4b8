"""What is computed once per study and shared by its trials: data, extractor, real statistics, FID bounds.

All numbers here are the same to the last bit for any number of threads of the caller, because a trial that is
run again from its file must reproduce its FIDs.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainables.data.described import described
from trainables.data.images import Dataset, LabelledImages, Split
from trainables.data.source import DataSource
from trainables.errors import InvalidInput
from trainables.evaluation import extractors
from trainables.evaluation.config import Evaluation
from trainables.evaluation.extractors_base import Extractor, ExtractorState
from trainables.evaluation.fid import FeatureMoments, Reference
from trainables.evaluation.measured_cache import ReferenceMeasurements, kept
from trainables.evaluation.real_counts import too_few
from trainables.tensors import as_tensor
from trainables.threads import fixed_threads

_NOISE_SEED, _FLOOR_SEED = 1, 2


@dataclass(frozen=True, eq=False)
class Prepared(ReferenceMeasurements):
    """What trials of a study share, as plain values and numpy arrays, which Ray's object store maps without a copy.

    Attributes:
        fingerprint: names what an FID of `evaluation.count` images means here (data, split, whether the splits are the
            same images, extractor, count, size); FIDs with different fingerprints must not be compared, nor those of a
            `rung_count` with others.
    """

    dataset: Dataset
    evaluation: Evaluation
    extractor: ExtractorState
    fingerprint: str

    def build_extractor(self, device: torch.device | str = "cpu") -> Extractor:
        """The feature extractor, on a device."""
        return extractors.build_extractor(self.extractor, device, self.evaluation.precision)

    def reference(self) -> Reference:
        """The statistics of the evaluation split."""
        return Reference(as_tensor(self.mean), as_tensor(self.covariance), as_tensor(self.root), self.count)

    def on(self, split: Split) -> "Prepared":
        """The same for another split: to the last bit what `prepare` gives, but only this split is measured.

        Raises:
            InvalidInput: unless it has more images than there are features.
        """
        evaluation = self.evaluation.model_copy(update={"split": split})
        _check_counts(self.dataset, evaluation, self.extractor.dimension)
        noise = as_tensor(self.noise_mean), as_tensor(self.noise_covariance)
        with fixed_threads(1):
            floor = self.fid_floor, self.floor_count
            measured = _of_split(self.dataset, evaluation, self.build_extractor(), noise, floor)
        return _prepared(self.dataset, evaluation, self.extractor, measured)


def check(dataset: Dataset, evaluation: Evaluation) -> None:
    """Refuse what `prepare` would refuse, as far as that is known without work.

    Raises:
        InvalidInput: unless there are more images than features, generated and real: else their covariance would be
            singular and the FID's bias large; or when the extractor lacks labels or its weights.
    """
    evaluation.extractor.check(dataset)
    _check_counts(dataset, evaluation, evaluation.extractor.dimension)


def prepare(
    data: DataSource,
    evaluation: Evaluation,
    fits: Callable[[Dataset], None] | None = None,
    cached: bool = False,
    loaded: Dataset | None = None,
) -> Prepared:
    """Load the data, get the extractor, and measure real images and noise with it.

    Args:
        data: the source.
        evaluation: how generators are measured.
        fits: called with the data before anything is computed; may refuse it.
        cached: reuse what an earlier call on such a machine left in the user's cache, and keep new results there.
        loaded: what `data` loads, where that is done.

    Raises:
        InvalidInput: as `check`, before anything is computed.
        DataNotFound: when the data is not found.
        CorruptFile: when a file of the data or the extractor is damaged.
    """
    dataset = data.load() if loaded is None else loaded
    check(dataset, evaluation)
    if fits is not None:
        fits(dataset)
    state = evaluation.extractor.prepare(dataset)
    measure = partial(_measure, dataset, evaluation, state)
    fingerprint = _fingerprint(dataset, evaluation, state)
    return _prepared(dataset, evaluation, state, kept(fingerprint, evaluation.batch, measure) if cached else measure())


def _prepared(
    dataset: Dataset, evaluation: Evaluation, state: ExtractorState, measured: ReferenceMeasurements
) -> Prepared:
    fingerprint = _fingerprint(dataset, evaluation, state)
    return Prepared(dataset=dataset, evaluation=evaluation, extractor=state, fingerprint=fingerprint, **vars(measured))


def _measure(dataset: Dataset, evaluation: Evaluation, state: ExtractorState) -> ReferenceMeasurements:
    with fixed_threads(1):
        extractor = extractors.build_extractor(state, precision=evaluation.precision)
        noise = _moments(extractor, noise_images(evaluation, state.input_shape))
        train_images, test_images = _for_floor(dataset)
        sample = sampled(train_images, evaluation.count)
        train = _moments(extractor, split_images(sample, evaluation.batch))
        test = Reference.of(_moments(extractor, split_images(test_images, evaluation.batch)))
        floor = test.distance(train), len(sample)
        return _of_split(dataset, evaluation, extractor, (noise.mean, noise.covariance), floor)


def _for_floor(dataset: Dataset) -> tuple[LabelledImages, LabelledImages]:
    """The real images that the floor compares: train and test, or two halves where these are the same images."""
    if not dataset.shared:
        return dataset.train, dataset.test
    every_other = [np.ascontiguousarray(dataset.train.images[start::2]) for start in (0, 1)]
    return LabelledImages(every_other[0]), LabelledImages(every_other[1])


def _of_split(
    dataset: Dataset,
    evaluation: Evaluation,
    extractor: Extractor,
    noise: tuple[Tensor, Tensor],
    floor: tuple[float, int],
) -> ReferenceMeasurements:
    """Measure the real images of the evaluation split; the rest does not depend on it."""
    seen = [extractor(images) for images in split_images(dataset.split(evaluation.split), evaluation.batch)]
    real, features = Reference.of(_moments_of(extractor.dimension, seen)), torch.cat(seen)
    return ReferenceMeasurements(
        mean=real.mean.numpy(),
        covariance=real.covariance.numpy(),
        root=real.root.numpy(),
        features=features.numpy(),
        classes_present=len(torch.unique(extractor.logits(features).argmax(1))),
        count=real.count,
        fid_floor=floor[0],
        fid_ceiling=real.distance_to(*noise),
        floor_count=floor[1],
        noise_mean=noise[0].numpy(),
        noise_covariance=noise[1].numpy(),
    )


def describe(prepared: Prepared) -> dict[str, Any]:
    """What `ganstudy data describe` shows, as plain values: `described` of the data, and what an FID of it is."""
    return described(prepared.dataset) | fid_described(prepared)


def fid_described(prepared: Prepared) -> dict[str, Any]:
    """What an FID of these images is, and its scale, as plain values."""
    dataset, evaluation = prepared.dataset, prepared.evaluation
    return {
        "fingerprint": prepared.fingerprint,
        "extractor": {
            "name": prepared.extractor.name,
            "digest": prepared.extractor.digest,
            "features": prepared.extractor.dimension,
            "test_accuracy": None if dataset.shared else prepared.extractor.test_accuracy,
        },
        "evaluation": {"split": str(evaluation.split), "real": prepared.count, "generated": evaluation.count},
        "fid_floor": prepared.fid_floor,
        "fid_floor_images": {
            "train": prepared.floor_count,
            "test": len(dataset.test) // 2 if dataset.shared else len(dataset.test),
        },
        "fid_ceiling": prepared.fid_ceiling,
        "fid_ceiling_images": {"noise": evaluation.count, str(evaluation.split): prepared.count},
    }


def _check_counts(dataset: Dataset, evaluation: Evaluation, dimension: int) -> None:
    for name, count in (("count", evaluation.count), ("rung_count", evaluation.rung_count)):
        if count is not None and count <= dimension:
            raise InvalidInput(
                f"evaluation.{name}={count}: must be more than the extractor's {dimension} features; raise it"
            )
    if problem := too_few(dataset, evaluation, dimension):
        raise InvalidInput(problem)


def _moments(extractor: Extractor, batches: Iterable[Tensor]) -> FeatureMoments:
    return _moments_of(extractor.dimension, (extractor(images) for images in batches))


def _moments_of(dimension: int, features: Iterable[Tensor]) -> FeatureMoments:
    moments = FeatureMoments(dimension)
    for batch in features:
        moments.update(batch)
    return moments


def split_images(part: LabelledImages, batch: int) -> Iterator[Tensor]:
    """The images in order, uint8 N x C x H x W, `batch` at a time."""
    for start in range(0, len(part), batch):
        yield as_tensor(part.images[start : start + batch])


def noise_images(evaluation: Evaluation, shape: tuple[int, int, int]) -> Iterator[Tensor]:
    """Uniform noise instead of generated images: as many of them, always the same."""
    generator = np.random.Generator(np.random.PCG64(_NOISE_SEED))
    for start in range(0, evaluation.count, evaluation.batch):
        count = min(evaluation.batch, evaluation.count - start)
        yield torch.from_numpy(generator.integers(0, 256, (count, *shape), dtype=np.uint8))


def sampled(part: LabelledImages, count: int) -> LabelledImages:
    """At most `count` of the images: as many as a trial generates, so that the floor has the same bias."""
    if len(part) <= count:
        return part
    order = np.random.Generator(np.random.PCG64(_FLOOR_SEED)).permutation(len(part))
    return LabelledImages(part.images[np.sort(order[:count])])


def _fingerprint(dataset: Dataset, evaluation: Evaluation, state: ExtractorState) -> str:
    parts = [dataset.digest, evaluation.split, state.digest, evaluation.count, dataset.size]
    parts += ["shared"] if dataset.shared else []
    parts += [f"precision={evaluation.precision}"] if evaluation.precision != "float32" else []
    parts += [f"{knob}={value}" for knob, value in sorted(evaluation.unusual_knobs.items())]
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:16]
