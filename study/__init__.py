"""Many trials: launch, resume, record, report and pick the best.

From Python: `study.load("NAME").trials_frame()`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from study.loaded import LoadedStudy

__all__ = ["load"]


def load(name: str, storage: "Path | str | None" = None) -> "LoadedStudy":
    """Read a study; see `study.loaded.load`."""
    from study import loaded  # here, as every import of a part of this package passes through this file

    return loaded.load(name, storage)
