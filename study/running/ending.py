"""What a launch leaves when it ends: the best configuration, the report, and both in MLflow; `sync` makes them anew."""

import logging
from pathlib import Path

import yaml

from study.analysis.export import exported, winner
from study.folder import StudyFolder
from study.ledger.records import StudyRecord, TrialRecord
from study.mlflow.page import FinalStatus
from study.mlflow.projection import Finish
from study.report.page import report
from trainables.files import write_atomically

_log = logging.getLogger(__name__)


def ending(study: StudyRecord, folder: StudyFolder, place: Path) -> Finish:
    """Write the study's files, and return what MLflow is to show of a study that no driver runs any more.

    Args:
        study: as the ledger tells it.
        folder: the study's, with its pictures.
        place: the folder to write to.
    """
    artifacts: dict[str, Path | str] = {"study.yaml": yaml.safe_dump(study.config, sort_keys=False)}
    best = winner(study)
    if best and (file := _best(study, best, place / folder.best_file.name)):
        artifacts["best.yaml"] = file
    if page := _report(study, folder, place / folder.report_file.name):
        artifacts["report.html"] = page
    return Finish(status_of(study), artifacts)


def status_of(study: StudyRecord) -> FinalStatus:
    """How a study stands that no driver runs any more."""
    return "finished" if study.complete else "interrupted"


def _best(study: StudyRecord, best: TrialRecord, file: Path) -> Path | None:
    """Write the configuration of the best trial; a study never fails for want of that file either."""
    try:
        write_atomically(file, exported(study, best, file.name))
    except OSError as error:
        _log.warning("%s could not be written (%s); again: ganstudy export", file, error.strerror)
        return None
    return file


def _report(study: StudyRecord, folder: StudyFolder, file: Path) -> Path | None:
    """Write the report; a study never fails for want of one."""
    try:
        write_atomically(file, report(study, folder).encode())
    except Exception as error:  # whatever it is, the results are in the ledger
        _log.warning("the report could not be written (%s); again: ganstudy report %s", error, folder.name)
        return None
    return file
