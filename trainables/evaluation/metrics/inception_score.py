"""The inception score: does each image have a clear class, and are there many classes?

Salimans et al. 2016, section 4: exp of the mean of KL(p(y|x) || p(y)), p the extractor's classifier; from 1 to the
number of classes. It is taken over all images at once, not in ten parts, so it does not depend on their order and
is less biased by small numbers of images. The real images do not matter.
"""

from typing import ClassVar

from trainables.evaluation.metrics.base import Knobs, Looks, Metric


class InceptionScore(Metric):
    """`inception_score`: the Inception network's with that extractor only, else the data's classifier's."""

    keys: ClassVar[tuple[str, ...]] = ("inception_score",)

    def __init__(self, real: Looks, knobs: Knobs) -> None:
        pass

    def __call__(self, fake: Looks) -> dict[str, float]:
        """Return the score."""
        log_p = fake.logits.double().log_softmax(1)
        p = log_p.exp()
        divergence = (p * (log_p - p.mean(0).log())).nan_to_num(0).sum(1)  # 0 log 0 is 0
        return {"inception_score": float(divergence.mean().exp())}
