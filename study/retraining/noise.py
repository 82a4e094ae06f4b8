"""`ganstudy noise`: measures how far a trial's FID differs by chance.

Fresh latents evaluate its checkpoint again, here and one after the other, each committed to the ledger when it is made.
Fresh seeds train its configuration again, as `confirm` does and with the same seeds: what the one has trained the other
does not train again. So a command that was killed goes on where it was, and a larger number extends what is there.
"""

import math
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console

from study.analysis.best_checkpoint import best_checkpoint, read_best_checkpoint
from study.analysis.export import threads_per_trial
from study.analysis.noise import noise_of
from study.analysis.ranking import chosen_trial
from study.data_paths import BY_LAUNCH, saying
from study.device import device_of
from study.folder import StudyFolder
from study.ledger.busy import Endless
from study.ledger.catalogue import open_ledger
from study.ledger.events import EVALUATION, NOISE, SEED, NoiseMeasured, RetrainingPlanned
from study.ledger.records import Fold, StudyRecord, TrialRecord, TrialState
from study.ledger.retrainings import Retrainings
from study.older.check import check_not_older
from study.retraining.run import check_fingerprint, config_of, retrain
from study.running.launch import Launched
from study.study_file.config import StudyConfig
from study.terminal.say import progress_line
from study.views.tables import number
from trainables.errors import CorruptInput, Diverged, GanStudyError, InvalidInput, reason_of
from trainables.evaluation.image_counts import ImageCounts
from trainables.evaluation.prepare import Prepared, prepare
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session
from trainables.threads import fixed_threads

_OTHERWISE = "measure seeds only: --evaluations 0"


@dataclass(frozen=True)
class NoiseRequest:
    """How many values of each kind there should be, and of which trial (None: the best)."""

    trial: int | None
    evaluations: int
    seeds: int

    def __post_init__(self) -> None:
        """Refuse numbers of which there is no standard deviation.

        Raises:
            InvalidInput: naming the option.
        """
        for option, count in (("--evaluations", self.evaluations), ("--seeds", self.seeds)):
            if count < 0 or count == 1:
                raise InvalidInput(f"{option} {count}: a standard deviation needs at least 2; 0 measures none")
        if not self.evaluations and not self.seeds:
            raise InvalidInput("--evaluations 0 --seeds 0: that measures nothing; leave one of them out")

    def chosen(self, study: StudyRecord) -> TrialRecord:
        """The trial that is meant.

        Raises:
            InvalidInput: if there is no such trial.
            GanStudyError: if it cannot be measured.
        """
        trial = chosen_trial(study, self.trial)
        if not trial.reports:
            raise GanStudyError(f"trial {trial.number} has not reported: there is nothing to measure yet")
        if trial.state in (TrialState.DIVERGED, TrialState.FAILED):
            raise GanStudyError(f"trial {trial.number} {trial.state}: it has no rank, so choose another")
        return trial

    def latents(self, study: StudyRecord) -> range:
        """The indices of fresh latents still to be measured."""
        trial = self.chosen(study)
        spread = noise_of(study).spread(EVALUATION, trial.number, trial.kimg_best or 0)
        return range(len(spread.fids) + spread.diverged + 1, self.evaluations + 1)

    def plan(self, study: StudyRecord) -> RetrainingPlanned | None:
        """What is to be retrained; None if nothing. What an older ledger measured by seeds of its own counts."""
        trial = self.chosen(study)
        measured = [(m.trial, m.kimg, m.source) for m in study.measured]
        seeds = self.seeds - measured.count((trial.number, trial.kimg, SEED))
        if seeds < 1:
            return None
        number = len(study.asked(NOISE).plans) + 1
        plan = RetrainingPlanned(NOISE, number, [trial.number], seeds, trial.kimg, study.fingerprint, "")
        return plan if Retrainings(NOISE, (plan,), study.retrainings).due else None


