"""`warm_start`: the results of earlier studies, from which a new study's sampler learns before its first trial.

What fits is copied into the new ledger when the study is opened, and never looked up again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from search_spaces.space import Space
from study.catalogue import find_study, load_study
from study.ledger.earlier import Earlier, EarlierTrial
from study.ledger.records import TrialRecord, TrialState
from study.ledger.warm_start_event import TEACHING
from study.running.sampling import told_trial
from study.study_file.config import StudyConfig
from study.study_file.schedule import Schedule
from trainables.errors import GanStudyError, InvalidInput
from trainables.evaluation.image_counts import FidEstimate, ImageCounts
from trainables.gan.config import TrialConfig


@dataclass(frozen=True)
class Offer:
    """What an earlier study has for a new one, and the fingerprint of its FIDs."""

    earlier: Earlier
    fingerprint: str


def offers(config: StudyConfig) -> tuple[Offer, ...]:
    """Read the earlier studies that a new study names.

    Raises:
        InvalidInput: naming the first that is not there, has not ended a trial, or has none that fits.
        GanStudyError: if its ledger is damaged or cannot be reached.
    """
    space = config.space.resolve()
    return tuple(_offer(name, config, space) for name in config.warm_start)


def planned(config: StudyConfig) -> tuple[Earlier, ...]:
    """Return what a study learns of earlier ones: as its ledger has it, or as a launch would write it.

    Raises:
        GanStudyError: as `offers`.
    """
    if config.folder.study_file.exists():
        return load_study(config.folder).earlier
    return tuple(offer.earlier for offer in offers(config))


def check_fingerprints(found: Sequence[Offer], fingerprint: str) -> None:
    """Refuse FIDs that do not compare with the new study's.

    Raises:
        InvalidInput: naming the first study, and both fingerprints.
    """
    for offer in found:
        if offer.fingerprint != fingerprint:
            raise InvalidInput(
                f"warm_start {offer.earlier.name}: its FIDs are of {offer.fingerprint}, this study's of {fingerprint} "
                "(other data, extractor or number of images), and do not compare; leave it out"
            )


def lessons(
    earlier: Sequence[Earlier], space: Space, schedule: Schedule, ceiling: float, counts: ImageCounts
) -> Iterator[FrozenTrial]:
    """Yield what the sampler is told of earlier studies, in the order of `warm_start` and of trial numbers."""
    for study in earlier:
        for trial in study.trials:
            yield lesson(trial, space, schedule, ceiling, counts)


def lesson(trial: EarlierTrial, space: Space, schedule: Schedule, ceiling: float, counts: ImageCounts) -> FrozenTrial:
    """Return a trial as this study's sampler would know it had it run here; FIDs of two budgets are never compared.

    Only reports at budgets where this study reports too count, if they are by as many images (`counts`). A trial that
    was judged at `max_kimg`, however far it went then, is complete with its best FID up to there. One that ended
    sooner, also because its own study's end came sooner, is pruned at its last report: samplers rank these behind all
    complete ones, and among themselves by budget first. One that diverged by `max_kimg` is told `ceiling`.

    Raises:
        InvalidInput: if it tells nothing, or Optuna does not take it.
    """
    found = [FidEstimate(k, fid, trial.images.get(k, counts.full)) for k, fid in trial.curve.items()]
    due = [one for one in found if one.kimg <= schedule.max_kimg and one.kimg % schedule.report_every == 0]
    shared = [one for one in due if one.images == counts.at(one.kimg)]
    reached = max(trial.curve, default=0)
    state = TrialState(trial.state)
    if any(one.kimg == schedule.max_kimg for one in shared):
        state = TrialState.COMPLETED
    elif state == TrialState.COMPLETED or reached >= schedule.max_kimg:
        state = TrialState.STOPPED
    if not shared and state != TrialState.DIVERGED:
        raise InvalidInput(
            f"it reported at {', '.join(map(str, trial.curve)) or 'no'} kimg, and this study reports every "
            f"{schedule.report_every} kimg up to {schedule.max_kimg}{', by other numbers of images' if due else ''}"
        )
    try:
        return told_trial(space, trial.params, shared, state, None, ceiling)
    except ValueError as error:
        raise InvalidInput(str(error)) from None


def _offer(name: str, config: StudyConfig, space: Space) -> Offer:
    try:
        study = load_study(find_study(name, config.storage.path))
    except GanStudyError as error:
        raise type(error)(f"warm_start {name}: {error}") from error
    finished = [trial for trial in study.trials if not trial.unfinished]
    if not finished:
        raise InvalidInput(
            f"warm_start {name}: no trial of it has ended yet, so there is nothing to learn; leave it out"
        )
    fitting: list[EarlierTrial] = []
    reason = ""
    for trial in finished:
        try:
            fitting.append(_fitting(trial, config, space, study.fid_ceiling))
        except InvalidInput as error:
            reason = reason or f"trial {trial.number}: {error}"
    if not fitting:
        raise InvalidInput(f"warm_start {name}: none of its {len(finished)} ended trials fits ({reason}); leave it out")
    return Offer(Earlier(name, study.uid, len(finished), tuple(fitting)), study.fingerprint)


def _fitting(trial: TrialRecord, config: StudyConfig, space: Space, ceiling: float) -> EarlierTrial:
    """Return the trial in this study's space: by what it trained, whatever its parameters were called there.

    Raises:
        InvalidInput: saying why it is of no use here.
    """
    if trial.state not in TEACHING:
        raise InvalidInput(f"it has {trial.state}, which teaches nothing")
    params = space.params_of(TrialConfig.from_dict(trial.config, f"trial {trial.number}"))
    images = {report.kimg: report.estimate.images for report in trial.reports}
    known = images if all(images.values()) else {}
    fitting = EarlierTrial(trial.number, params, str(trial.state), trial.curve, known)
    counts = ImageCounts.of(config.evaluation, [config.schedule.max_kimg])
    lesson(fitting, space, config.schedule, ceiling, counts)
    return fitting
