"""What is measured besides the FID: one file and one row for each family of numbers."""

from trainables.evaluation.metrics.base import Looks, Metric
from trainables.evaluation.metrics.inception_score import InceptionScore
from trainables.evaluation.metrics.kid import Kid
from trainables.evaluation.metrics.modes import Modes
from trainables.evaluation.metrics.prdc import Prdc

METRICS: dict[str, type[Metric]] = {
    "kid": Kid,
    "prdc": Prdc,
    "modes": Modes,
    "inception_score": InceptionScore,
}

__all__ = ["METRICS", "Looks", "Metric"]
