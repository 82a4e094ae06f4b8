"""Goes on from an older ledger: what is newer is set aside, nothing is deleted."""

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

from study.folder import StudyFolder
from study.ledger.ledger import Ledger
from study.ledger.records import StudyRecord, fold
from study.mlflow.store import display_uri, one_line, open_store, resolve_uri
from study.older.newer import Newer, kimg_of, newer_than
from study.study_file.addresses import database_file
from trainables.errors import GanStudyError
from trainables.repeats import allow_repeat


def go_on_from_older(folder: StudyFolder, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """Set aside all that is ahead of the ledger, in the study's folder and in MLflow, and mark the ledger's last row.

    It may be cut off anywhere: the mark is written at the very end, and until then the ledger is refused.

    Args:
        folder: the study's.
        ledger: its ledger.
        tell: shows what was done.

    Raises:
        GanStudyError: if a driver runs the study, or MLflow, which may be ahead as well, cannot be reached.
    """
    with ledger.own(socket.gethostname(), os.getpid(), "sync"):
        study = fold(ledger.read(), live=False)
        newer = newer_than(folder, ledger, study)
        when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        runs = _set_runs_aside(folder, ledger, study, when, always=bool(newer or ledger.differs(folder.head)))
        aside = folder.set_aside / when
        for one in newer:
            target = aside / one.path.relative_to(folder.path)
            _set_aside(one, target)
            tell(f"{one.lost}: set aside in {target}")
        if runs:
            tell(f"{runs} runs in MLflow: set aside there, under names that say so; sync makes new ones")
        if not (newer or runs):
            tell(f"nothing lies in {folder.path} or MLflow that is newer than the ledger")
        ledger.mark(folder.head)


def _set_aside(newer: Newer, target: Path) -> None:
    if newer.kimg:  # before anything goes: what the ledger has of it may be trained again
        allow_repeat(newer.path, newer.kimg)
    if newer.whole:
        _move(newer.path, target)
        if newer.kimg:
            allow_repeat(newer.path, newer.kimg)
        return
    later = [path for path in sorted(newer.path.glob("*/kimg-*")) if (kimg_of(path) or 0) > (newer.kimg or 0)]
    # The attempt is the last: by it an attempt that is cut off here is noticed again.
    for path in (*later, newer.path / "overdue.txt", newer.path / "attempt"):
        if path.exists():
            _move(path, target / path.relative_to(newer.path))


def _move(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
    except OSError as error:
        raise GanStudyError(
            f"{path} cannot be set aside in {target}: {error.strerror}; fix that, then try again"
        ) from error


def _set_runs_aside(folder: StudyFolder, ledger: Ledger, study: StudyRecord, when: str, always: bool) -> int:
    """Set MLflow's runs aside if it is ahead of the ledger, or `always`; return how many."""
    from study.older.runs import last_row, set_runs_aside

    uri = resolve_uri(study.config["mlflow"]["uri"], folder)
    file = database_file(uri)
    if file is not None and not file.exists():
        return 0
    try:
        client = open_store(uri, folder)
        if always or last_row(client, study.uid) > ledger.head():
            return set_runs_aside(client, study.uid, when)
    except Exception as error:  # of whatever MLflow is built on
        raise GanStudyError(
            f"MLflow at {display_uri(uri)}: {one_line(error)}; its runs must be set aside as well: start it, then try "
            "again"
        ) from error
    return 0
