"""Refuses a ledger that is older than the files beside it, and says what resuming from it would lose."""

import threading
from collections.abc import Callable

from study.folder import StudyFolder
from study.ledger.head import read_head
from study.ledger.ledger import Ledger
from study.ledger.records import StudyRecord
from study.mlflow.database import check_database
from study.mlflow.store import open_client, resolve_uri
from study.older.newer import newer_than
from study.study_file.addresses import database_file
from study.terminal.hints import typed
from trainables.errors import GanStudyError

OPTION = "--from-older-ledger"
_SHOWN = 4
_MLFLOW_SECONDS = 10.0  # an MLflow that does not answer is no reason to wait


class OlderLedger(GanStudyError):
    """The ledger is older than the files beside it, or another one."""


def check_not_older(folder: StudyFolder, ledger: Ledger, study: StudyRecord) -> None:
    """Refuse a ledger that the mark of its last row, a training's folder or MLflow is ahead of.

    Args:
        folder: the study's.
        ledger: its ledger, that no driver writes to.
        study: what the ledger tells.

    Raises:
        OlderLedger: says what would be lost, and how to go on all the same.
    """
    newer = newer_than(folder, ledger, study)
    marked = ledger.differs(folder.head)
    signs = [*([marked] if marked else ()), *(one.why for one in newer)]
    if not signs and (beyond := _mlflow(folder, ledger, study)):
        signs.append(beyond)
    if not signs:
        return
    parts = [one.lost for one in newer[:_SHOWN]]
    parts += [f"{len(newer) - _SHOWN} more"] if len(newer) > _SHOWN else []
    raise OlderLedger(
        f"the ledger {ledger.location} is older than the study, or another one ({signs[0]}): to go on from it would "
        f"lose {', '.join(parts) or 'what came after its last row'}; put the newest copy back, or go on from this one, "
        f"with what is newer set aside: {typed('sync', folder.name, OPTION, folder=folder)}"
    )


def _mlflow(folder: StudyFolder, ledger: Ledger, study: StudyRecord) -> str | None:
    """Say that MLflow knows of later rows, if it does and answers soon."""
    uri = resolve_uri(study.config["mlflow"]["uri"], folder)
    file = database_file(uri)
    if file is not None and not file.exists():
        return None
    if file is not None and file.is_relative_to(folder.path) and read_head(folder.head):
        return None  # the mark tells as much, and MLflow takes seconds to import

    def ask() -> int:
        from study.older.runs import last_row

        check_database(uri, "")  # one that is not whole knows nothing
        return last_row(open_client(uri), study.uid)

    head, row = ledger.head(), _within(_MLFLOW_SECONDS, ask)
    return f"MLflow has its row {row}, and it ends at row {head}" if row is not None and row > head else None


def _within(seconds: float, work: Callable[[], int]) -> int | None:
    """Return what `work` returns, None if it fails or is not done in time."""
    found: list[int] = []

    def do() -> None:
        try:
            found.append(work())
        except Exception:  # of whatever MLflow is built on; its projection will say it
            return

    thread = threading.Thread(target=do, name="ganstudy-mlflow-look", daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None
