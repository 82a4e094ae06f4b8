"""A launch of a study that has ended already: nothing to run, so no Ray; what else a launch does is done."""

from study.folder import StudyFolder
from study.ledger.catalogue import open_ledger
from study.ledger.records import Fold, StudyRecord
from study.mlflow.projection import MlflowProjection
from study.mlflow.thread import sync
from study.older.check import check_not_older
from study.running.final_state import final_state, status_of
from study.study_file.config import StudyConfig
from trainables.errors import GanStudyError, InvalidInput
from trainables.validation import validated


def completed_study(config: StudyConfig, fold: Fold) -> StudyRecord | None:
    """Return the study if it has come to its end with just these settings, else None; `fold` takes its ledger.

    What is wrong with its ledger is left to the launch to say.
    """
    folder = config.folder
    try:
        if folder.path.is_symlink() or not folder.study_file.is_file():
            return None
        with open_ledger(folder) as ledger:
            if ledger.live_owner():
                return None
            study = fold.follow(ledger.read).record(live=False)
            check_not_older(folder, ledger, study)
    except (GanStudyError, OSError):
        return None
    return study if _same(study, config) and status_of(study) == "finished" else None


def _same(study: StudyRecord, config: StudyConfig) -> bool:
    """Whether the study was last launched with these settings; those newer than it count as at their defaults."""
    try:
        return validated(StudyConfig, study.config, "settings").located().to_dict() == config.to_dict()
    except InvalidInput:
        return False


def resync(study: StudyRecord, folder: StudyFolder) -> str | None:
    """Write the study's files anew and bring MLflow up to date; return why that did not work, or None."""
    try:
        projection = MlflowProjection(study.config["mlflow"]["uri"], folder, folder.name)
        with open_ledger(folder) as ledger:
            sync(ledger.read, projection, final_state(study, folder, folder.path))
    except GanStudyError as error:
        return str(error)
    return None
