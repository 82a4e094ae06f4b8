"""How many generated images each report evaluates, and the best of several FIDs.

An FID of fewer images has a larger bias, so FIDs of different numbers of images are never compared.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from trainables.evaluation.config import Evaluation  # imports torch

IMAGES = "images_judged"
"""The metric that holds this number, in reports of a trial whose evaluation has a `rung_count`."""


@dataclass(frozen=True)
class FidEstimate:
    """An FID at `kimg`, of `images` generated images; 0 stands for `evaluation.count` where all reports use that."""

    kimg: int
    fid: float
    images: int = 0

    @classmethod
    def of(cls, kimg: int, report: Mapping[str, float]) -> Self:
        """Read a report's metrics."""
        return cls(kimg, float(report["fid"]), int(report.get(IMAGES, 0)))

    @property
    def estimate(self) -> "FidEstimate":
        """Itself, see `Estimated`."""
        return self


class Estimated(Protocol):
    """What has an FID."""

    @property
    def estimate(self) -> FidEstimate:
        """That FID."""


_Estimated = TypeVar("_Estimated", bound=Estimated)


def most_images(found: Iterable[Estimated]) -> int:
    """Return the largest number of images that any FID is of; 0 without any."""
    return max((one.estimate.images for one in found), default=0)


def best_of(found: Iterable[_Estimated]) -> _Estimated | None:
    """Return the lowest FID among those of the most images, the earliest of equals; None without any."""
    known = list(found)
    most = most_images(known)
    alike = (one for one in known if one.estimate.images == most)
    return min(alike, key=lambda one: (one.estimate.fid, one.estimate.kimg), default=None)


@dataclass(frozen=True)
class ImageCounts:
    """The numbers of generated images of a training's reports: a function of kimg, the same for a whole study.

    Attributes:
        full: `evaluation.count`.
        rung: the smaller number, everywhere but at `full_at`; None if all reports have the full number.
        full_at: budgets (kimg) that are evaluated in full: the study's `schedule.max_kimg`, now or before. A budget
            that has been raised since stays in full, so that trials that ended there compare with later ones.
    """

    full: int
    rung: int | None = None
    full_at: frozenset[int] = frozenset()

    @classmethod
    def of(cls, evaluation: "Evaluation", full_at: Collection[int] | None) -> Self:
        """Return the counts of an evaluation; without `full_at` (no study, no rungs) all use the full number."""
        if full_at is None or evaluation.rung_count is None:
            return cls(evaluation.count)
        return cls(evaluation.count, evaluation.rung_count, frozenset(full_at))

    def at(self, kimg: int) -> int:
        """Return how many images a report at `kimg` evaluates."""
        return self.full if self.rung is None or kimg in self.full_at else self.rung

    def told_at(self, kimg: int) -> int:
        """Return what a report at `kimg` states: 0 where all reports use the full number."""
        return 0 if self.rung is None else self.at(kimg)
