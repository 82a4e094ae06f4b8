"""The study's FIDs beside those of a training of the same configuration, and why the two differ where they do."""

from dataclasses import dataclass
from importlib.metadata import version

from study.analysis.export import Origin
from study.ledger.trial_resources import held_device, trial_resources
from study.production.plan import TrainingPlan
from study.views.tables import number
from trainables.evaluation.image_counts import ImageCounts
from trainables.evaluation.prepare import Prepared

_ROUNDING = ("torch", "numpy")  # versions that decide the last bits


@dataclass(frozen=True)
class StudyFids:
    """What the study measured of the trial that is trained again.

    Attributes:
        fids: by kimg; empty where this is another training, or another FID.
        counts: of how many generated images they are.
        differences: what is known to make this training's FIDs others, in a line each.
    """

    fids: dict[int, float]
    counts: ImageCounts
    differences: tuple[str, ...]

    @classmethod
    def of(cls, plan: TrainingPlan, prepared: Prepared) -> "StudyFids":
        """Compare what is planned with what the study did."""
        origin, counts = plan.origin, ImageCounts.of(plan.config.evaluation, plan.origin.full_count_at)
        if origin.fids and origin.fid_fingerprint is None:  # written by hand: of what, nobody knows
            return cls({}, counts, ())
        if other := _another_training(plan, prepared):
            return cls({}, counts, (f"its FIDs are not compared with the study's: {other}",))
        differences = (*_other_counts(origin, counts), *_other_rounding(plan)) if origin.fids else ()
        return cls(origin.fids, counts, differences)

    def beside(self, kimg: int, fid: float) -> str:
        """Return what to say of the study behind a report's FID."""
        known = self.fids.get(kimg)
        if known is None:
            return ""
        images = self.counts.at(kimg)
        if images != self.counts.full:
            return f", {number(known)} in the study of {images:,} images"
        return ", the same as in the study" if known == fid else f", {number(known)} in the study"


def _another_training(plan: TrainingPlan, prepared: Prepared) -> str | None:
    """Why it is another training than the study's trial, or measured otherwise."""
    if plan.replaced_seed is not None:
        return f"it is another training, from seed {plan.config.seed} and not {plan.replaced_seed}"
    known = plan.origin.fid_fingerprint
    if plan.origin.fids and known != prepared.fingerprint:
        return (
            f"the fingerprint is {prepared.fingerprint}, in the study it was {known}, so the data, the split, the "
            "extractor or the number of images is another"
        )
    return None


def _other_counts(origin: Origin, counts: ImageCounts) -> list[str]:
    fewer = [kimg for kimg in origin.fids if counts.at(kimg) != counts.full]
    if not fewer:
        return []
    return [
        f"FIDs here are of {counts.full:,} generated images, in the study of {counts.at(fewer[0]):,} at "
        f"{', '.join(map(str, fewer))} kimg: with fewer the same generator's FID is noisier, and on average higher"
    ]


def _other_rounding(plan: TrainingPlan) -> list[str]:
    """What changes the order or the precision of sums, of which training makes more and more."""
    found, known = [], plan.origin.versions
    for name in _ROUNDING:
        if (then := known.get(name)) not in (None, version(name)):
            found.append(f"{name} is {version(name)}, in the study it was {then}")
    device = {"cpu": "CPU", "cuda": "GPU"}[plan.device.partition(":")[0]]
    if known and device != (then := held_device(trial_resources({}, known))[0]):
        found.append(f"it trains on a {device}, the study did on a {then}")
    if plan.order.devices > 1:
        found.append(f"each batch is split over {plan.order.devices} processes")
    if not found:
        return []
    return [
        f"FIDs may differ from the study's: {'; '.join(found)}, so sums round otherwise, and training enlarges that"
    ]
