"""What makes an FID mean little though it can be computed: copies among the images, or too few of them."""

from collections.abc import Iterator

import numpy as np

from trainables.data.images import Dataset, LabelledImages, Split
from trainables.display import printable
from trainables.evaluation.config import Evaluation

ENOUGH = 4
"""Real images per feature below which an FID is mostly bias.

Of Fashion-MNIST and its classifier's 64 features: n real train images against 10,000 real test images have an FID of
4 to 8 at n = 72, 1 to 2 at 256, 0.5 at 640 and 0.05 at 10,000.
"""

_COPIES = 0.05
"""The part of a split's images that may be copies of others without a word."""

_MOST = 2**30
"""Bytes of a split's images that are looked at; of a larger split it is an even sample."""


def cautions(dataset: Dataset, evaluation: Evaluation) -> list[str]:
    """Return what to be careful of with such data, each in one line with what to do; the data can be studied.

    Args:
        dataset: the images.
        evaluation: how generators are measured against them.
    """
    return [
        *(dataset.reading.doubts if dataset.reading else ()),
        *_unread(dataset),
        *_copies(dataset),
        *_few(dataset, evaluation),
    ]


def _unread(dataset: Dataset) -> Iterator[str]:
    """Files that may be images, or hold some."""
    for one in dataset.reading.passed_over if dataset.reading else ():
        if one.wanted:
            yield f"{one.count:,} files {one.suffix} are not read ({one.why}), the first is {printable(one.example)}"


def _copies(dataset: Dataset) -> Iterator[str]:
    known = {split: _hashes(dataset.split(split)) for split in ([Split.TRAIN] if dataset.shared else Split)}
    train = set(known[Split.TRAIN])
    if len(train) == 1:
        count = len(known[Split.TRAIN])
        yield f"all {count:,} train images are equal; a GAN can learn nothing from them: check the files"
        return
    for split, hashes in known.items():
        copies = len(hashes) - len(set(hashes))
        if copies > _COPIES * len(hashes):
            yield f"{copies:,} of {len(hashes):,} {split} images are copies of others: each counts more than once"
        seen = sum(one in train for one in hashes) if split != Split.TRAIN else 0
        if seen > _COPIES * len(hashes):
            yield (
                f"{seen:,} of {len(hashes):,} {split} images are among the train images too: an FID against them does "
                "not tell copying from learning"
            )


def _hashes(part: LabelledImages) -> list[int]:
    each = part.images[0].nbytes
    chosen = np.linspace(0, len(part) - 1, min(len(part), max(1, _MOST // each))).astype(np.int64)
    return [hash(part.images[index].tobytes()) for index in chosen]


def _few(dataset: Dataset, evaluation: Evaluation) -> Iterator[str]:
    count, features = len(dataset.split(evaluation.split)), evaluation.extractor.dimension
    if dataset.shared:
        yield (
            f"FIDs are measured against the {count:,} images that the GAN trains on (data.splits: all): a generator "
            "that copies them looks perfect, and they do not compare with FIDs against held-out images"
        )
    if features < count < ENOUGH * features:
        total = sum(len(dataset.split(split)) for split in Split)
        other = f"; data.splits: all measures against all {total:,}, the images that the GAN trains on"
        yield (
            f"{count:,} {evaluation.split} images against {features} features: an FID of so few is mostly bias; "
            f"{ENOUGH * features:,} or more do better{other if dataset.shared is False else ''}"
        )
