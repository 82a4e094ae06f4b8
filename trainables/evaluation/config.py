"""How a study measures its generators: a part of the study file, and of what makes two FIDs comparable."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trainables.data.images import Split
from trainables.evaluation.extractors import EXTRACTORS, ClassifierExtractor
from trainables.evaluation.extractors_base import ExtractorConfig
from trainables.evaluation.metrics import METRICS
from trainables.variants import KeyOf, OneOf, Variant


class Evaluation(Variant):
    """The same for every trial of a study."""

    extractor: Annotated[ExtractorConfig, OneOf(EXTRACTORS)] = ClassifierExtractor()
    count: int = Field(default=10_000, ge=2, description="generated images per FID; more than the extractor's features")
    rung_count: int | None = Field(
        default=None,
        ge=2,
        description="generated images at reports below schedule.max_kimg, at most count; null: count there too",
    )
    split: Split = Field(default=Split.VALIDATION, description="the real images that they are measured against")
    batch: int = Field(default=500, ge=1, description="images per batch through generator and extractor")
    precision: Literal["float32", "bf16"] = Field(
        default="float32", description="of generating and extracting; bf16 makes an FID of its own"
    )
    metrics: tuple[Annotated[str, KeyOf(METRICS)], ...] = Field(
        default=("kid", "prdc", "modes", "inception_score"), description="what is measured beside the FID"
    )
    kid_subsets: int = Field(default=10, ge=1, description="subsets that the KID is averaged over")
    kid_subset_size: int = Field(
        default=500, ge=2, description="images per subset; where there are no more, half of them"
    )
    prdc_images: int = Field(default=1000, ge=10, description="real and generated images each; at most those there are")

    @model_validator(mode="after")
    def _fewer_at_rungs(self) -> Self:
        if self.rung_count is not None and self.rung_count > self.count:
            raise ValueError(
                f"rung_count {self.rung_count} is above count {self.count}, by which finished trials are evaluated; "
                "lower it, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _each_metric_once(self) -> Self:
        if len(set(self.metrics)) != len(self.metrics):
            raise ValueError(f"metrics {', '.join(self.metrics)}: names one twice; name each once")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of all numbers that an evaluation gives, `fid` first."""
        return ("fid", *(key for name in self.metrics for key in METRICS[name].keys))

    @property
    def unusual_knobs(self) -> dict[str, int]:
        """Knobs of the chosen metrics that are not at their defaults: they give numbers that do not compare."""
        knobs = (knob for name in self.metrics for knob in METRICS[name].knobs)
        return {k: getattr(self, k) for k in knobs if getattr(self, k) != type(self).model_fields[k].default}
