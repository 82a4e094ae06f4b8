"""`TrialConfig`: everything that decides a trial's curve. Validated once, where the trial begins."""

import hashlib
import json
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, model_validator

from trainables.data import SOURCES
from trainables.data.source import DataSource
from trainables.errors import InvalidInput
from trainables.evaluation.config import Evaluation
from trainables.gan.augmentation import AUGMENTATIONS, Augmentation, NoAugmentation
from trainables.gan.conditioning import CONDITIONINGS, Conditioning, NoConditioning
from trainables.gan.latents import LATENTS, Latent, NormalLatent
from trainables.gan.losses import LOSSES
from trainables.gan.models import MODELS, Model
from trainables.gan.models.normalisation import NORMALISATIONS
from trainables.gan.optimisers import OPTIMISERS, Adam, Optimiser
from trainables.gan.penalties import PENALTIES, NoPenalty, Penalty
from trainables.gan.rate_control import RATE_CONTROLS, NoRateControl, RateControl
from trainables.paths import with_paths_of
from trainables.validation import validated
from trainables.variants import KeyOf, OneOf, Variant
from trainables.yaml_reason import yaml_reason

_LATER: Mapping[tuple[str, ...], Any] = {
    ("reuse_fakes",): False,
    ("evaluation", "precision"): "float32",
    ("evaluation", "rung_count"): None,
    ("data", "splits"): "auto",
}
"""Fields added after the first studies, and the value that stands for the behaviour before."""


class TrialConfig(Variant):
    """One trial: with the code's version, enough to repeat its FIDs to the last bit on a CPU."""

    data: Annotated[DataSource, OneOf(SOURCES)]
    model: Annotated[Model, OneOf(MODELS)]
    normalisation: Annotated[str, KeyOf(NORMALISATIONS)] = Field(default="none", description="of D")
    conditioning: Annotated[Conditioning, OneOf(CONDITIONINGS)] = NoConditioning()
    latent: Annotated[Latent, OneOf(LATENTS)] = NormalLatent()
    loss: Annotated[str, KeyOf(LOSSES)] = "nonsaturating"
    label_smoothing: float = Field(default=0, ge=0, lt=0.5, description="one-sided: reals' target is 1 less this")
    penalty: Annotated[Penalty, OneOf(PENALTIES)] = NoPenalty()
    augmentation: Annotated[Augmentation, OneOf(AUGMENTATIONS)] = NoAugmentation()
    generator_optimiser: Annotated[Optimiser, OneOf(OPTIMISERS)] = Adam(lr=2e-4)
    discriminator_optimiser: Annotated[Optimiser, OneOf(OPTIMISERS)] = Adam(lr=2e-4)
    rate_control: Annotated[RateControl, OneOf(RATE_CONTROLS)] = NoRateControl()
    n_critic: int = Field(default=1, ge=1, le=100, description="steps of D per step of G")
    update_order: Literal["discriminator_first", "generator_first"] = "discriminator_first"
    reuse_fakes: bool = Field(default=False, description="G's step takes D's images; saves a pass of G")
    batch_size: int = Field(default=64, ge=2, le=65536)
    ema_kimg: float = Field(default=0, ge=0, description="half-life of G's average in kimg; 0 for none")
    precision: Literal["float32", "bf16"] = Field(default="float32", description="bf16: under autocast")
    seed: int = Field(ge=0, lt=2**63)
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _normalisation_fits(self) -> Self:
        normalisation = NORMALISATIONS[self.normalisation]
        if self.normalisation not in self.model.normalisations:
            allowed = ", ".join(self.model.normalisations)
            raise ValueError(
                f"normalisation {self.normalisation!r} does not fit model {self.model.name!r}; use {allowed}"
            )
        if self.penalty.per_sample and normalisation.mixes_samples:
            raise ValueError(
                f"penalty {self.penalty.name!r} is defined per sample, but normalisation {self.normalisation!r} "
                "of D mixes the samples of a batch; use layer, spectral or none"
            )
        if self.penalty.limits_weights and normalisation.reparametrises:
            raise ValueError(
                f"penalty {self.penalty.name!r} limits the weights that normalisation {self.normalisation!r} "
                "rescales, so it would have no effect; use one of the two"
            )
        return self

    @model_validator(mode="after")
    def _loss_fits(self) -> Self:
        loss = LOSSES[self.loss]
        if self.label_smoothing and loss.smoothed is None:
            allowed = ", ".join(name for name, row in LOSSES.items() if row.smoothed)
            raise ValueError(
                f"label_smoothing {self.label_smoothing} needs a loss with a target for real images, but "
                f"{self.loss!r} has none; use {allowed}, or 0"
            )
        if self.rate_control.needs_boundary and loss.boundary is None:
            allowed = ", ".join(name for name, row in LOSSES.items() if row.boundary is not None)
            raise ValueError(
                f"rate_control {self.rate_control.name!r} counts what D takes for real, but the scores of loss "
                f"{self.loss!r} have no such boundary; use {allowed}, or rate_control none"
            )
        return self

    @property
    def uses_labels(self) -> bool:
        """Whether a trial needs labelled data."""
        return self.conditioning.uses_labels or self.latent.uses_labels

    @classmethod
    def from_dict(cls, data: Any, where: str = "trial configuration") -> Self:
        """Validate `data` (as from `to_dict`).

        Raises:
            InvalidInput: with one line on the first thing that is wrong.
        """
        return validated(cls, data, where)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; `from_dict(to_dict())` is the same configuration."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the configuration without paths: what a checkpoint belongs to."""
        return _digest(with_paths_of(self.to_dict(), None))

    def has_digest(self, digest: object) -> bool:
        """Whether this is the configuration's fingerprint; that of an older ganstudy included paths."""
        return digest in (self.digest, _digest(self.to_dict()))

    @classmethod
    def from_yaml(cls, text: str, where: str = "trial configuration") -> Self:
        """Read what `to_yaml` wrote, or a file written by hand.

        Raises:
            InvalidInput: if it is not YAML or not a valid configuration.
        """
        try:
            data = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2001-13-45; too many levels
            raise InvalidInput(f"{where}: not YAML: {yaml_reason(error)}") from None
        return cls.from_dict(data, where)

    def to_yaml(self) -> str:
        """Return the configuration as YAML, fields in the order of this class."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a YAML file.

        Raises:
            InvalidInput: if it cannot be read or is not valid.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path}: cannot be read: {error}") from None
        return cls.from_yaml(text, str(path))


def _digest(data: dict[str, Any]) -> str:
    for (*parents, name), before in _LATER.items():
        part = reduce(getitem, parents, data)
        if part.get(name) == before:  # which not every data source has
            part.pop(name, None)
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
