"""`ganstudy noise`: measures how far a trial's FID differs by chance, without Ray, as the study's one owner.

Each measurement is committed to the ledger when it is made, and each retraining goes on from its own checkpoints: so
a command that was killed goes on where it was, and a larger number of either extends what is there.
"""

import math
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from study.analysis.best_checkpoint import best_checkpoint, read_best_checkpoint
from study.analysis.export import threads_per_trial
from study.analysis.ranking import chosen_trial
from study.analysis.rung_facts import schedule_of
from study.catalogue import load_study, open_ledger
from study.console.say import Say
from study.console.tables import duration, number
from study.device import device_of
from study.folder import StudyFolder
from study.ledger.busy import Endless
from study.ledger.events import EVALUATION, SEED, NoiseMeasured
from study.ledger.ledger import Ledger, Writer
from study.ledger.records import StudyRecord, TrialRecord, TrialState, fold
from study.noise.noise import Noise, seed_folder
from study.older.check import check_not_older
from study.places import BY_LAUNCH, DataPaths, saying
from trainables.errors import CorruptFile, CorruptInput, Diverged, GanStudyError, InvalidInput, reason_of
from trainables.evaluation.image_counts import ImageCounts
from trainables.evaluation.prepare import Prepared, prepare
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session
from trainables.streams import derive_seed
from trainables.threads import fixed_threads
from trainables.trial import Trial

_OTHERWISE = "measure seeds only: --evaluations 0"


@dataclass(frozen=True)
class Wanted:
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

    def missing(self, trial: TrialRecord, noise: Noise) -> dict[str, range]:
        """The indices still to be measured, of each kind."""
        places = {EVALUATION: (trial.kimg_best or 0, self.evaluations), SEED: (trial.kimg, self.seeds)}
        spreads = {source: noise.spread(source, trial.number, kimg) for source, (kimg, _) in places.items()}
        first = {source: len(spread.fids) + spread.diverged + 1 for source, spread in spreads.items()}
        return {source: range(first[source], count + 1) for source, (_, count) in places.items()}


@dataclass(frozen=True)
class _Bench:
    """All that a measurement needs."""

    folder: StudyFolder
    study: StudyRecord
    trial: TrialRecord
    config: TrialConfig
    prepared: Prepared
    device: str
    say: Say


def measure(folder: StudyFolder, wanted: Wanted, device: str | None, say: Say) -> tuple[StudyRecord, TrialRecord]:
    """Measure what is missing, one ledger row each; return the study with it, and the trial.

    Args:
        folder: the study's.
        wanted: how much of what.
        device: "cpu" or "cuda"; None for what the study would use here.
        say: shows progress.

    Raises:
        InvalidInput: if there is no such trial, or the study's data has changed.
        GanStudyError: if a driver runs the study, no trial can be measured, or a checkpoint is missing or damaged.
    """
    study = load_study(folder)
    trial = _trial(study, wanted)
    if not any(wanted.missing(trial, study.noise).values()):
        return study, trial
    device = device_of("cpu" if device is None and study.config["resources"]["gpus"] == 0 else device)
    with open_ledger(folder, Endless()) as ledger:
        if owner := ledger.live_owner():
            raise GanStudyError(f"{folder.name} is being run by {owner}: wait for its end, then measure its noise")
        check_not_older(folder, ledger, study)
        with ledger.own(socket.gethostname(), os.getpid(), "noise", folder.head) as writer:
            return _measure(folder, wanted, device, say, ledger, writer)


def _measure(
    folder: StudyFolder, wanted: Wanted, device: str, say: Say, ledger: Ledger, writer: Writer
) -> tuple[StudyRecord, TrialRecord]:
    study = fold(ledger.read(), live=False)  # nobody else writes from here on
    trial = _trial(study, wanted)
    missing = wanted.missing(trial, study.noise)
    if missing[EVALUATION]:
        best_checkpoint(folder, trial, _OTHERWISE)
    config = TrialConfig.from_dict(trial.config, f"trial {trial.number}")
    with saying(BY_LAUNCH):
        prepared = prepare(*DataPaths.of(study.config).applied(config), cached=True)
    if prepared.fingerprint != study.fingerprint:
        raise InvalidInput(
            f"FID fingerprint {prepared.fingerprint}: the study began with {study.fingerprint}, so its noise cannot be "
            "measured here; bring back the data it began with"
        )
    bench = _Bench(folder, study, trial, config, prepared, device, say)
    with fixed_threads(threads_per_trial(study.config)):
        if missing[EVALUATION]:
            _evaluate(bench, missing[EVALUATION], writer)
        for index in missing[SEED]:
            writer.append(_retrain(bench, index, missing[SEED].stop - 1))
    study = fold(ledger.read(), live=False)
    return study, study.trials[trial.number]


