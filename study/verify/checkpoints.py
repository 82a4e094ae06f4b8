"""Compares the checkpoints on disk with the ledger: each whole, each the report it stands for, none missing."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from study.analysis.rung_facts import schedule_of
from study.folder import StudyFolder
from study.ledger.records import StudyRecord, TrialRecord
from study.older.newer import kimg_of, newer_trainings
from study.verify.check import Discrepancy
from trainables.evaluation.image_counts import FidEstimate, best_of
from trainables.repeats import may_repeat

_TIMINGS = frozenset({"images_per_second", "train_seconds", "eval_seconds"})


def check_checkpoints(folder: StudyFolder, study: StudyRecord, live: bool, counts: Counter[str]) -> str | None:
    """Check every checkpoint; while a driver is live not those of unfinished trials, which come and go.

    Returns:
        A note on what was left out.

    Raises:
        CorruptFile: at the first checkpoint that is damaged.
        Discrepancy: at the first that is missing, or says something else than the ledger.
    """
    step = schedule_of(study.config).report_every
    newer = [] if live else list(newer_trainings(folder, study))
    if unknown := [one for one in newer if one.kimg is None]:
        raise Discrepancy(unknown[0].why)
    moving = [trial for trial in study.trials if live and trial.unfinished]
    for trial in study.trials:
        if trial not in moving:
            check_training(folder.checkpoints(trial.number), f"trial {trial.number}", trial, step, counts)
            counts["trials"] += 1
    if newer:
        raise Discrepancy(newer[0].why)
    return f"{len(moving)} running trials left out" if moving else None


def check_training(checkpoints: Path, what: str, trial: TrialRecord, step: int, counts: Counter[str]) -> None:
    """Check the `checkpoints` of a training that reports every `step` kimg.

    Raises:
        CorruptFile: at the first that is damaged.
        Discrepancy: at the first that is missing, or says something else than the ledger.
    """
    from trainables.checkpoint import verify_checkpoint  # imports torch

    found: dict[int, dict[str, Any]] = {}
    for path in sorted(checkpoints.glob("kimg-*")):
        if kimg := kimg_of(path):
            verify_checkpoint(path)
            found[kimg] = _check_report(path, kimg, what, trial, step)
            counts["checkpoints"] += 1
    # Nothing reported, or what was set aside is yet to be trained again.
    if trial.kimg <= may_repeat(checkpoints.parent):
        return
    ahead = [FidEstimate.of(kimg, report) for kimg, report in found.items() if kimg > trial.kimg]
    last_two = [report.kimg for report in trial.reports[-2:]]
    if max(found, default=0) < last_two[0]:
        raise Discrepancy(
            f"{checkpoints}: {what} reported at {trial.kimg} kimg, and its newest checkpoint is "
            f"{f'of {max(found)} kimg' if found else 'gone'}"
        )
    best = trial.kimg_best
    known = best_of([*(report.estimate for report in trial.reports), *ahead])
    better = known is not None and known.kimg > trial.kimg
    # The last one may be missing, for an instant, while it is written again; the best never is.
    if best not in found and best != trial.kimg and not better:
        raise Discrepancy(f"{checkpoints}: the checkpoint of {what}'s best FID, at {best} kimg, is gone")


def _check_report(path: Path, kimg: int, what: str, trial: TrialRecord, step: int) -> dict[str, Any]:
    """Compare a checkpoint's report with the ledger's; one that is not there yet may only be the next."""
    try:
        report = json.loads((path / "report.json").read_text())
        complete = report["kimg"] == kimg and isinstance(report["fid"], float)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        complete = False
    if not complete:
        raise Discrepancy(f"{path}/report.json: is no report of {kimg} kimg")
    recorded = next((r for r in trial.reports if r.kimg == kimg), None)
    if recorded is None:
        if kimg != trial.kimg + step:
            raise Discrepancy(f"{path}: {what} never reported at {kimg} kimg, its last was {trial.kimg}")
        return dict(report)
    repeated = trial.attempts > recorded.attempt  # then it may have trained this stretch again: at another speed
    for name, value in recorded.metrics.items():
        if report.get(name) != value and not (repeated and name in _TIMINGS):
            raise Discrepancy(f"{path}/report.json: {name} is {report.get(name)!r}, in the ledger {value!r}")
    return dict(report)
