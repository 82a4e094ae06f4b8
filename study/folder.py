"""The paths of a study's files and folders."""

import os
import re
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


class StudyFolder:
    """The folder of the study `name` under the storage folder `root`; knows paths, creates nothing.

    Attributes:
        path: the study's own folder.
        ledger: the embedded (SQLite) ledger.
        head: the mark of the ledger's last row, wherever the ledger is (see `study.ledger.head`).
        set_aside: what was newer than a ledger that was put back, by the time at which the study went on from it.
        trials: the folders of all trials.
        study_file: the resolved study file.
        best_file: the best configuration, exported when the study ends.
        report_file: the report, written when a launch ends.
        mlflow_db: the embedded MLflow store.
        mlflow_artifacts: artifacts of the embedded MLflow store.
        ray: Ray Tune's own scratch files; never read back.
    """

    def __init__(self, root: Path, name: str) -> None:
        """Name the paths.

        Raises:
            InvalidInput: if the name could leave the storage folder (see `check_name`).
        """
        self.root, self.name = root, check_name(name)
        self.path = root / name
        self.ledger = self.path / "ledger.db"
        self.head = self.path / "ledger.head"
        self.set_aside = self.path / "set-aside"
        self.trials = self.path / "trials"
        self.study_file = self.path / "study.yaml"
        self.best_file = self.path / "best.yaml"
        self.report_file = self.path / "report.html"
        self.mlflow_db = self.path / "mlflow.db"
        self.mlflow_artifacts = self.path / "mlartifacts"
        self.ray = self.path / "ray"

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
