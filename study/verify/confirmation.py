"""Checks a confirmation: planned by the ranking, every report there, the seeds its own, the checkpoints as judged."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from study.analysis.rung_facts import schedule_of
from study.confirmation.record import Retraining, retraining_folder
from study.confirmation.stats import candidates
from study.folder import StudyFolder
from study.ledger.events import ConfirmationPlanned, Event, RetrainingEnded, RetrainingReported
from study.ledger.outcomes import TrialState
from study.ledger.records import StudyRecord, fold
from study.ledger.rows import Row
from study.verify.check import Discrepancy
from study.verify.checkpoints import check_training
from trainables.evaluation.config import Evaluation
from trainables.evaluation.image_counts import ImageCounts


def check_confirmation(folder: StudyFolder, rows: Sequence[Row], live: bool, counts: Counter[str]) -> str | None:
    """Check every plan and every retraining; while a driver is live not the checkpoints of those unfinished.

    That rows can follow one another, and that fingerprints match, `fold` has checked: an end without its start, a
    generator that is not of the best FID, an attempt after an end other than failed, a plan with another fingerprint
    are refused there.

    Returns:
        A note on what is not on disk.

    Raises:
        CorruptFile: at the first checkpoint that is damaged.
        Discrepancy: at the first plan, retraining or checkpoint that is not as it must be.
    """
    for number, row in enumerate(rows):
        if isinstance(row.event, ConfirmationPlanned):
            _check_plan(row.event, fold(rows[:number], live=False))
            counts["plans"] += 1
        if isinstance(row.event, RetrainingReported) and row.event.kimg == row.event.budget:
            following = rows[number + 1].event if number + 1 < len(rows) else None
            if not _is_end(following, row.event):
                raise Discrepancy(f"ledger row {row.seq} ({row.event.key!r}): its end does not follow at once")
    study, bare = fold(rows, live), 0
    for retraining in study.confirmation.retrainings:
        _check_reports(study, retraining, counts)
        if not (live and retraining.unfinished):
            bare += not _check_disk(folder, study, retraining, counts)
    return f"{bare} retrainings have no checkpoints to compare with" if bare else None


def _check_plan(plan: ConfirmationPlanned, study: StudyRecord) -> None:
    expected = [ranked.trial.number for ranked in candidates(study, len(plan.trials))]
    budget = schedule_of(study.config).max_kimg
    if plan.trials != expected or plan.budget != budget:
        raise Discrepancy(
            f"{plan.key}: plans trials {plan.trials} to {plan.budget} kimg; the best were {expected}, to {budget} kimg"
        )


def _is_end(event: Event | None, report: RetrainingReported) -> bool:
    if not isinstance(event, RetrainingEnded):
        return False
    same = (event.trial, event.index, event.budget, event.attempt)
    return same == (report.trial, report.index, report.budget, report.attempt)


def _check_reports(study: StudyRecord, retraining: Retraining, counts: Counter[str]) -> None:
    what, step = _name(retraining), schedule_of(study.config).report_every
    expected = list(range(step, retraining.kimg + 1, step))
    if list(retraining.curve) != expected:
        raise Discrepancy(f"{what} reported at {list(retraining.curve)} kimg, every {step} kimg were due")
    evaluation = Evaluation.model_validate(study.config["evaluation"])
    images = ImageCounts.of(evaluation, study.full_count_at)
    for found in (report.estimate for report in retraining.reports):
        if found.images != images.told_at(found.kimg):
            raise Discrepancy(
                f"{what} was judged by {found.images} images at {found.kimg} kimg, not {images.told_at(found.kimg)}"
            )
    counts["retrainings"] += 1
    counts["reports"] += len(retraining.reports)
    if retraining.state != TrialState.COMPLETED:
        return
    if retraining.kimg != retraining.budget:
        raise Discrepancy(f"{what} completed at {retraining.kimg} kimg, short of {retraining.budget}")
    if set(retraining.test or {}) != set(evaluation.keys):
        raise Discrepancy(f"{what} was judged by {sorted(retraining.test or {})}, not by {sorted(evaluation.keys)}")


def _check_disk(folder: StudyFolder, study: StudyRecord, retraining: Retraining, counts: Counter[str]) -> bool:
    """Tell whether there was anything to compare with."""
    place = retraining_folder(folder, retraining.place) / "checkpoints"
    if not place.is_dir():
        return False
    check_training(place, _name(retraining), retraining, schedule_of(study.config).report_every, counts)
    if retraining.chosen is not None:
        _check_seed(place, study, retraining)
    return True


def _check_seed(place: Path, study: StudyRecord, retraining: Retraining) -> None:
    """The generator that was judged is one of the trial's configuration, trained with the seed of that index."""
    from study.confirmation.seed import confirmation_seed
    from trainables.checkpoint import CheckpointStore, read_checkpoint
    from trainables.gan.config import TrialConfig

    path = CheckpointStore(place).path(retraining.chosen or 0)
    seed = confirmation_seed(study.config["seed"], retraining.index)
    config = TrialConfig.from_dict(study.trials[retraining.trial].config | {"seed": seed})
    if not config.has_digest(read_checkpoint(path).state.get("config")):
        raise Discrepancy(f"{path}: is not of trial {retraining.trial}'s configuration with seed {seed}")


def _name(retraining: Retraining) -> str:
    return f"trial {retraining.trial}'s retraining {retraining.index} to {retraining.budget} kimg"
