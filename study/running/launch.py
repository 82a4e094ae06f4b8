"""`ganstudy launch`: runs a study to its end, or goes on where an earlier launch was cut off."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import yaml
from rich.console import Console

from study.ledger.events import StudyChanged, StudyOpened
from study.ledger.ledger import NoLedger, Writer
from study.ledger.records import Fold, StudyRecord
from study.ledger.trial_resources import RESOURCES
from study.mlflow.data import DATA, data_facts
from study.mlflow.database import check_database_folder
from study.mlflow.projection import MlflowProjection
from study.mlflow.store import resolve_uri
from study.mlflow.system import check_system_metrics
from study.mlflow.thread import ProjectionThread
from study.older.check import check_not_older
from study.running.cluster import plan_slots
from study.running.driver import driving, study_ledger
from study.running.final_state import final_state
from study.running.fit import check_fit
from study.running.ray_start import RayStart
from study.running.warm_start import Offer, check_fingerprints, offers
from study.study_file.config import StudyConfig, refuse_changes
from study.study_file.data_keys import to_bring_back
from study.terminal.say import say, say_warnings
from trainables.data import Dataset
from trainables.errors import CorruptFile, GanStudyError, InvalidInput
from trainables.evaluation.cautions import cautions
from trainables.evaluation.prepare import Prepared, prepare
from trainables.files import check_file, check_writable, write_named

_RECORDED_VERSIONS = ("ganstudy", "torch", "torchvision", "ray", "optuna", "mlflow", "numpy")
_MLFLOW_SECONDS_AT_END = 60.0


@dataclass(frozen=True)
class Launched:
    """How a launch, or a command that trains again, ended."""

    study: StudyRecord
    interrupted: str | None = None
    by_signal: bool = False
    mlflow_behind: str | None = None
    """Why MLflow lacks something (`ganstudy sync` brings it), or None."""


def launch(config: StudyConfig, address: str | None, console: Console, fold: Fold) -> Launched:
    """Run or resume the study.

    Args:
        config: the study.
        address: of a Ray cluster, None for a local Ray.
        console: where progress is shown.
        fold: of the ledger, as far as it was read.

    Raises:
        InvalidInput: before any trial runs, if anything about the study is not right.
        GanStudyError: if another driver runs this study, or the ledger or Ray fails.
    """
    projection = MlflowProjection(config.mlflow.uri, config.folder, config.name)
    _check_places(config)
    begun = _check_existing(config, fold)
    earlier = () if begun else offers(config)
    console.print(f"preparing {config.data.name}: data, extractor, real statistics")

    def begin(writer: Writer) -> None:
        _open_study(fold, config, prepared, earlier, writer)
        write_named(config.folder.study_file, _resolved_yaml(config).encode())

    with RayStart(address) as start:

        def check(dataset: Dataset) -> None:
            check_fit(config, dataset)
            start.begin()  # while the rest is prepared, and looked for copies
            say_warnings(console, cautions(dataset, config.evaluation))

        prepared = prepare(config.data, config.evaluation, check, cached=True)
        check_fingerprints(earlier, prepared.fingerprint)
        for offer in earlier:
            say(console, f"warm start: {offer.earlier} fit this study")
        from study.running.trials import run  # Tune is slow to import, and Ray starts meanwhile

        with driving(config, "launch", start, projection, fold, begin) as driver:
            run(config, prepared, driver, console)
            driver.disconnect()
            study = fold.record(live=False)
            done = finish(study, config, driver.thread, console)
            return Launched(study, driver.halt.reason, driver.halt.by_signal, driver.behind(done))


def _check_existing(config: StudyConfig, fold: Fold) -> bool:
    """Refuse at once, before data are loaded and Ray starts, what an existing study does not allow.

    Returns:
        Whether the study has begun.

    Raises:
        InvalidInput: if the study has begun with other settings, or its folder is a link.
        CorruptFile: if it has begun and its ledger is damaged, empty or gone: to begin afresh would hide that.
        GanStudyError: if a live driver runs it, or its ledger is older than what lies beside it.
    """
    folder = config.folder
    if folder.path.is_symlink():
        raise InvalidInput(f"study folder {folder.path} is a symbolic link; point storage.path at the real place")
    location = "there is none"
    try:
        with study_ledger(config, create=False) as ledger:
            location = ledger.location
            if owner := ledger.live_owner():
                raise GanStudyError(f"study {config.name!r} is being run by {owner}: wait for it or end it")
            fold.follow(ledger.read)
            if fold.position:
                check_not_older(folder, ledger, fold.record(live=False))
    except NoLedger:
        pass
    if fold.position:
        refuse_changes(fold.record(live=False).config, config.to_dict(), folder.path)
    elif folder.study_file.exists() or folder.trial(0).exists():
        raise CorruptFile(
            f"study {config.name!r} has begun in {folder.path}, and its ledger is empty ({location}): restore it "
            "from a copy, or choose another name"
        )
    return bool(fold.position)


def _check_places(config: StudyConfig) -> None:
    """Refuse folders that cannot be written to, before any work.

    Raises:
        InvalidInput: naming the first.
    """
    folder = config.folder
    check_writable(folder.path, "storage", "set storage.path")
    for ours in (folder.study_file, folder.best_file, folder.report_file):  # a pipe there would hold the study up
        check_file(ours, "study's file")
    check_system_metrics(config.mlflow.system_metrics)
    if config.mlflow.uri is not None:  # else it lies in the study's folder
        check_database_folder(resolve_uri(config.mlflow.uri, config.folder))


def finish(study: StudyRecord, config: StudyConfig, thread: ProjectionThread, console: Console) -> bool:
    """Export the best trial, write the report and bring MLflow up to date; tell whether that worked."""
    end = final_state(study, config.folder, config.folder.path)
    with console.status("bringing MLflow up to date"):
        return thread.close(_MLFLOW_SECONDS_AT_END, end)


def _open_study(fold: Fold, config: StudyConfig, prepared: Prepared, earlier: Sequence[Offer], writer: Writer) -> None:
    """Write the study's first rows, what it learns of earlier studies among them, or what changed since.

    Raises:
        InvalidInput: if the data behind the study's FIDs is no longer the same.
    """
    if not fold.position:
        slots = plan_slots(config)
        versions: dict[str, Any] = {name: version(name) for name in _RECORDED_VERSIONS}
        versions |= {DATA: data_facts(prepared), RESOURCES: {"cpus": slots.cpus, "gpus": slots.gpus}}
        bounds = prepared.fid_floor, prepared.fid_ceiling
        first = StudyOpened(uuid4().hex, config.to_dict(), prepared.fingerprint, *bounds, versions)
        writer.append(first, *(offer.earlier.event for offer in earlier))
        return
    study = fold.record(live=False)
    if study.fingerprint != prepared.fingerprint:
        raise InvalidInput(
            f"FID fingerprint {prepared.fingerprint}: the study began with {study.fingerprint}, so new FIDs could not "
            f"be compared with the old; {to_bring_back(study.config)}, or choose another name"
        )
    if study.config != config.to_dict():
        writer.append(StudyChanged(study.revision + 1, config.to_dict()))


def _resolved_yaml(config: StudyConfig) -> str:
    return yaml.safe_dump(config.to_dict(), sort_keys=False)
