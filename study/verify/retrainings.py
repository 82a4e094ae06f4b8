"""Checks retrainings: planned as they had to be, every report there, the seeds their own, the checkpoints as told."""

import json
from collections import Counter
from collections.abc import Sequence

from study.analysis.confirmation import candidates
from study.analysis.rung_facts import schedule_of
from study.folder import StudyFolder
from study.ledger.events import CONFIRM, NOISE, SEED, Ended, NoiseMeasured, Reported, RetrainingPlanned, TrialId
from study.ledger.older import seed_folder
from study.ledger.outcomes import TrialState
from study.ledger.records import Fold, StudyRecord, TrialRecord, fold
from study.ledger.rows import Row
from study.study_file.seeds import retraining_seed
from study.verify.check import Discrepancy
from study.verify.checkpoints import check_training
from trainables.evaluation.config import Evaluation
from trainables.evaluation.image_counts import ImageCounts


def check_retrainings(
    folder: StudyFolder, rows: Sequence[Row], group: str, live: bool, counts: Counter[str]
) -> str | None:
    """Check every plan of a group and its retrainings; while a driver is live not the checkpoints of those unfinished.

    That rows can follow one another, and that fingerprints match, `fold` has checked: an end without its start, a
    generator that is not of the best FID, an attempt after an end other than failed, a plan with another fingerprint
    are refused there.

    Returns:
        A note on what is not on disk.

    Raises:
        CorruptFile: at the first checkpoint that is damaged.
        Discrepancy: at the first plan, retraining or checkpoint that is not as it must be.
    """
    story, covered = Fold(), set[TrialId]()
    for number, row in enumerate(rows):
        event = row.event
        if isinstance(event, RetrainingPlanned) and event.group == group:
            _PLANS[group](event, story.record(live=False))
            counts["plans"] += 1
            covered.update(event.ids)
        if isinstance(event, Reported) and event.seed and event.kimg == event.budget:
            following = rows[number + 1].event if number + 1 < len(rows) else None
            if not (isinstance(following, Ended) and (following.id, following.attempt) == (event.id, event.attempt)):
                raise Discrepancy(f"ledger row {row.seq} ({event.key!r}): its end does not follow at once")
        story.take(row)
    study, bare = story.record(live), 0
    for retraining in study.retrainings:
        if retraining.id in covered:
            _check_reports(study, retraining, counts)
            if not (live and retraining.unfinished):
                bare += not _check_disk(folder, study, retraining, counts)
    return f"{bare} retrainings have no checkpoints to compare with" if bare else None


def check_noise(folder: StudyFolder, rows: Sequence[Row], live: bool, counts: Counter[str]) -> str | None:
    """Check what was measured of the noise: of fresh latents nothing is left, of fresh seeds the retrainings are.

    Returns and raises what `check_retrainings` does.
    """
    study, bare = fold(rows, live), 0
    for measured in study.measured:
        counts[f"{measured.source}s"] += 1
        if measured.source == SEED:
            bare += not _check_older(folder, measured)
    asked = study.asked(NOISE)
    if not asked.plans:
        return f"{bare} of the seeds have no checkpoint to compare with" if bare else None
    counts["seeds"] += len({id for plan in asked.plans for id in plan.ids if asked.is_answered(id)})
    return check_retrainings(folder, rows, NOISE, live, counts)


def _check_confirmation(plan: RetrainingPlanned, study: StudyRecord) -> None:
    expected = [ranked.trial.number for ranked in candidates(study, len(plan.trials))]
    budget = schedule_of(study.config).max_kimg
    if plan.trials != expected or plan.budget != budget:
        raise Discrepancy(
            f"{plan.key}: plans trials {plan.trials} to {plan.budget} kimg; the best were {expected}, to {budget} kimg"
        )


def _check_noise(plan: RetrainingPlanned, study: StudyRecord) -> None:
    for number in plan.trials:
        if plan.budget != (stood := study.trials[number].kimg):
            raise Discrepancy(f"{plan.key}: plans {plan.budget} kimg; trial {number} stood at {stood}")


_PLANS = {CONFIRM: _check_confirmation, NOISE: _check_noise}


def _check_reports(study: StudyRecord, retraining: TrialRecord, counts: Counter[str]) -> None:
    what, step = name_of(retraining), schedule_of(study.config).report_every
    expected = list(range(step, retraining.kimg + 1, step))
    if list(retraining.curve) != expected:
        raise Discrepancy(f"{what} reported at {list(retraining.curve)} kimg, every {step} kimg were due")
    evaluation = Evaluation.model_validate(study.config["evaluation"])
    images = ImageCounts.of(evaluation, study.full_count_at)
    for found in (report.estimate for report in retraining.reports):
        if found.images != images.told_at(found.kimg):
            raise Discrepancy(
                f"{what} was evaluated by {found.images} images at {found.kimg} kimg, not {images.told_at(found.kimg)}"
            )
    counts["retrainings"] += 1
    counts["reports"] += len(retraining.reports)
    if retraining.state != TrialState.COMPLETED:
        return
    if retraining.kimg != retraining.budget:
        raise Discrepancy(f"{what} completed at {retraining.kimg} kimg, short of {retraining.budget}")
    if retraining.test is None and retraining.group == CONFIRM:
        raise Discrepancy(f"{what} completed, and was not evaluated on test images")
    if retraining.test is not None and set(retraining.test) != set(evaluation.keys):
        raise Discrepancy(f"{what} was evaluated by {sorted(retraining.test)}, not by {sorted(evaluation.keys)}")


def _check_disk(folder: StudyFolder, study: StudyRecord, retraining: TrialRecord, counts: Counter[str]) -> bool:
    """Tell whether there was anything to compare with; the best generator is to be of the seed of that index."""
    checkpoints = folder.training(*retraining.id) / "checkpoints"
    if not checkpoints.is_dir():
        return False
    check_training(checkpoints, name_of(retraining), retraining, schedule_of(study.config).report_every, counts)
    if retraining.state != TrialState.COMPLETED:
        return True
    from trainables.checkpoint import CheckpointStore, read_checkpoint
    from trainables.gan.config import TrialConfig

    path = CheckpointStore(checkpoints).path(retraining.kimg_best or 0)
    seed = retraining_seed(study.config["seed"], retraining.seed)
    config = TrialConfig.from_dict(retraining.config | {"seed": seed})
    if not config.has_digest(read_checkpoint(path).state.get("config")):
        raise Discrepancy(f"{path}: is not of trial {retraining.number}'s configuration with seed {seed}")
    return True


def _check_older(folder: StudyFolder, measured: NoiseMeasured) -> bool:
    """Tell whether there was anything to compare with; its checkpoint at its budget holds the FID that was measured."""
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


def name_of(retraining: TrialRecord) -> str:
    """What a retraining is called."""
    return f"trial {retraining.number}'s retraining {retraining.seed} to {retraining.budget} kimg"
