"""The kernel inception distance: the squared maximum mean discrepancy of features under a cubic kernel.

Binkowski et al. 2018, "Demystifying MMD GANs", section 4: k(x, y) = (x.y / d + 1)^3, the unbiased estimator
(Gretton et al. 2012, eq. 3) on subsets of equal size, and over the subsets their mean and standard deviation.
Unlike the FID it has no bias that depends on the number of images; it may be a little below 0.
"""

from typing import ClassVar

import numpy as np
from torch import Tensor

from trainables.evaluation.metrics.base import Knobs, Looks, Metric

_SEED = 2020  # torch-fidelity's, so that the subsets are the same


class Kid(Metric):
    """`kid` and `kid_std`, the latter of one subset (divided by the number of subsets, as in torch-fidelity)."""

    keys: ClassVar[tuple[str, ...]] = ("kid", "kid_std")
    knobs: ClassVar[tuple[str, ...]] = ("kid_subsets", "kid_subset_size")

    def __init__(self, real: Looks, knobs: Knobs) -> None:
        self._real = real.features.double()  # in float32 the cubes of features far from zero drown their difference
        self._subsets = knobs.kid_subsets
        self._size = knobs.kid_subset_size
        self._within: dict[tuple[int, int], float] = {}  # of the subsets of real images: the same at each report

    def __call__(self, fake: Looks) -> dict[str, float]:
        """Return mean and standard deviation over the subsets."""
        ours, theirs = len(fake), len(self._real)
        fewest = min(ours, theirs)
        # A subset of all images would be the same each time: a deviation of 0 would suggest that there is no noise.
        size = self._size if self._size < fewest else max(2, fewest // 2)
        rng = np.random.RandomState(_SEED)
        values = []
        for subset in range(self._subsets):
            one, other = (rng.choice(count, size, replace=False) for count in (ours, theirs))
            generated, real = fake.features[one].double(), self._real[other]
            if (key := (ours, subset)) not in self._within:
                self._within[key] = float(_sum_without_diagonal(real, real.shape[1]))
            values.append(_mmd(generated, real, self._within[key]))
        return {"kid": float(np.mean(values)), "kid_std": float(np.std(values))}


def unbiased_mmd(one: Tensor, other: Tensor) -> float:
    """The unbiased squared MMD of two N x D sets of one size under the cubic kernel (Gretton et al. 2012, eq. 3)."""
    one, other = one.double(), other.double()
    return _mmd(one, other, float(_sum_without_diagonal(other, other.shape[1])))


def _mmd(one: Tensor, other: Tensor, within_other: float) -> float:
    count, dimension = one.shape
    within = (_sum_without_diagonal(one, dimension) + within_other) / (count * (count - 1))
    between = _kernel(one, other, dimension).sum() / count**2
    return float(within - 2 * between)


def _sum_without_diagonal(x: Tensor, dimension: int) -> Tensor:
    kernel = _kernel(x, x, dimension)
    return kernel.sum() - kernel.diagonal().sum()


def _kernel(x: Tensor, y: Tensor, dimension: int) -> Tensor:
    base = (x @ y.T).div_(dimension).add_(1)
    return base * base * base
