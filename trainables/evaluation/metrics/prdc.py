"""Precision, recall, density and coverage: how good and how varied images are, as four numbers instead of one.

Kynkäänniemi et al. 2019, "Improved precision and recall metric", eq. 1 and 2: precision is the fraction of generated
images inside the manifold of the real ones (a ball around each that reaches to its 3rd nearest), recall the fraction
of real images inside that of the generated ones. Naeem et al. 2020, "Reliable fidelity and diversity metrics", eq. 3
and 4, with balls to the 5th neighbour: density counts the real balls that a generated image lies in, coverage is the
fraction of real images with a generated one in their ball; neither is fooled by outliers with huge balls.
"""

from typing import ClassVar

import torch
from torch import Tensor

from trainables.evaluation.metrics.base import Knobs, Looks, Metric

PRECISION_NEIGHBOURS, DENSITY_NEIGHBOURS = 3, 5  # of the two papers


class Prdc(Metric):
    """The four of the first `prdc_images` images; values depend on that number, so it is part of the fingerprint."""

    keys: ClassVar[tuple[str, ...]] = ("precision", "recall", "density", "coverage")
    knobs: ClassVar[tuple[str, ...]] = ("prdc_images",)

    def __init__(self, real: Looks, knobs: Knobs) -> None:
        self._images = knobs.prdc_images
        self._real = _spread(real.features, self._images).double()
        self._near, self._far = _radii(self._real)

    def __call__(self, fake: Looks) -> dict[str, float]:
        """Return the four: precision, recall and coverage in [0, 1], density 0 or more, 1 for the data itself."""
        features = fake.features[: self._images].double()
        fake_near, _ = _radii(features)
        distances = _distances(features, self._real)
        in_fake = distances <= fake_near[:, None]
        in_far = distances <= self._far
        return {
            "precision": float((distances <= self._near).any(1).double().mean()),
            "recall": float(in_fake.any(0).double().mean()),
            "density": float(in_far.sum(1).double().mean()) / min(DENSITY_NEIGHBOURS, len(self._real) - 1),
            "coverage": float(in_far.any(0).double().mean()),
        }


def _spread(features: Tensor, count: int) -> Tensor:
    """At most `count` of the rows, evenly spaced, since a data set's files may be sorted by class."""
    if len(features) <= count:
        return features
    return features[torch.linspace(0, len(features) - 1, count).round().long()]


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances N x M of float64 features, pair by pair and the same whichever comes first.

    Not by |x|^2 + |y|^2 - 2 x.y, which is faster: far from zero it loses all digits, and an image on the very edge of
    a ball, such as a real one's nearest neighbour, falls out of it by rounding.
    """
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _radii(features: Tensor) -> tuple[Tensor, Tensor]:
    """For each of N features the distance to its 3rd and its 5th nearest neighbour (fewer if N is small)."""
    nearest = _distances(features, features).topk(min(DENSITY_NEIGHBOURS, len(features) - 1) + 1, largest=False).values
    last = nearest.shape[1] - 1
    return nearest[:, min(PRECISION_NEIGHBOURS, last)], nearest[:, min(DENSITY_NEIGHBOURS, last)]
