"""What `ganstudy train` is to do, checked before any work."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch

from study.analysis.export import Origin, read_export
from study.cores import usable_cores
from study.data_paths import AS_CONFIGURED, DataPaths
from study.device import device_of
from study.folder import StudyFolder
from study.mlflow.database import check_database_folder
from study.mlflow.store import resolve_uri
from study.production.champion_registry import registered_name
from study.production.folder import CHOOSE, ProductionFolder
from study.study_file.addresses import located_uri
from trainables.checkpoint import CheckpointStore
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.files import check_writable
from trainables.gan.config import TrialConfig
from trainables.world import check_divides

_REPORTS = 50  # about so many of a training whose schedule nobody chose


@dataclass(frozen=True)
class Order:
    """What `ganstudy train` was asked for; None as its help says. `model` is the registered model's name."""

    file: Path
    kimg: int
    out: Path | None = None
    report_kimg: int | None = None
    device: str | None = None
    seed: int | None = None
    last: bool = False
    mlflow: str | None = None
    devices: int = 1
    register: bool = False
    model: str | None = None
    force: bool = False
    paths: DataPaths = AS_CONFIGURED


@dataclass(frozen=True)
class TrainingPlan:
    """An order, checked, with what follows from it.

    Attributes:
        order: what was asked for.
        config: the trial's, with the seed that was asked for.
        origin: where it was found.
        folder: of the training.
        every: kimg between two reports.
        device: "cpu" or "cuda", or the one of this process.
        mlflow: the store's address as MLflow takes it, if there is one.
        model: the name to register the generator under, None if it is not to be.
        replaced_seed: the exported one, where another was asked for and the study has FIDs of it.
    """

    order: Order
    config: TrialConfig
    origin: Origin
    folder: ProductionFolder
    every: int
    device: str
    mlflow: str | None
    model: str | None
    replaced_seed: int | None


def make_plan(order: Order) -> TrainingPlan:
    """Check an order, leaving no trace.

    Raises:
        InvalidInput: if something in it is not valid.
    """
    exported = read_export(order.file)
    origin = exported.origin or Origin()
    config, replaced = TrialConfig.from_dict(exported.trial, f"{order.file}: trial"), None
    if order.seed is not None and order.seed != config.seed:
        replaced = config.seed if origin.fids else None
        config = TrialConfig.from_dict(config.to_dict() | {"seed": order.seed}, "--seed")
        origin = origin.model_copy(update={"fids": {}})  # of another training
    folder = ProductionFolder(order.out or _beside(order.file, order.seed))
    check_writable(folder.path, "--out", CHOOSE)
    stands = max(CheckpointStore(folder.training / "checkpoints").kimgs(), default=0)
    if stands > order.kimg:
        raise InvalidInput(f"--kimg {order.kimg}: {folder.path} is already at {stands} kimg; give that or more")
    mlflow = None
    if order.mlflow is not None:
        mlflow = resolve_uri(located_uri(order.mlflow), StudyFolder(Path(), "train"))  # no file is in that folder
        check_database_folder(mlflow)
    model = _model(order, origin, folder)
    device = device_of(order.device)
    check_divides(config.batch_size, order.devices)
    _check_devices(order.devices, device, origin.threads)
    every = order.report_kimg or _schedule(order.kimg, origin.report_kimg or 1)
    return TrainingPlan(order, config, origin, folder, every, device, mlflow, model, replaced)


def _model(order: Order, origin: Origin, folder: ProductionFolder) -> str | None:
    """The name to register the generator under, None if it is not to be."""
    if not order.register:
        if order.model is not None:
            raise InvalidInput(
                f"--as {quoted(order.model)} names what --register makes: give --register too, or leave it out"
            )
        if order.force:
            raise InvalidInput("--force is about the champion that --register makes: give that too, or leave it out")
        return None
    if order.mlflow is None:
        raise InvalidInput("--register needs a store to register in: give --mlflow ADDRESS too")
    return registered_name(order.model or origin.study or folder.path.resolve().name)


def _beside(file: Path, seed: int | None) -> Path:
    name = file.stem if file.suffix else f"{file.name}-trained"
    return file.with_name(name if seed is None else f"{name}-seed-{seed}")


def _schedule(kimg: int, study: int) -> int:
    """The study's interval between reports, or the smallest multiple of it that makes no more than `_REPORTS`."""
    return study * max(1, math.ceil(kimg / (study * _REPORTS)))


def _check_devices(devices: int, device: str, threads: int) -> None:
    """Refuse more devices than this machine has: GPUs, or cores for the threads of each process.

    One device is never refused: it is what there is.
    """
    if device == "cuda":
        most, has = torch.cuda.device_count(), f"{torch.cuda.device_count()} GPU(s)"
    else:
        cores = usable_cores()
        most, has = cores // threads, f"{cores} core(s) for {threads} thread(s) each"
    if devices > max(most, 1):
        raise InvalidInput(f"--devices {devices}: this machine has {has}; use at most {max(most, 1)}")
