"""The folder of one production training: what lies where, whose it is, and what was measured so far."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from study.ledger.lock import FileLock
from study.yaml_file import read_yaml
from trainables.errors import CorruptInput, GanStudyError, InvalidInput
from trainables.files import write_atomically
from trainables.gan.config import TrialConfig
from trainables.generator import FILE
from trainables.paths import with_paths_of

CHOOSE = "choose another folder with --out"
"""What to do about one that cannot be used."""

_PATIENCE = 60.0  # seconds until Ray's processes have noticed the end of the one that started them


@dataclass
class TrainingMetrics:
    """What `metrics.json` holds.

    Attributes:
        uid: of this training, made once.
        fid_fingerprint: what the FIDs of `reports` and `generator` mean; `fid_floor` and `fid_ceiling` are their scale.
        reports: one for each evaluation, in order of `kimg`; `written_at` in unix seconds.
        generator: `kimg`, `chosen` ("best FID" or "last") and metrics of the generator that was written; None before.
        test: its metrics and their `fid_fingerprint` on the test split; None where that was the split it was chosen by.
    """

    uid: str
    fid_fingerprint: str
    fid_floor: float
    fid_ceiling: float
    reports: list[dict[str, float]] = field(default_factory=list)
    generator: dict[str, Any] | None = None
    test: dict[str, Any] | None = None

    def add(self, report: Mapping[str, float], written_at: float) -> None:
        """Add a report; those at its time or later, from before a checkpoint was lost, are forgotten."""
        self.reports = [old for old in self.reports if old["kimg"] < report["kimg"]]
        self.reports.append({**report, "written_at": written_at})


class ProductionFolder:
    """The files of a training; `claim` makes the folder.

    Attributes:
        path: the folder.
        config: the configuration and where it came from, as `ganstudy export` writes them.
        metrics: `TrainingMetrics` as JSON.
        generator: the result.
        card: the model card.
        grid: the model card's picture.
        training: the trial's own folder: checkpoints, and pictures of every report.
    """

    def __init__(self, path: Path) -> None:
        """Name the files; nothing is made."""
        self.path = path
        self.config, self.metrics, self.generator = path / "config.yaml", path / "metrics.json", path / FILE
        self.card, self.grid, self.training = path / "README.md", path / "samples.png", path / "training"

    @contextmanager
    def claim(self, trial: Mapping[str, Any], origin: Mapping[str, Any]) -> Iterator[None]:
        """Make the folder this process's alone, and bind it to a configuration.

        Raises:
            InvalidInput: if it holds something else, or is a training of another configuration.
            GanStudyError: if another process has it.
        """
        try:
            self._check_owner(trial)
        except OSError as error:
            raise InvalidInput(f"--out {self.path}: cannot be read: {error.strerror}; {CHOOSE}") from None
        busy = f"{self.path}: another process trains there; wait for its end, or {CHOOSE}"
        with _alone(self.path, 0.0, busy):
            if not self.config.exists():
                text = yaml.safe_dump({"trial": dict(trial), "origin": dict(origin)}, sort_keys=False)
                write_atomically(self.config, text.encode())
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let this process alone write to the training, after the end of one whose driver was killed.

        Raises:
            GanStudyError: if that one does not end.
        """
        busy = f"{self.path}: an earlier process still trains there; end it, or {CHOOSE}"
        with _alone(self.training, _PATIENCE, busy):
            yield

    def _check_owner(self, trial: Mapping[str, Any]) -> None:
        if self.config.exists():
            try:
                found = TrialConfig.from_dict(read_yaml(self.config).get("trial"), f"{self.config}: trial")
            except InvalidInput as error:
                raise InvalidInput(
                    f"--out {self.path}: is not a training that can be resumed ({error}); {CHOOSE}"
                ) from None
            if with_paths_of(found.to_dict(), None) != with_paths_of(trial, None):
                raise InvalidInput(f"--out {self.path}: is a training of another configuration; {CHOOSE}")
        elif self.path.exists() and any(not found.name.startswith(".") for found in self.path.iterdir()):
            raise InvalidInput(f"--out {self.path}: holds other files; {CHOOSE}, new or empty")

    def read_measured(self) -> TrainingMetrics | None:
        """Return what was measured so far, None if nothing was.

        Raises:
            CorruptInput: if the file is damaged.
        """
        try:
            return TrainingMetrics(**json.loads(self.metrics.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, RecursionError) as error:
            raise CorruptInput(f"{self.metrics}: damaged ({error}); restore it, or {CHOOSE}") from None

    def write_measured(self, measured: TrainingMetrics) -> None:
        """Write what was measured, atomically."""
        write_atomically(self.metrics, json.dumps(vars(measured), indent=1).encode())


@contextmanager
def _alone(folder: Path, patience: float, busy: str) -> Iterator[None]:
    """Make a folder and hold its lock; raise `busy` if another process still has it after `patience` seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    lock, deadline = FileLock(folder / ".lock"), time.monotonic() + patience
    while not lock.acquire():  # which itself waits for a moment
        if time.monotonic() > deadline:
            raise GanStudyError(busy)
    try:
        yield
    finally:
        lock.release()
