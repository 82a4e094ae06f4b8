"""Finds studies on disk and opens their ledgers."""

import os
from contextlib import suppress
from pathlib import Path

from study.folder import STORAGE_VARIABLE, StudyFolder, storage_root
from study.ledger.busy import Wait, for_a_while
from study.ledger.ledger import Ledger
from study.ledger.records import StudyRecord, fold
from study.yaml_file import read_yaml
from trainables.errors import CorruptFile, InvalidInput
from trainables.nearest import did_you_mean


def find_study(name: str, root: Path | None = None) -> StudyFolder:
    """Return the folder of the study `name`.

    Raises:
        InvalidInput: if the name is not valid, or there is no such study.
    """
    folder = StudyFolder(storage_root(root), name)
    known: list[str] = []
    if not os.path.isfile(folder.study_file):  # noqa: PTH113 - Path's own raises for a name that is too long
        with suppress(OSError):  # of a path that no system has
            known = study_names(folder.root)
        meant = f"; {did_you_mean(name, known)}".rstrip(" ")
        raise InvalidInput(
            f"no study {name!r} in {folder.root}{meant} `ganstudy list` shows those there are, "
            f"--storage or ${STORAGE_VARIABLE} names another folder"
        )
    return folder


def open_ledger(folder: StudyFolder, wait: Wait = for_a_while) -> Ledger:
    """Open the ledger of an existing study: at the URL in its resolved study file, else the file in its folder.

    Args:
        folder: the study's.
        wait: asked while another process holds the ledger.

    Raises:
        CorruptFile: if the study file is damaged.
        GanStudyError: if the ledger is missing, damaged or cannot be reached.
    """
    try:
        url = read_yaml(folder.study_file)["storage"]["ledger"]
    except (InvalidInput, KeyError, TypeError) as error:
        reason = error if isinstance(error, InvalidInput) else f"{folder.study_file}: lacks storage.ledger"
        raise CorruptFile(f"{reason}; it is damaged: launch the study again, which rewrites it") from None
    return Ledger.open(url or folder.ledger, schema=folder.name, create=False, wait=wait)


def load_study(folder: StudyFolder) -> StudyRecord:
    """Return all that the ledger knows of a study.

    Raises:
        GanStudyError: if the ledger cannot be read, or holds nothing yet.
    """
    with open_ledger(folder) as ledger:
        live = ledger.live_owner() is not None
        rows = ledger.read()
    if not rows:
        raise InvalidInput(f"study {folder.name!r} has not begun: its ledger is empty; launch it again")
    return fold(rows, live)


def study_names(root: Path) -> list[str]:
    """Return the names of the studies under `root`."""
    return sorted(file.parent.name for file in root.glob("*/study.yaml"))
