"""The folder of one production training: what lies where, whose it is, and what was measured so far."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from study.ledger.lock import FileLock
from study.study_file.yaml_file import read_yaml
from trainables.errors import CorruptInput, GanStudyError, InvalidInput
from trainables.files import check_writable, write_atomically
from trainables.gan.config import TrialConfig
from trainables.generator import FILE
from trainables.paths import with_paths_of

_CHOOSE = "choose another folder with --out"
_PATIENCE = 60.0  # seconds until Ray's processes have noticed the end of the one that started them


@dataclass
class Measured:
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


@dataclass(frozen=True)
class ProductionFolder:
    """Paths below `path`; `claim` makes them."""

    path: Path

    @property
    def config(self) -> Path:
        """The configuration and where it came from, as `ganstudy export` writes them."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """`Measured` as JSON."""
        return self.path / "metrics.json"

    @property
    def generator(self) -> Path:
        """The result."""
        return self.path / FILE

    @property
    def card(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    @property
    def grid(self) -> Path:
        """The model card's picture."""
        return self.path / "samples.png"

    @property
    def training(self) -> Path:
        """The trial's own folder: checkpoints, and pictures of every report."""
        return self.path / "training"

    def check_writable(self) -> None:
        """Refuse a place that cannot be written to, leaving no trace.

        Raises:
            InvalidInput: if it is one.
        """
        check_writable(self.path, "--out", _CHOOSE)

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
            raise InvalidInput(f"--out {self.path}: cannot be read: {error.strerror}; {_CHOOSE}") from None
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / ".lock")
        if not lock.acquire():
            raise GanStudyError(f"{self.path}: another process trains there; wait for its end, or {_CHOOSE}")
        try:
            if not self.config.exists():
                text = yaml.safe_dump({"trial": dict(trial), "origin": dict(origin)}, sort_keys=False)
                write_atomically(self.config, text.encode())
            yield
        finally:
            lock.release()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let this process alone write to the training, after the end of one whose driver was killed.

        Raises:
            GanStudyError: if that one does not end.
        """
        self.training.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.training / ".lock")
        deadline = time.monotonic() + _PATIENCE
        while not lock.acquire():
            if time.monotonic() > deadline:
                raise GanStudyError(f"{self.path}: an earlier process still trains there; end it, or {_CHOOSE}")
        try:
            yield
        finally:
            lock.release()

    def _check_owner(self, trial: Mapping[str, Any]) -> None:
        if self.config.exists():
            try:
                found = TrialConfig.from_dict(read_yaml(self.config).get("trial"), f"{self.config}: trial")
            except InvalidInput as error:
                raise InvalidInput(f"--out {self.path}: is no training to go on with ({error}); {_CHOOSE}") from None
            if with_paths_of(found.to_dict(), None) != with_paths_of(trial, None):
                raise InvalidInput(f"--out {self.path}: is the training of another configuration; {_CHOOSE}")
        elif self.path.exists() and any(not found.name.startswith(".") for found in self.path.iterdir()):
            raise InvalidInput(f"--out {self.path}: holds other files; {_CHOOSE}, new or empty")

    def read_measured(self) -> Measured | None:
        """Return what was measured so far, None if nothing was.

        Raises:
            CorruptInput: if the file is damaged.
        """
        try:
            return Measured(**json.loads(self.metrics.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, RecursionError) as error:
            raise CorruptInput(f"{self.metrics}: damaged ({error}); restore it, or {_CHOOSE}") from None

    def write_measured(self, measured: Measured) -> None:
        """Write what was measured, atomically."""
        write_atomically(self.metrics, json.dumps(vars(measured), indent=1).encode())


def new_uid() -> str:
    """Return a name for a training that no other has."""
    return uuid.uuid4().hex
