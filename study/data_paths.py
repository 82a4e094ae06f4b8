"""Paths of a trial's data and its extractor's weights that have moved since it was configured.

The configuration stays as it is, and so do its checkpoints; the FID's fingerprint tells whether the images are too.
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

BY_OPTION = "--data PATH says where it is, --weights FILE where Inception's weights are"
BY_LAUNCH = "if it was moved, launch the study again with --set KEY=PATH, which is recorded"


@dataclass(frozen=True)
class DataPaths:
    """Where the data and the extractor's weights lie; None: as configured."""

    data: Path | None = None
    weights: Path | None = None

    @classmethod
    def of(cls, study: Mapping[str, Any]) -> "DataPaths":
        """Return the paths in a study's newest settings."""
        data = next((study["data"][key] for key in DATA_KEYS if study["data"].get(key)), None)
        weights = study.get("evaluation", {}).get("extractor", {}).get("weights")
        return cls(data and Path(data), weights and Path(weights))

    def over(self, others: "DataPaths") -> "DataPaths":
        """Return these paths, and the others' where one is not given."""
        return DataPaths(self.data or others.data, self.weights or others.weights)

    def applied(self, trial: TrialConfig) -> tuple[DataSource, Evaluation]:
        """Return the trial's data and evaluation with these paths.

        Raises:
            InvalidInput: if the data source or the extractor takes no path.
        """
        evaluation = trial.evaluation
        if self.weights is not None:
            if "weights" not in type(evaluation.extractor).model_fields:
                raise InvalidInput(f"weights {self.weights}: extractor {evaluation.extractor.name} reads none")
            extractor = evaluation.extractor.model_copy(update={"weights": self.weights})
            evaluation = evaluation.model_copy(update={"extractor": extractor})
        return trial.data.at(self.data), evaluation


AS_CONFIGURED = DataPaths()


@contextmanager
def saying(how: str) -> Iterator[None]:
    """Add `how` to name another path to the error for data that is nowhere."""
    try:
        yield
    except DataNotFound as error:
        raise DataNotFound(f"{error}; {how}") from error
