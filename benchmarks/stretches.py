"""When a study that has ended trained and evaluated, and when its slots stood idle; for overhead.py and switch.py."""

from dataclasses import dataclass
from itertools import pairwise

from study.folder import StudyFolder
from study.ledger.catalogue import load_study
from study.ledger.records import StudyRecord, TrialRecord
from study.mlflow.images import picture_file

_PARTS = ("train_seconds", "eval_seconds")


@dataclass(frozen=True)
class Stretch:
    """Training and the evaluation after it, from one report to the next, in unix seconds."""

    start: float
    end: float


@dataclass(frozen=True)
class Stretches:
    """What a study did when."""

    study: StudyRecord
    by_trial: tuple[tuple[Stretch, ...], ...]
    """Of the trials that reported."""

    def between_reports(self) -> list[float]:
        """Seconds from one stretch to the next of the same trial: checkpoint, report, and the answer to it."""
        return [later.start - earlier.end for mine in self.by_trial for earlier, later in pairwise(mine)]

    def switches(self) -> list[float]:
        """Seconds from a trial's end in the ledger to the first stretch of the one that got its slot."""
        seconds = []
        free = sorted(trial.ended_at for trial in self.study.trials if trial.ended_at is not None)
        for start in sorted(mine[0].start for mine in self.by_trial):
            before = [end for end in free if end <= start]
            if before:
                seconds.append(start - before[-1])
                free.remove(before[-1])
        return seconds


def stretches(folder: StudyFolder) -> Stretches:
    """Read a study's ledger, and when its trials' pictures were written."""
    study = load_study(folder)
    return Stretches(study, tuple(tuple(_of_trial(trial, folder)) for trial in study.trials if trial.reports))


def _of_trial(trial: TrialRecord, folder: StudyFolder) -> list[Stretch]:
    """A report's last picture ends its evaluation: the ledger's time is after the checkpoint and Ray's message, too."""
    found, before = [], 0.0
    for report in trial.reports:
        total = sum(report.metrics[name] for name in _PARTS)
        end = picture_file(folder.trial(trial.number) / "histograms", report.kimg).stat().st_mtime
        found.append(Stretch(end - (total - before), end))
        before = total
    return found
