"""Checkpoints of one trial on disk: written whole or not at all, and verified before they are used.

A checkpoint is a folder `kimg-000010` with a safetensors file per network, `state.pt` (optimisers and counters,
read with `weights_only=True`), `report.json` (what was reported at that point) and `manifest.json` (SHA-256 of the
others). It is made in a temporary folder, synced, and renamed. The two newest and the one of the best FID are kept.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from trainables.errors import CorruptFile, reason_of
from trainables.evaluation.image_counts import FidEstimate, best_of

NETWORKS = ("generator", "discriminator", "ema")
_MANIFEST = "manifest.json"
_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """A session's state and the report made of it."""

    state: dict[str, Any]
    report: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` into the empty or new `folder` and sync it to disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        contiguous = {key: value.contiguous() for key, value in checkpoint.state[name].items()}
        save_file(contiguous, folder / f"{name}.safetensors")
    rest = {key: value for key, value in checkpoint.state.items() if key not in NETWORKS}
    torch.save(rest, folder / "state.pt")
    (folder / "report.json").write_text(json.dumps(checkpoint.report))
    sums = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
    (folder / _MANIFEST).write_text(json.dumps(sums, indent=1))
    for file in folder.iterdir():
        _sync(file)
    _sync(folder)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises:
        CorruptFile: if the manifest is missing or unreadable, or a file does not match it or holds anything but data.
    """
    verify_checkpoint(folder)
    try:
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        networks = {name: load_file(folder / f"{name}.safetensors") for name in NETWORKS}
        return Checkpoint(state | networks, json.loads((folder / "report.json").read_text()))
    except Exception as error:  # torch's unpickler raises errors of every kind on foreign bytes
        raise CorruptFile(f"checkpoint {folder}: cannot be read: {reason_of(error, most=200)}") from error


def verify_checkpoint(folder: Path) -> None:
    """Compare every file of a checkpoint with its manifest.

    Raises:
        CorruptFile: naming the first file that differs.
    """
    try:
        sums: Mapping[str, str] = json.loads((folder / _MANIFEST).read_text())
        wrong = [name for name, expected in sums.items() if _sha256(folder / name) != expected]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise CorruptFile(f"checkpoint {folder}: cannot be checked: {error}") from None
    expected = {f"{name}.safetensors" for name in NETWORKS} | {"state.pt", "report.json"}
    if wrong or set(sums) != expected:
        raise CorruptFile(f"checkpoint {folder}: {(wrong or ['manifest.json'])[0]} is not what was written")


class CheckpointStore:
    """The checkpoints of one trial."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def kimgs(self) -> list[int]:
        """Return the times of the checkpoints on disk, oldest first, unverified."""
        return sorted(int(path.name.removeprefix("kimg-")) for path in self.folder.glob("kimg-[0-9]*[0-9]"))

    def path(self, kimg: int) -> Path:
        """Return the folder of the checkpoint of `kimg`."""
        return self.folder / f"kimg-{kimg:06d}"

    def save(self, kimg: int, checkpoint: Checkpoint) -> None:
        """Add the checkpoint of `kimg`, then remove all but the two newest and the best."""
        temporary = self.folder / f".writing-{kimg:06d}-{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        write_checkpoint(temporary, checkpoint)
        shutil.rmtree(self.path(kimg), ignore_errors=True)  # only there if it was damaged
        temporary.rename(self.path(kimg))
        _sync(self.folder)
        self._drop_old()

    def latest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, None if there are none at all.

        Raises:
            CorruptFile: if there are some and none is intact (starting afresh would hide it).
        """
        error: CorruptFile | None = None
        for kimg in reversed(self.kimgs()):
            try:
                return read_checkpoint(self.path(kimg))
            except CorruptFile as found:
                error = error or found
        if error:
            raise error
        return None

    def best(self) -> int | None:
        """Return the kimg of the best FID (see `best_of`; it is never dropped); None if there are none."""
        return self._best(self.kimgs())

    def _drop_old(self) -> None:
        for left_over in self.folder.glob(".writing-*"):  # of a worker that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        kimgs = self.kimgs()
        keep = set(kimgs[-_KEPT:]) | {self._best(kimgs)}
        for kimg in set(kimgs) - keep:
            shutil.rmtree(self.path(kimg))

    def _best(self, kimgs: list[int]) -> int | None:
        best = best_of(map(self._estimate, kimgs))
        return best.kimg if best else None

    def _estimate(self, kimg: int) -> FidEstimate:
        try:
            return FidEstimate.of(kimg, json.loads((self.path(kimg) / "report.json").read_text()))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return FidEstimate(kimg, float("inf"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
