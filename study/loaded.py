"""A study for notebooks and scripts: `study.load("NAME")`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from study.analysis import results
from study.analysis.ranking import Ranked, rank
from study.folder import StudyFolder
from study.ledger.catalogue import find_study, load_study
from study.ledger.records import StudyRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LoadedStudy:
    """All that the ledger knew of a study when it was loaded, and where its files lie."""

    folder: StudyFolder
    record: StudyRecord

    def trials_frame(self) -> "pd.DataFrame":
        """Return one row per trial; see `study.analysis.results.trials_frame` for the columns."""
        return results.trials_frame(self.record)

    def reports_frame(self) -> "pd.DataFrame":
        """Return one row per report, with all its metrics."""
        return results.reports_frame(self.record)

    def ranking(self) -> list[Ranked]:
        """Return the trials in the order of `ganstudy best`."""
        return rank(self.record.trials)


def load(name: str, storage: Path | str | None = None) -> LoadedStudy:
    """Read a study.

    Args:
        name: the study's name.
        storage: the folder of studies; default `$GANSTUDY_STORAGE`, or `runs`.

    Raises:
        GanStudyError: if there is no such study, or its ledger cannot be read.
    """
    folder = find_study(name, None if storage is None else Path(storage))
    return LoadedStudy(folder, load_study(folder))
