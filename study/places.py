"""Where the data of a trial and its extractor's weights lie, if not where its configuration says: they may have moved.

The configuration stays what it is, and so do the checkpoints that belong to it; the FID's fingerprint tells whether the
images are the same.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.data.source import DataSource
from trainables.errors import DataNotFound, InvalidInput
from trainables.evaluation.config import Evaluation
from trainables.gan.config import TrialConfig
from trainables.paths import DATA_KEYS

BY_OPTION = "--data PATH names another place, --weights FILE that of Inception's weights"
BY_LAUNCH = "if it was moved, launch the study again with --set KEY=PATH: the new place is recorded"


@dataclass(frozen=True)
class Places:
    """The place of the data, and of the extractor's weights; None: as configured."""

    data: Path | None = None
    weights: Path | None = None

    @classmethod
    def of(cls, study: Mapping[str, Any]) -> "Places":
        """The places in a study's newest settings."""
        data = next((study["data"][key] for key in DATA_KEYS if study["data"].get(key)), None)
        weights = study.get("evaluation", {}).get("extractor", {}).get("weights")
        return cls(data and Path(data), weights and Path(weights))

    def found(self, trial: TrialConfig) -> tuple[DataSource, Evaluation]:
        """The trial's data and evaluation, at these places.

        Raises:
            InvalidInput: if what they name has no place.
        """
        evaluation = trial.evaluation
        if self.weights is not None:
            if "weights" not in type(evaluation.extractor).model_fields:
                raise InvalidInput(f"weights {self.weights}: extractor {evaluation.extractor.name} reads none")
            extractor = evaluation.extractor.model_copy(update={"weights": self.weights})
            evaluation = evaluation.model_copy(update={"extractor": extractor})
        return trial.data.at(self.data), evaluation


AS_CONFIGURED = Places()


@contextmanager
def saying(how: str) -> Iterator[None]:
    """Add `how` to name another path to the error for data that is nowhere."""
    try:
        yield
    except DataNotFound as error:
        raise DataNotFound(f"{error}; {how}") from error
