"""Classes covered, and how far off the histogram of generated classes is: mode collapse and dropping as numbers.

A class is what the extractor's classifier says of an image, real ones too, so that its mistakes are in both
histograms. Counting modes is from Srivastava et al. 2017 (VEEGAN), the divergence from Lin et al. 2018 (PacGAN,
section 4). They count a class with one image as covered; a classifier that is wrong about one image in twenty
puts some of 10,000 images into every class, so here a class needs a tenth of its share among the real images.
"""

from typing import ClassVar

import torch
from torch import Tensor

from trainables.evaluation.metrics.base import Knobs, Looks, Metric

COVERED = 0.1
"""A class is covered if it has at least this fraction of its share among the real images (and one image)."""

_SMOOTHING = 0.5  # images added to each class (Krichevsky & Trofimov 1981), so that no share is 0


class Modes(Metric):
    """`modes_covered`, of the classes of the real images; `class_kl`, KL(generated || real) in nats."""

    keys: ClassVar[tuple[str, ...]] = ("modes_covered", "class_kl")

    def __init__(self, real: Looks, knobs: Knobs) -> None:
        self._real = class_counts(real)

    def __call__(self, fake: Looks) -> dict[str, float]:
        """Return both; the ideal is all classes and 0."""
        counts = class_counts(fake)
        expected = self._real * (counts.sum() / self._real.sum())
        covered = (self._real > 0) & (counts >= (COVERED * expected).clamp(min=1))
        ours, theirs = ((c + _SMOOTHING) / (c + _SMOOTHING).sum() for c in (counts, self._real))
        return {"modes_covered": float(covered.sum()), "class_kl": float((ours * (ours / theirs).log()).sum())}


def class_counts(looks: Looks) -> Tensor:
    """How many images of each class, float64, one for each of the classifier's classes."""
    return torch.bincount(looks.logits.argmax(1), minlength=looks.logits.shape[1]).double()
