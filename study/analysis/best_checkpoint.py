"""The checkpoint of a trial's best FID: it is always kept, and must be the one in the ledger."""

from pathlib import Path

from study.folder import StudyFolder
from study.ledger.records import TrialRecord
from trainables.checkpoint import Checkpoint, CheckpointStore, read_checkpoint
from trainables.errors import CorruptFile, GanStudyError


def best_checkpoint(folder: StudyFolder, trial: TrialRecord, otherwise: str) -> Path:
    """Return its path.

    Args:
        folder: the study's.
        trial: one that has reported.
        otherwise: what to do instead if it is gone, for the error.

    Raises:
        GanStudyError: if it is gone.
    """
    path = CheckpointStore(folder.checkpoints(trial.number)).path(trial.kimg_best or 0)
    if not path.is_dir():
        raise GanStudyError(
            f"{path}: the checkpoint of trial {trial.number}'s best FID is gone; restore it, or {otherwise}"
        )
    return path


def read_best_checkpoint(path: Path, trial: TrialRecord) -> Checkpoint:
    """Read it.

    Raises:
        CorruptFile: if it is damaged, or of another FID than the ledger's.
    """
    checkpoint = read_checkpoint(path)
    if checkpoint.report.get("fid") != trial.fid_best:
        raise CorruptFile(f"{path}: its FID is {checkpoint.report.get('fid')}, in the ledger {trial.fid_best}")
    return checkpoint
