"""Evaluates generated images: the FID and the other metrics of a study's evaluation, from one pass of the extractor."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from trainables.errors import Diverged
from trainables.evaluation.fid import FeatureMoments
from trainables.evaluation.metrics import METRICS, Looks
from trainables.evaluation.prepare import Prepared
from trainables.tensors import as_tensor

FID_OF_FIRST = "fid_of_first"
"""What `Evaluator.evaluate` calls the FID of the first images."""


class Evaluator:
    """Measures the generators of one study, on one device. Draws only from a random generator of its own."""

    def __init__(self, prepared: Prepared, device: torch.device | str = "cpu") -> None:
        """Build the extractor and compute what the metrics need from the real images."""
        evaluation = prepared.evaluation
        self.keys = evaluation.keys
        """Names of the numbers that `evaluate` gives, `fid` first."""
        self._reference = prepared.reference()
        self._extractor = prepared.build_extractor(device)
        real = as_tensor(prepared.features).to(device)
        looks = Looks(real, self._extractor.logits(real))
        self._metrics = [METRICS[name](looks, evaluation) for name in evaluation.metrics]

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Tensor], first: int = 0) -> dict[str, float]:
        """Measure images.

        Args:
            batches: uint8 (N, C, H, W) each, on the evaluator's device.
            first: also give the FID of the first so many of them, as `FID_OF_FIRST`; 0 for no.

        Returns:
            A finite number for each of `keys`.

        Raises:
            Diverged: if a number is not finite.
        """
        moments = FeatureMoments(self._extractor.dimension)
        features = []
        for images in batches:
            seen = self._extractor(images)
            moments.update(seen)
            features.append(seen)
        metrics = {"fid": self._reference.distance(moments)}
        if first:
            alone = FeatureMoments(self._extractor.dimension)
            alone.update(torch.cat(features)[:first])
            metrics[FID_OF_FIRST] = self._reference.distance(alone)
        if self._metrics:
            whole = torch.cat(features)
            looks = Looks(whole, self._extractor.logits(whole))
            for metric in self._metrics:
                metrics |= metric(looks)
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise Diverged(f"{bad[0]} of the generated images is {metrics[bad[0]]}")
        return metrics