def measure(
    folder: StudyFolder, wanted: NoiseRequest, device: str | None, address: str | None, console: Console
) -> tuple[Launched, TrialRecord]:
    """Measure what is missing; return how it ended, with the study, and the trial.

    Args:
        folder: the study's.
        wanted: how much of what.
        device: "cpu" or "cuda"; None for what the study would use here.
        address: of a Ray cluster, None for a local Ray.
        console: where progress is shown.

    Raises:
        InvalidInput: if there is no such trial, or the study's data has changed.
        GanStudyError: if a driver runs the study, no trial can be measured, or a checkpoint is missing or damaged.
    """
    with open_ledger(folder, Endless()) as ledger:
        fold = Fold().follow(ledger.read)
        study = fold.record(live=False)
        trial, latents, plan = wanted.chosen(study), wanted.latents(study), wanted.plan(study)
        if not latents and not plan:
            return Launched(study), trial
        found = device_of("cpu" if device is None and study.config["resources"]["gpus"] == 0 else device)
        if owner := ledger.live_owner():
            raise GanStudyError(f"{folder.name} is being run by {owner}: wait for its end, then measure its noise")
        check_not_older(folder, ledger, study)
        if latents:
            best_checkpoint(folder, trial, _OTHERWISE)
        config = config_of(folder, study)
        with saying(BY_LAUNCH):
            prepared = prepare(config.data, config.evaluation, cached=True)
        check_fingerprint("FID fingerprint", study.fingerprint, prepared.fingerprint, study.config)
        if latents:
            with ledger.own(socket.gethostname(), os.getpid(), "noise", folder.head) as writer:
                study = fold.follow(ledger.read).record(live=False)  # nobody else writes from here on
                with progress_line(console) as show, fixed_threads(threads_per_trial(study.config)):
                    for measured, words in _fresh_latents(folder, study, wanted, prepared, found):
                        writer.append(measured)
                        show(words, True)
            study = fold.follow(ledger.read).record(live=False)
    if not plan:
        return Launched(study), trial
    done = retrain(on_device(config, device), fold, lambda now: wanted.plan(now) or plan, prepared, address, console)
    return done, done.study.trials[trial.number]


def on_device(config: StudyConfig, device: str | None) -> StudyConfig:
    """Return the study with its trainings on "cpu" or "cuda"; with None where the study has them."""
    if device is None:
        return config
    gpus = 0 if device == "cpu" else config.resources.gpus or 1
    return config.model_copy(update={"resources": config.resources.model_copy(update={"gpus": gpus})})


def _fresh_latents(
    folder: StudyFolder, study: StudyRecord, wanted: NoiseRequest, prepared: Prepared, device: str
) -> Iterator[tuple[NoiseMeasured, str]]:
    """Evaluate the checkpoint of the best FID with fresh latents; yield each with words on it."""
    trial, indices = wanted.chosen(study), wanted.latents(study)
    path = best_checkpoint(folder, trial, _OTHERWISE)
    checkpoint = read_best_checkpoint(path, trial)
    config = TrialConfig.from_dict(trial.config, f"trial {trial.number}")
    evaluated = Session(config, prepared, device)
    try:
        evaluated.load_state_dict(checkpoint.state)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:  # torch's, of other networks
        reason = reason_of(error, most=200)
        raise CorruptInput(f"{path}: is of another configuration or version ({reason})") from error
    images = ImageCounts.of(config.evaluation, study.full_count_at).at(evaluated.kimg)
    for index in indices:
        fid, cause = _fid(evaluated, index, images)
        words = f"FID {number(fid)}" if cause is None else cause
        measured = NoiseMeasured(trial.number, evaluated.kimg, EVALUATION, index, fid, cause)
        yield measured, f"fresh latents {index}/{indices.stop - 1}  {words}"


def _fid(evaluated: Session, draw: int, images: int) -> tuple[float | None, str | None]:
    """The FID, or why there is none."""
    try:
        fid = evaluated.evaluate(draw=draw, images=images)["fid"]
    except Diverged as error:
        return None, f"Diverged: {error}"
    return (fid, None) if math.isfinite(fid) else (None, f"fid is {fid}")
