"""`ganstudy launch`: runs a study to its end, or goes on where an earlier launch was cut off."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import yaml
from rich.console import Console

from study.board import Board
from study.checked_places import check_writable
from study.cluster import Slots, connected, plan_slots
from study.conductor import Conductor
from study.config import StudyConfig, refuse_changes
from study.events import Event, StudyChanged, StudyOpened
from study.export import export
from study.fit import check_fit
from study.ledger import Ledger, NoLedger, Row, Writer
from study.mlflow_projection import FinalStatus, Finish, MlflowProjection
from study.mlflow_store import check_database_folder, display_uri, resolve_uri
from study.mlflow_thread import ProjectionThread
from study.progress import progress
from study.ranking import rank
from study.records import StudyRecord, fold
from study.report import report
from study.tune_run import Halt, run_trials
from trainables.errors import CorruptFile, GanStudyError, InvalidInput
from trainables.files import write_atomically
from trainables.prepare import Prepared, prepare

_RECORDED_VERSIONS = ("ganstudy", "torch", "torchvision", "ray", "optuna", "mlflow", "numpy")
_MLFLOW_SECONDS_AT_END = 60.0
_log = logging.getLogger(__name__)
_MLFLOW_SECONDS_AFTER_ERROR = 10.0


@dataclass(frozen=True)
class Launched:
    """How a launch ended."""

    study: StudyRecord
    interrupted: str | None
    by_signal: bool
    mlflow_behind: str | None
    """Why MLflow lacks something (`ganstudy sync` brings it), or None."""


def launch(config: StudyConfig, address: str | None, console: Console) -> Launched:
    """Run or resume the study.

    Args:
        config: the study.
        address: of a Ray cluster, None for a local Ray.
        console: where progress is shown.

    Raises:
        InvalidInput: before any trial runs, if anything about the study is not right.
        GanStudyError: if another driver runs this study, or the ledger or Ray fails.
    """
    projection = MlflowProjection(config.mlflow.uri, config.folder, config.name)
    _check_places(config)
    _check_existing(config)
    console.print(f"preparing {config.data.name}: data, extractor, real statistics", highlight=False)
    prepared = prepare(config.data, config.evaluation, partial(check_fit, config), cached=True)
    halt = Halt()
    with connected(address, halt.lose):
        slots = plan_slots(config)
        _create(config.folder.path)
        with _ledger(config) as ledger, ledger.own(socket.gethostname(), os.getpid()) as writer:
            _open_study(ledger.read(), config, prepared, writer)
            write_atomically(config.folder.study_file, _resolved_yaml(config).encode())
            with _ledger(config) as reader:
                thread = ProjectionThread(reader.read, projection)
                try:
                    _run(config, prepared, slots, ledger, writer, thread, halt, console)
                except BaseException:
                    thread.close(_MLFLOW_SECONDS_AFTER_ERROR, Finish("failed"))
                    raise
                done = _finish(ledger, config, thread, console)
            behind = None if done else f"{display_uri(projection.uri)}: {thread.error}"
            return Launched(fold(ledger.read(), live=False), halt.reason, halt.by_signal, behind)


def _run(
    config: StudyConfig,
    prepared: Prepared,
    slots: Slots,
    ledger: Ledger,
    writer: Writer,
    thread: ProjectionThread,
    halt: Halt,
    console: Console,
) -> None:
    """Run trials until all are done or `halt` says why not."""
    rows = ledger.read()
    board = Board.resumed(config.schedule, config.trials, slots.concurrency, (row.event for row in rows))
    console.print(
        f"running {config.trials} trials, {slots.concurrency} at a time with {slots.cpus:g} CPU and "
        f"{slots.gpus:g} GPU each; FID floor {prepared.fid_floor:.2f}, ceiling {prepared.fid_ceiling:.1f}",
        highlight=False,
    )
    with progress(console, board) as shown, _interruptible(halt):

        def observe(event: Event) -> None:
            shown(event)
            thread.wake()

        conductor = Conductor(config, prepared.fid_ceiling, writer, rows, observe)
        if not conductor.exhausted:
            run_trials(conductor, prepared, config.folder, slots, halt)
        if not conductor.done:
            budget = config.time_budget_minutes
            halt.ask(f"the time budget of {budget:g} minutes is spent" if budget else "Ray Tune ended early")


def _ledger(config: StudyConfig, create: bool = True) -> Ledger:
    folder = config.folder
    return Ledger.open(config.storage.ledger or folder.ledger, schema=folder.name, create=create)


def _check_existing(config: StudyConfig) -> None:
    """Refuse at once, before data are loaded and Ray starts, what an existing study does not allow.

    Raises:
        InvalidInput: if the study has begun with other settings, or its folder is a link.
        CorruptFile: if it has begun and its ledger is damaged, empty or gone: to begin afresh would hide that.
        GanStudyError: if a live driver runs it.
    """
    folder = config.folder
    if folder.path.is_symlink():
        raise InvalidInput(f"study folder {folder.path} is a symbolic link; point storage.path at the real place")
    rows: Sequence[Row] = ()
    place = "there is none"
    try:
        with _ledger(config, create=False) as ledger:
            place = ledger.place
            if (owner := ledger.owner()) and owner.live:
                raise GanStudyError(f"study {config.name!r} is being run by {owner}: wait for it or end it")
            rows = ledger.read()
    except NoLedger:
        pass
    if rows:
        refuse_changes(_newest_config(rows), config.to_dict(), folder.path)
    elif folder.study_file.exists() or folder.trial(0).exists():
        raise CorruptFile(
            f"study {config.name!r} has begun in {folder.path}, and its ledger is empty ({place}): restore it from a "
            "copy, or choose another name"
        )


def _check_places(config: StudyConfig) -> None:
    """Refuse places that cannot be written to, before any work.

    Raises:
        InvalidInput: naming the first.
    """
    check_writable(config.folder.path, "storage", "set storage.path")
    if config.mlflow.uri is not None:  # else it lies in the study's folder
        check_database_folder(resolve_uri(config.mlflow.uri, config.folder))


def _finish(ledger: Ledger, config: StudyConfig, thread: ProjectionThread, console: Console) -> bool:
    """Export the best trial and bring MLflow up to date; tell whether that worked."""
    study = fold(ledger.read(), live=False)
    best = rank(study.trials, top=1)
    artifacts: dict[str, Path | str] = {"study.yaml": _resolved_yaml(config)}
    if best:
        export(study, best[0].trial, config.folder.best_file)
        artifacts["best.yaml"] = config.folder.best_file
    if page := _report(study, config):
        artifacts["report.html"] = page
    complete = len(study.trials) >= config.trials and not any(trial.unfinished for trial in study.trials)
    winner = (best[0].trial.number, best[0].fid_best) if best else None
    status: FinalStatus = "finished" if complete else "interrupted"
    with console.status("bringing MLflow up to date"):
        return thread.close(_MLFLOW_SECONDS_AT_END, Finish(status, artifacts, winner))


def _report(study: StudyRecord, config: StudyConfig) -> Path | None:
    """Write the report; a study never fails for want of one."""
    try:
        write_atomically(config.folder.report_file, report(study, config.folder).encode())
    except Exception as error:  # whatever it is, the results are in the ledger
        _log.warning("the report could not be written (%s); again: ganstudy report %s", error, config.name)
        return None
    return config.folder.report_file


def _create(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"storage {path}: cannot be created: {error.strerror}; set storage.path") from None
    if not os.access(path, os.W_OK):
        raise InvalidInput(f"storage {path}: not writable; set storage.path or mend its permissions")


def _newest_config(rows: Sequence[Row]) -> dict[str, object]:
    return [row.event.config for row in rows if isinstance(row.event, StudyOpened | StudyChanged)][-1]


def _open_study(rows: Sequence[Row], config: StudyConfig, prepared: Prepared, writer: Writer) -> None:
    """Write the study's first row, or what changed since.

    Raises:
        InvalidInput: if the data behind the study's FIDs is no longer the same.
    """
    if not rows:
        versions = {name: version(name) for name in _RECORDED_VERSIONS}
        bounds = prepared.fid_floor, prepared.fid_ceiling
        writer.append(StudyOpened(uuid4().hex, config.to_dict(), prepared.fingerprint, *bounds, versions))
        return
    opened = rows[0].event
    assert isinstance(opened, StudyOpened)
    if opened.fingerprint != prepared.fingerprint:
        raise InvalidInput(
            f"FID fingerprint {prepared.fingerprint}: the study began with {opened.fingerprint}, so new FIDs could not "
            "be compared with the old; bring back the data it began with, or choose another name"
        )
    if _newest_config(rows) != config.to_dict():
        revision = 1 + sum(isinstance(row.event, StudyChanged) for row in rows)
        writer.append(StudyChanged(revision, config.to_dict()))


def _resolved_yaml(config: StudyConfig) -> str:
    return yaml.safe_dump(config.to_dict(), sort_keys=False)


@contextmanager
def _interruptible(halt: Halt) -> Iterator[None]:
    """End the run cleanly on the first Ctrl-C or SIGTERM; the next one is not held back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: object) -> None:
        halt.ask(f"interrupted by {signal.Signals(number).name}", by_signal=True)
        signal.signal(number, before[signal.Signals(number)])

    in_main_thread = threading.current_thread() is threading.main_thread()
    for number in before if in_main_thread else ():
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items() if in_main_thread else ():
            signal.signal(number, handler)
