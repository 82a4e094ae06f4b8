"""`ganstudy train`: production training from an exported configuration, to a generator that stands on its own.

It is the trial's own training (`trainables.trial`) in its own folder: with the exported seed its FIDs are the study's
as far as the study went. It ends with what `study.product` writes.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from study.export import Origin, read_export
from study.hints import shown_path, typed
from study.mlflow_store import check_database_folder
from study.noise_view import progress_line
from study.product import Choice, Finished, finish
from study.production_folder import Measured, ProductionFolder, new_uid
from study.production_mlflow import Recorder, checked_uri
from study.tables import duration, number
from trainables.checkpoint import CheckpointStore
from trainables.config import TrialConfig
from trainables.errors import Diverged, GanStudyError, InvalidInput
from trainables.faults import is_disk_full
from trainables.prepare import Prepared, prepare
from trainables.threads import fixed_threads
from trainables.trial import Report, Trial

_REPORTS = 50  # about so many of a training whose schedule nobody chose

Say = Callable[[str, bool], None]


@dataclass(frozen=True)
class Order:
    """What was asked for.

    Attributes:
        file: written by `ganstudy export`, or a bare trial configuration.
        kimg: thousands of images to train for in all.
        out: folder of the training; None: beside `file`, named after it.
        report_kimg: evaluate every so many kimg; None: as the study, or less often so that there are about 50.
        device: "cpu" or "cuda"; None: cuda where there is one.
        seed: None: the exported one, which repeats the trial and goes on from there; another gives a fresh training.
        last: keep the last generator, not that of the best FID.
        mlflow: address of an MLflow store to record the training in; None: do not.
    """

    file: Path
    kimg: int
    out: Path | None = None
    report_kimg: int | None = None
    device: str | None = None
    seed: int | None = None
    last: bool = False
    mlflow: str | None = None


@dataclass(frozen=True)
class _Plan:
    """An order, checked."""

    config: TrialConfig
    origin: Origin
    folder: ProductionFolder
    kimg: int
    every: int
    device: str
    choice: Choice
    mlflow: str | None


def train(order: Order, console: Console) -> None:
    """Train, or go on with a training; write the generator and its papers.

    Raises:
        InvalidInput: before any work, if something in the order is not valid.
        Diverged: if training became non-finite; what was best until then is written all the same.
        GanStudyError: if another process trains there, or the disk is full.
    """
    plan = _plan(order)
    trial, origin = plan.config.to_dict(), plan.origin.model_dump(exclude_unset=True)
    with plan.folder.claim(trial, origin), progress_line(console) as show, fixed_threads(plan.origin.threads):

        def say(text: str, done: bool) -> None:
            if done or console.is_terminal:  # what is being done is of no use in a log
                show(text, done)

        try:
            _train(plan, say)
        except KeyboardInterrupt:
            say("interrupted; the same command goes on from its last report", True)
            raise
        except Exception as error:
            if isinstance(error, GanStudyError) or not is_disk_full(error, plan.folder.path):
                raise
            raise GanStudyError(f"{plan.folder.path}: the disk is full; make room, the same command goes on") from error
    shown = shown_path(plan.folder.path)
    for words in (["sample", shown, "-n", "64", "--out", "grid.png"], ["evaluate", shown, "--split", "test"]):
        console.print(f"  {typed(*words)}", highlight=False, markup=False, soft_wrap=True)


def device_of(name: str | None) -> str:
    """Return the device of that name, or the best there is.

    Raises:
        InvalidInput: if there is no such device.
    """
    found = torch.cuda.is_available()
    if name is None:
        return "cuda" if found else "cpu"
    if name != "cpu" and not (name == "cuda" and found):
        raise InvalidInput(f"--device {name!r}: use cpu, or cuda where torch finds a GPU")
    return name


def _plan(order: Order) -> _Plan:
    exported = read_export(order.file)
    origin = exported.origin or Origin()
    config = TrialConfig.from_dict(exported.trial, f"{order.file}: trial")
    if order.seed is not None and order.seed != config.seed:
        config = TrialConfig.from_dict(config.to_dict() | {"seed": order.seed}, "--seed")
        origin = origin.model_copy(update={"fids": {}})  # of another training
    folder = ProductionFolder(order.out or _beside(order.file, order.seed))
    folder.check_writable()
    stands = max(CheckpointStore(folder.training / "checkpoints").kimgs(), default=0)
    if stands > order.kimg:
        raise InvalidInput(f"--kimg {order.kimg}: {folder.path} stands at {stands} kimg; give that or more")
    mlflow = None if order.mlflow is None else checked_uri(order.mlflow)
    if mlflow is not None:
        check_database_folder(mlflow)
    return _Plan(
        config=config,
        origin=origin,
        folder=folder,
        kimg=order.kimg,
        every=order.report_kimg or _schedule(order.kimg, origin.report_kimg or 1),
        device=device_of(order.device),
        choice=Choice.LAST if order.last else Choice.BEST,
        mlflow=mlflow,
    )


def _beside(file: Path, seed: int | None) -> Path:
    name = file.stem if file.suffix else f"{file.name}-trained"
    return file.with_name(name if seed is None else f"{name}-seed-{seed}")


def _schedule(kimg: int, study: int) -> int:
    """The study's interval between reports, or the smallest multiple of it that makes no more than `_REPORTS`."""
    return study * max(1, math.ceil(kimg / (study * _REPORTS)))


