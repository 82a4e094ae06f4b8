"""What `prepare` measured of real images and noise, kept in the user's cache so that a second launch need not wait.

The numbers follow from data, extractor and evaluation, so a file that is damaged or cannot be written is no loss:
they are measured again. Their last bits also depend on torch, NumPy and the processor, so the file's name does too.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray

from trainables.files import write_atomically
from trainables.paths import cache_folder

RECIPE = 1
"""Raise it when the code changes what is measured: the noise's seed, the floor's sample, the FID, an extractor."""

KEEP = 20
"""How many files are kept, the most recently used: one of Inception's features is up to 200 MB."""

_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "MKL_CBWR")
"""Environment variables that choose the instructions of matrix products."""

_CPU = ("model name", "flags", "Features")
"""Lines of /proc/cpuinfo; virtual machines may share a name and differ in flags (`Features` on ARM)."""

_ARRAYS = ("mean", "covariance", "root", "features", "noise_mean", "noise_covariance")


@dataclass(frozen=True, eq=False)
class ReferenceMeasurements:
    """What is measured on a study's real images and on noise: the part of `Prepared` that takes seconds.

    Attributes:
        features: of the real images of the evaluation split, float32 `count` x dimension; `mean`, `covariance` and
            `root` (of the covariance) are theirs.
        classes_present: how many of the extractor's classes it assigns to at least one of these images.
        fid_floor: FID of real train images (`floor_count` of them) against all real test images.
        fid_ceiling: FID of `evaluation.count` images of uniform noise against the evaluation split.
        noise_mean: of the features of that noise, and `noise_covariance`: for the ceiling on another split.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    root: NDArray[np.float64]
    features: NDArray[np.float32]
    classes_present: int
    count: int
    fid_floor: float
    fid_ceiling: float
    floor_count: int
    noise_mean: NDArray[np.float64]
    noise_covariance: NDArray[np.float64]


def kept(fingerprint: str, batch: int, measure: Callable[[], ReferenceMeasurements]) -> ReferenceMeasurements:
    """Return what was measured before for the same fingerprint on such a machine, else `measure` and keep it.

    Args:
        fingerprint: of data, extractor and evaluation.
        batch: images per batch of the extractor.
        measure: computes it.
    """
    path = cache_folder() / "measured" / f"{_key(fingerprint, batch)}.safetensors"
    found = _read(path)
    if found is not None:
        with suppress(OSError):
            os.utime(path)  # mark it as used
        return found
    measured = measure()
    with suppress(OSError):
        write_atomically(path, _bytes(measured))
        _forget_old(path.parent)
    return measured


def _key(fingerprint: str, batch: int) -> str:
    """A digest of everything that the last bits depend on."""
    versions = RECIPE, torch.__version__, np.__version__
    machine = torch.backends.cpu.get_cpu_capability(), platform.processor(), *_cpu()
    variables = [os.environ.get(name) for name in _VARIABLES]
    return hashlib.sha256(json.dumps([fingerprint, batch, versions, machine, variables]).encode()).hexdigest()[:24]


def _forget_old(folder: Path) -> None:
    """Remove all files but the `KEEP` most recently used."""
    files = sorted(folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[KEEP:]:
        file.unlink(missing_ok=True)


def _bytes(measured: ReferenceMeasurements) -> bytes:
    facts = asdict(measured)
    arrays = {name: np.ascontiguousarray(facts.pop(name)) for name in _ARRAYS}
    facts["sha256"] = _digest(arrays, facts)
    return safetensors.numpy.save(arrays, metadata={"ganstudy": json.dumps(facts)})


def _read(path: Path) -> ReferenceMeasurements | None:
    try:
        with safetensors.safe_open(path, framework="numpy") as opened:
            facts: dict[str, Any] = json.loads(opened.metadata()["ganstudy"])
            arrays = {name: opened.get_tensor(name) for name in _ARRAYS}
        if facts.pop("sha256") != _digest(arrays, facts):
            return None
        return ReferenceMeasurements(**arrays, **facts)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError):
        return None


def _digest(arrays: dict[str, NDArray[Any]], facts: dict[str, Any]) -> str:
    state = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in _ARRAYS:
        state.update(arrays[name].tobytes())
    return state.hexdigest()


def _cpu() -> list[str]:
    """The first processor's name and flags."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    return [next((line for line in lines if line.startswith(name)), "") for name in _CPU]
