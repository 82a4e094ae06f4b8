"""What is measured of generated images beside the FID: one file and one row for each family of numbers."""

from trainables.metrics.base import Looks, Metric
from trainables.metrics.inception_score import InceptionScore
from trainables.metrics.kid import Kid
from trainables.metrics.modes import Modes
from trainables.metrics.prdc import Prdc

METRICS: dict[str, type[Metric]] = {
    "kid": Kid,
    "prdc": Prdc,
    "modes": Modes,
    "inception_score": InceptionScore,
}

__all__ = ["METRICS", "Looks", "Metric"]
