"""The Fréchet inception distance: a distance between two sets of images by the moments of their features.

FID (Heusel et al. 2017, eq. 6) is the squared 2-Wasserstein distance of two Gaussians (Dowson & Landau 1982):
|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). With A the symmetric root of S1, S1 S2 has the eigenvalues of the
symmetric A S2 A, which `eigvalsh` finds accurately and as real numbers; a general matrix root gives complex
numbers, or none, for covariances of fewer images than features.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.errors import InvalidInput


class FeatureMoments:
    """Mean and covariance of features that come in batches, in float64, in one pass.

    Sums and outer products are of the features minus the first batch's mean, so that features far from zero
    lose no digits when the mean is subtracted (Chan, Golub & LeVeque 1983).
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.count = 0
        self._shift = torch.zeros(dimension, dtype=torch.float64)
        self._sum = torch.zeros(dimension, dtype=torch.float64)
        self._outer = torch.zeros(dimension, dimension, dtype=torch.float64)

    def update(self, features: Tensor) -> None:
        """Add a batch of features, N x dimension, on any device.

        Raises:
            InvalidInput: when the features have another shape or are not finite.
        """
        if features.ndim != 2 or features.shape[1] != self.dimension:
            raise InvalidInput(f"features of shape {tuple(features.shape)}: must be N x {self.dimension}")
        if len(features) == 0:
            return
        values = features.detach().to(dtype=torch.float64)
        if not bool(torch.isfinite(values).all()):
            raise InvalidInput("features are not all finite, so their moments mean nothing")
        if self.count == 0:
            self._shift = values.mean(0)
            self._sum = self._sum.to(values.device)
            self._outer = self._outer.to(values.device)
        shifted = values - self._shift
        self._sum += shifted.sum(0)
        self._outer += shifted.T @ shifted
        self.count += len(features)

    @property
    def mean(self) -> Tensor:
        """The mean, `dimension` float64 numbers on the CPU."""
        if self.count == 0:
            raise InvalidInput("mean of 0 features: give at least 1")
        return (self._shift + self._sum / self.count).cpu()

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (divided by count - 1), `dimension` x `dimension` float64 on the CPU."""
        if self.count < 2:
            raise InvalidInput(f"covariance of {self.count} features: give at least 2")
        between = torch.outer(self._sum, self._sum) / self.count
        covariance = (self._outer - between) / (self.count - 1)
        return ((covariance + covariance.T) / 2).cpu()


@dataclass(frozen=True, eq=False)
class Reference:
    """The moments of the real images, and the root that every distance to them needs."""

    mean: Tensor
    covariance: Tensor
    root: Tensor
    count: int

    @classmethod
    def of(cls, moments: FeatureMoments) -> "Reference":
        """The reference of these moments; takes the root."""
        covariance = moments.covariance
        return cls(moments.mean, covariance, symmetric_root(covariance), moments.count)

    def distance(self, moments: FeatureMoments) -> float:
        """The FID of these moments against the reference."""
        return self.distance_to(moments.mean, moments.covariance)

    def distance_to(self, mean: Tensor, covariance: Tensor) -> float:
        """The FID of a mean and covariance, as `FeatureMoments` gives them, against the reference."""
        return _distance(self.mean, self.covariance, self.root, mean, covariance)


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    """The squared Fréchet distance of two Gaussians (Heusel et al. 2017, eq. 6), never negative.

    Args:
        mean1: D float64 numbers.
        cov1: D x D float64, symmetric and positive semi-definite; it may be singular.
        mean2: as `mean1`.
        cov2: as `cov1`.

    Raises:
        InvalidInput: when dtypes or shapes do not fit, or a number is not finite.
    """
    dimension = mean1.shape[0] if mean1.ndim == 1 else 0
    for name, tensor, shape in (
        ("mean1", mean1, (dimension,)),
        ("cov1", cov1, (dimension, dimension)),
        ("mean2", mean2, (dimension,)),
        ("cov2", cov2, (dimension, dimension)),
    ):
        if dimension == 0 or tuple(tensor.shape) != shape:
            raise InvalidInput(
                f"{name} of shape {tuple(tensor.shape)}: means must be D and covariances D x D, of one D > 0"
            )
        if tensor.dtype != torch.float64:
            raise InvalidInput(f"{name} is {tensor.dtype}: must be torch.float64; take moments in float64")
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidInput(f"{name} is not finite, so the distance means nothing")
    return _distance(mean1, cov1, symmetric_root(cov1), mean2, cov2)


def symmetric_root(covariance: Tensor) -> Tensor:
    """The symmetric positive semi-definite A with A A = covariance; eigenvalues below 0 (rounding) are 0."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return (root + root.T) / 2


def _distance(mean1: Tensor, cov1: Tensor, root1: Tensor, mean2: Tensor, cov2: Tensor) -> float:
    product = root1 @ cov2 @ root1
    values = torch.linalg.eigvalsh((product + product.T) / 2)
    trace_of_root = values.clamp(min=0).sqrt().sum()
    squared = (mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * trace_of_root
    return max(float(squared), 0.0)
