"""Finds files in a study's folder that are ahead of its ledger by more than a crash explains.

A step is in the ledger before it is begun: a trial before its folder is made, an attempt before its worker starts. So
trials and attempts on disk are never ahead of the ledger. A checkpoint is written before its report is in the ledger,
and no worker goes on before that, so a training's checkpoints are ahead by one report at most.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from study.analysis.rung_facts import schedule_of
from study.folder import StudyFolder
from study.ledger.events import TrialId
from study.ledger.head import read_head
from study.ledger.ledger import Ledger
from study.ledger.records import StudyRecord, TrialRecord

_KIMG = re.compile(r"kimg-(\d{6,})(\.png)?")
_TRIAL = re.compile(r"trials/(\d+)")
_RETRAINING = re.compile(r"confirm/(\d+)-kimg/trial-(\d+)-seed-(\d+)")
_NOISE = re.compile(r"noise/trial-(\d+)/seed-\d+")


@dataclass(frozen=True)
class Newer:
    """A training's folder that is ahead of the ledger.

    `why` tells how, `lost` what the ledger does not know of; `kimg` is how far the ledger has it, None if not at all.
    With `whole` nothing in the folder goes with the ledger, else what is of later than `kimg`.
    """

    path: Path
    why: str
    lost: str
    kimg: int | None
    whole: bool


def newer_than(folder: StudyFolder, ledger: Ledger, study: StudyRecord) -> list[Newer]:
    """Return every training that is ahead of the ledger, or of another one.

    Where the mark of the last row agrees another FID on disk says nothing of the ledger: then the file is damaged.
    """
    agrees = read_head(folder.head) is not None and ledger.differs(folder.head) is None
    return list(newer_trainings(folder, study, fids=not agrees))


def newer_trainings(folder: StudyFolder, study: StudyRecord, fids: bool = False) -> Iterator[Newer]:
    """Yield every training that is ahead of the ledger: trials, retrainings of a confirmation and of the noise.

    With `fids` also those that reported other FIDs than the ledger's. Not while a driver is live: then the ledger goes
    on while the folders are looked at.
    """
    step = schedule_of(study.config).report_every
    for path, (number,) in _numbered(folder, "trials/*", _TRIAL):
        trial = study.trials[number] if number < len(study.trials) else None
        yield from _newer(path, f"trial {number}", trial, step, fids)
    for path, (budget, number, index) in _numbered(folder, "confirm/*/*", _RETRAINING):
        retraining = study.confirmation.find(TrialId(number, index, budget))
        yield from _newer(path, f"trial {number}'s retraining {index} to {budget} kimg", retraining, step, fids)
    for path, (number,) in _numbered(folder, "noise/*/*", _NOISE):
        known = study.trials[number].kimg if number < len(study.trials) else 0
        if (newest := _newest(path)) > known:
            why = f"{path}: stands at {newest} kimg, and the ledger has trial {number} at {known}"
            yield Newer(path, why, f"trial {number}'s noise at {newest} kimg", None, whole=True)


def kimg_of(path: Path) -> int | None:
    """The kimg in the name of a checkpoint or a picture; None if it is neither."""
    found = _KIMG.fullmatch(path.name)
    return int(found[1]) if found else None


def _newer(path: Path, what: str, training: TrialRecord | None, step: int, fids: bool) -> Iterator[Newer]:
    if training is None:
        yield Newer(path, f"{path}: the ledger does not know {what}", what, None, whole=True)
        return
    known, attempt, newest = training.kimg, _attempt(path), _newest(path)
    lost = f"{what} after {known} kimg" if known else what
    if fids and (other := _other_fid(path, training)):
        yield Newer(path, other, what, known, whole=True)
    elif attempt > training.attempts:
        why = f"{path}: {what} is at attempt {attempt}, in the ledger at {training.attempts}"
        yield Newer(path, why, lost, known, whole=False)
    elif newest > known + step:
        why = f"{path}: {what} never reported at {newest} kimg, its last was {known}"
        yield Newer(path, why, lost, known, whole=False)


def _other_fid(path: Path, training: TrialRecord) -> str | None:
    """Say which report of a training has another FID on disk, if one has: then that is another training.

    What a later attempt may have trained again is left out.
    """
    for report in training.reports:
        file = path / "checkpoints" / f"kimg-{report.kimg:06d}" / "report.json"
        if report.attempt != training.attempts or not file.is_file():
            continue
        try:
            fid = json.loads(file.read_text())["fid"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # damaged, which is another matter
        if fid != report.fid:
            return f"{file}: fid is {fid!r}, in the ledger {report.fid!r}"
    return None


def _newest(path: Path) -> int:
    return max((kimg_of(path) or 0 for path in (path / "checkpoints").glob("kimg-*")), default=0)


def _attempt(path: Path) -> int:
    try:
        return int((path / "attempt").read_text())
    except (OSError, ValueError):
        return 0


def _numbered(folder: StudyFolder, pattern: str, name: re.Pattern[str]) -> Iterator[tuple[Path, list[int]]]:
    for path in sorted(folder.path.glob(pattern)):
        if found := name.fullmatch(path.relative_to(folder.path).as_posix()):
            yield path, [int(number) for number in found.groups()]