def _trial(study: StudyRecord, wanted: Wanted) -> TrialRecord:
    trial = chosen_trial(study, wanted.trial)
    if not trial.reports:
        raise GanStudyError(f"trial {trial.number} has not reported: there is nothing to measure yet")
    if trial.state in (TrialState.DIVERGED, TrialState.FAILED):
        raise GanStudyError(f"trial {trial.number} {trial.state}: it has no rank, so choose another")
    return trial


def _evaluate(bench: _Bench, indices: range, writer: Writer) -> None:
    """Judge the checkpoint of the best FID with fresh latents, a row each."""
    trial, path = bench.trial, best_checkpoint(bench.folder, bench.trial, _OTHERWISE)
    checkpoint = read_best_checkpoint(path, trial)
    judged = Session(bench.config, bench.prepared, bench.device)
    try:
        judged.load_state_dict(checkpoint.state)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:  # torch's, of other networks
        reason = reason_of(error, most=200)
        raise CorruptInput(f"{path}: is of another configuration or version ({reason})") from error
    images = ImageCounts.of(bench.config.evaluation, bench.study.full_count_at).at(judged.kimg)
    for index in indices:
        fid, cause = _finite(lambda index=index: judged.evaluate(draw=index, images=images))  # type: ignore[misc]
        writer.append(NoiseMeasured(trial.number, judged.kimg, EVALUATION, index, fid, cause))
        bench.say(f"fresh latents {index}/{indices.stop - 1}  {_result(fid, cause)}", True)


def _retrain(bench: _Bench, index: int, last: int) -> NoiseMeasured:
    """Train the trial's configuration from a fresh seed to its budget, with its reports; or go on with that."""
    study, trial = bench.study, bench.trial
    seed = derive_seed(study.config["seed"], "noise", trial.number, index) % 2**32
    config = bench.config.model_copy(update={"seed": seed})
    every = schedule_of(study.config).report_every
    place = seed_folder(bench.folder, trial.number, index)
    running = Trial(config, bench.prepared, place, bench.device, full_count_at=study.full_count_at)
    what = f"fresh seed {index}/{last}"
    bench.say(f"{what}  begins at {running.session.kimg} of {trial.kimg} kimg", False)

    def best() -> dict[str, float]:
        report: dict[str, float] = {}
        while running.unreported or running.session.kimg < trial.kimg:
            report = running.next_report(every)
            if bad := [name for name, value in report.items() if not math.isfinite(value)]:
                raise Diverged(f"{bad[0]} is {report[bad[0]]} at {report['kimg']:g} kimg")
            bench.say(f"{what}  {_progress(report, trial.kimg * (last - index + 1))}", False)
        if report["kimg"] != trial.kimg:
            raise CorruptFile(f"{place}: stands at {report['kimg']:g} kimg, past {trial.kimg}; remove it to begin anew")
        return {"fid": report["fid_best"]}

    fid, cause = _finite(best)
    bench.say(f"{what}  {_result(fid, cause)}", True)
    return NoiseMeasured(trial.number, trial.kimg, SEED, index, fid, cause)


def _finite(measured: Callable[[], dict[str, float]]) -> tuple[float | None, str | None]:
    """The FID, or why there is none."""
    try:
        fid = measured()["fid"]
    except Diverged as error:
        return None, f"Diverged: {error}"
    return (fid, None) if math.isfinite(fid) else (None, f"fid is {fid}")


def _result(fid: float | None, cause: str | None) -> str:
    return f"FID {number(fid)}" if cause is None else cause


def _progress(report: dict[str, float], kimg: int) -> str:
    """How far a retraining is, and the time for the rest, of `kimg` with those still to come."""
    seconds = (report["train_seconds"] + report["eval_seconds"]) / report["kimg"]
    left = duration(seconds * (kimg - report["kimg"]))
    return f"{report['kimg']:4.0f} kimg  FID {number(report['fid'])}, about {left} left in all"
