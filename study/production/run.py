"""A production training at work: from its newest checkpoint to its end, on one device or with others (`world`)."""

import time
import uuid
from contextlib import suppress

from study.production.folder import TrainingMetrics
from study.production.plan import TrainingPlan
from study.production.product import write_product
from study.production.recorder import TrainingRun
from study.production.study_fids import StudyFids
from study.terminal.say import Say
from study.views.tables import duration, number
from trainables.errors import Diverged, InvalidInput
from trainables.evaluation.prepare import Prepared
from trainables.gan.session import Session
from trainables.trial import Report, Trial
from trainables.world import SINGLE, World


def measured_so_far(plan: TrainingPlan, prepared: Prepared) -> TrainingMetrics:
    """Return what the training has measured, or the beginning of that.

    Raises:
        InvalidInput: if it began with other data.
        CorruptInput: if the file is damaged.
    """
    measured = plan.folder.read_measured()
    if measured is None:
        return TrainingMetrics(uuid.uuid4().hex, prepared.fingerprint, prepared.fid_floor, prepared.fid_ceiling)
    if measured.fid_fingerprint != prepared.fingerprint:
        raise InvalidInput(
            f"FID fingerprint {prepared.fingerprint}: {plan.folder.path} began with {measured.fid_fingerprint}; bring "
            "back the data it began with, or choose another folder with --out"
        )
    return measured


def run(plan: TrainingPlan, prepared: Prepared, say: Say, world: World = SINGLE) -> None:
    """Train to the end, write the generator and its papers; the processes besides the first are to `follow`.

    Raises:
        Diverged: if training became non-finite; what was best until then is written all the same.
    """
    with plan.folder.writing():
        measured, record = measured_so_far(plan, prepared), TrainingRun(plan, say)
        try:
            diverged = _to_the_end(plan, prepared, measured, say, record, world)
            if measured.reports:
                write_product(plan, prepared, measured, say)
            record.end(measured, diverged is not None)
        except BaseException as error:
            record.stop(measured, error)
            raise
        if diverged:
            kept = f"; the generator of {measured.generator['kimg']} kimg is kept" if measured.generator else ""
            raise Diverged(f"the training diverged: {diverged}{kept}")


def follow(plan: TrainingPlan, prepared: Prepared, world: World) -> None:
    """Train with the process that runs `run`, from its checkpoint and as far as it says."""
    session = Session(plan.config, prepared, plan.device, world)
    session.load_state_dict(world.broadcast(None))
    while kimg := world.broadcast(0):
        with suppress(Diverged):  # all diverge at once; the first tells it
            session.train(kimg)


def _to_the_end(
    plan: TrainingPlan, prepared: Prepared, measured: TrainingMetrics, say: Say, record: TrainingRun, world: World
) -> Diverged | None:
    """Train and report; return why it diverged, if it did."""
    known, end = StudyFids.of(plan, prepared), plan.order.kimg
    for difference in known.differences:
        say(difference, True)
    reported = int(measured.reports[-1]["kimg"]) if measured.reports else 0
    trial = Trial(plan.config, prepared, plan.folder.training, plan.device, reported=reported, world=world)
    world.broadcast(trial.session.state_dict())
    if trial.session.kimg:
        say(f"resumes at {trial.session.kimg} kimg", True)
    if reported == trial.session.kimg:
        trial.unreported = None  # its report was kept
    while trial.unreported or trial.session.kimg < end:
        at = trial.session.kimg
        until = min((at // plan.every + 1) * plan.every, end)
        if not trial.unreported:
            world.broadcast(until - at)
        say(f"{plan.folder.path}: training from {at} to {until} of {end} kimg on {plan.device}", False)
        try:
            report = trial.next_report(until - at)
        except Diverged as error:
            world.broadcast(0)
            return error
        measured.add(report, time.time())
        measured.generator = measured.test = None  # of a training that was thought to be at its end
        plan.folder.write_measured(measured)
        say(_line(report, known, end), True)
        record.report(measured)
    world.broadcast(0)
    return None


def _line(report: Report, known: StudyFids, kimg: int) -> str:
    at, fid = int(report["kimg"]), report["fid"]
    seconds = (report["train_seconds"] + report["eval_seconds"]) / at
    left = f", about {duration(seconds * (kimg - at))} left" if at < kimg else ""
    return (
        f"{at:5d} kimg  FID {number(fid)} (best {number(report['fid_best'])}){known.beside(at, fid)}"
        f"  {report['images_per_second']:.0f} images/s{left}"
    )
