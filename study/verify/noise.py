"""Compares what is left of the retrainings on disk with what the ledger says of the noise."""

import json
from collections import Counter

from study.folder import StudyFolder
from study.ledger.events import SEED, NoiseMeasured
from study.ledger.records import StudyRecord
from study.noise.noise import seed_folder
from study.verify.check import Discrepancy


def check_noise(folder: StudyFolder, study: StudyRecord, counts: Counter[str]) -> str | None:
    """Check that each retraining's checkpoint at its budget is whole and holds the FID that was measured.

    A measurement with fresh latents leaves nothing behind, nor does a retraining that diverged or was trained further.

    Returns:
        A note on what is not on disk.

    Raises:
        CorruptFile: at the first checkpoint that is damaged.
        Discrepancy: at the first that says something else than the ledger.
    """
    left_out = 0
    for measured in study.noise.measured:
        counts[f"{measured.source}s"] += 1
        if measured.source == SEED:
            left_out += not _check(folder, measured)
    return f"{left_out} of the seeds have no checkpoint to compare with" if left_out else None


def _check(folder: StudyFolder, measured: NoiseMeasured) -> bool:
    """Tell whether there was anything to compare with."""
    from trainables.checkpoint import CheckpointStore, verify_checkpoint  # imports torch

    store = CheckpointStore(seed_folder(folder, measured.trial, measured.index) / "checkpoints")
    path = store.path(measured.kimg)
    if measured.fid is None or not path.is_dir():
        return False
    verify_checkpoint(path)
    try:
        found = json.loads((path / "report.json").read_text())["fid_best"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise Discrepancy(f"{path}/report.json: is no report") from None
    if found != measured.fid:
        raise Discrepancy(f"{path}/report.json: fid_best is {found!r}, in the ledger {measured.fid!r}")
    return True
