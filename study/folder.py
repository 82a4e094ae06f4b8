"""Where the parts of one study lie on disk."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.paths import absolute

STORAGE_VARIABLE = "GANSTUDY_STORAGE"
DEFAULT_STORAGE = Path("runs")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def storage_root(given: Path | None) -> Path:
    """Return the storage folder: as given, else `$GANSTUDY_STORAGE`, else `runs`."""
    return absolute(given or Path(os.environ.get(STORAGE_VARIABLE) or DEFAULT_STORAGE))


def check_name(name: str) -> str:
    """Return `name` if it can name a study (and so a folder, an MLflow experiment and a database schema).

    Raises:
        InvalidInput: unless it is 1 to 64 letters, digits, `_`, `-` or `.`, beginning with a letter or digit.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"study name {quoted(name)}: use 1 to 64 letters, digits, '_', '-' or '.', beginning with a letter or digit"
        )
    return name


@dataclass(frozen=True)
class StudyFolder:
    """The folder of the study `name` under the storage folder `root`; knows paths, creates nothing."""

    root: Path
    name: str

    def __post_init__(self) -> None:
        """Refuse a name that could leave the storage folder."""
        check_name(self.name)

    @property
    def path(self) -> Path:
        """The study's own folder."""
        return self.root / self.name

    @property
    def ledger(self) -> Path:
        """The embedded (SQLite) ledger."""
        return self.path / "ledger.db"

    @property
    def head(self) -> Path:
        """The mark of the ledger's last row, wherever the ledger is (see `study.ledger.head`)."""
        return self.path / "ledger.head"

    @property
    def set_aside(self) -> Path:
        """What was newer than a ledger that was put back, by the time at which the study went on from it."""
        return self.path / "set-aside"

    @property
    def trials(self) -> Path:
        """The folders of all trials."""
        return self.path / "trials"

    @property
    def study_file(self) -> Path:
        """The resolved study file."""
        return self.path / "study.yaml"

    @property
    def best_file(self) -> Path:
        """The best configuration, exported when the study ends."""
        return self.path / "best.yaml"

    @property
    def report_file(self) -> Path:
        """The report, written when a launch ends."""
        return self.path / "report.html"

    @property
    def mlflow_db(self) -> Path:
        """The embedded MLflow store."""
        return self.path / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """Artifacts of the embedded MLflow store."""
        return self.path / "mlartifacts"

    @property
    def ray(self) -> Path:
        """Ray Tune's own scratch files; never read back."""
        return self.path / "ray"

    def trial(self, number: int) -> Path:
        """The folder of one trial."""
        return self.trials / f"{number:05d}"

    def training(self, trial: int, seed: int = 0, budget: int = 0) -> Path:
        """The folder of a trial, or of its retraining with that seed to that budget (kimg), as a `TrialId` names it."""
        if not seed:
            return self.trial(trial)
        return self.path / "confirm" / f"{budget}-kimg" / f"trial-{trial:05d}-seed-{seed}"

    def samples(self, number: int) -> Path:
        """The sample grids of one trial, `kimg-000010.png` and so on."""
        return self.trial(number) / "samples"

    def checkpoints(self, number: int) -> Path:
        """The checkpoints of one trial."""
        return self.trial(number) / "checkpoints"