def _train(plan: _Plan, say: Say) -> None:
    config, folder = plan.config, plan.folder
    prepared = prepare(config.data, config.evaluation)
    measured = folder.read_measured()
    if measured is None:
        measured = Measured(new_uid(), prepared.fingerprint, prepared.fid_floor, prepared.fid_ceiling)
    if measured.fid_fingerprint != prepared.fingerprint:
        raise InvalidInput(
            f"FID fingerprint {prepared.fingerprint}: {folder.path} began with {measured.fid_fingerprint}; bring back "
            "the data it began with, or choose another folder with --out"
        )
    record = Recorder(plan.mlflow, folder, config, plan.origin, say)
    diverged = _to_the_end(plan, prepared, measured, say, record)
    if measured.reports:
        finish(Finished(folder, config, plan.origin, prepared, plan.device), measured, plan.choice, say)
    record.end(measured)
    if diverged:
        kept = f"; kept is the generator of {measured.generator['kimg']} kimg" if measured.generator else ""
        raise Diverged(f"the training diverged: {diverged}{kept}")


def _to_the_end(plan: _Plan, prepared: Prepared, measured: Measured, say: Say, record: Recorder) -> Diverged | None:
    """Train and report; return why it diverged, if it did."""
    known = _known(plan, prepared, say)
    reported = int(measured.reports[-1]["kimg"]) if measured.reports else 0
    trial = Trial(plan.config, prepared, plan.folder.training, plan.device, reported=reported)
    if trial.session.kimg:
        say(f"goes on from {trial.session.kimg} kimg", True)
    if reported == trial.session.kimg:
        trial.unreported = None  # its report was kept
    while trial.unreported or trial.session.kimg < plan.kimg:
        at = trial.session.kimg
        until = min((at // plan.every + 1) * plan.every, plan.kimg)
        say(f"{plan.folder.path}: training from {at} to {until} of {plan.kimg} kimg on {plan.device}", False)
        try:
            report = trial.next_report(until - at)
        except Diverged as error:
            return error
        measured.add(report, time.time())
        measured.generator = measured.test = None  # of a training that was thought to be at its end
        plan.folder.write_measured(measured)
        say(_line(report, known, plan.kimg), True)
        record.report(measured)
    return None


def _known(plan: _Plan, prepared: Prepared, say: Say) -> dict[int, float]:
    """The study's FIDs, where this training must repeat them."""
    if plan.origin.fid_fingerprint == prepared.fingerprint:
        return plan.origin.fids
    if plan.origin.fid_fingerprint:
        say("the FID fingerprint differs from the study's: its FIDs are not shown", True)
    return {}


def _line(report: Report, known: dict[int, float], kimg: int) -> str:
    at, fid = int(report["kimg"]), report["fid"]
    beside = ""
    if at in known:
        beside = ", the same as in the study" if known[at] == fid else f", {number(known[at])} in the study"
    seconds = (report["train_seconds"] + report["eval_seconds"]) / at
    left = f", about {duration(seconds * (kimg - at))} left" if at < kimg else ""
    return (
        f"{at:5d} kimg  FID {number(fid)} (best {number(report['fid_best'])}){beside}"
        f"  {report['images_per_second']:.0f} images/s{left}"
    )
