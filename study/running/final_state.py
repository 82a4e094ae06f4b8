"""What a launch leaves when it ends: the best configuration, the report, and in MLflow also the table of trials.

`sync` makes them anew.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from study.analysis.export import exported, winner
from study.analysis.results import FORMATS, trials_frame
from study.folder import StudyFolder
from study.ledger.records import StudyRecord
from study.mlflow.page import FinalStatus
from study.mlflow.projection import FinalState
from study.report.page import report
from trainables.files import write_atomically

_log = logging.getLogger(__name__)


def final_state(study: StudyRecord, folder: StudyFolder, into: Path) -> FinalState:
    """Write the study's files, and return what MLflow is to show of a study that no driver runs any more.

    Args:
        study: as the ledger tells it.
        folder: the study's, with its pictures.
        into: the folder to write to.
    """
    artifacts: dict[str, Path | str | bytes] = {"study.yaml": yaml.safe_dump(study.config, sort_keys=False)}
    if best := winner(study):
        file = into / folder.best_file.name
        with _at_best("best configuration", f"ganstudy export {folder.name}"):
            write_atomically(file, exported(study, best, file.name))
            artifacts["best.yaml"] = file
    with _at_best("report", f"ganstudy report {folder.name}"):
        write_atomically(into / folder.report_file.name, report(study, folder).encode())
        artifacts["report.html"] = into / folder.report_file.name
    with _at_best("table of trials", f"ganstudy results {folder.name}"):
        frame = trials_frame(study)
        artifacts |= {f"trials{kind}": FORMATS[kind](frame) for kind in (".csv", ".parquet")}
    return FinalState(status_of(study), artifacts)


def status_of(study: StudyRecord) -> FinalStatus:
    """How a study stands that no driver runs any more."""
    return "finished" if study.complete else "interrupted"


@contextmanager
def _at_best(what: str, again: str) -> Iterator[None]:
    """Warn of whatever goes wrong: a study never fails for want of these, its results are in the ledger."""
    try:
        yield
    except Exception as error:
        _log.warning("the %s could not be written (%s); again: %s", what, error, again)
