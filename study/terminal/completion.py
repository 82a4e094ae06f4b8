"""What a shell completes after `ganstudy`: asked at every Tab, so it imports nothing that takes time."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from study.folder import StudyFolder
from trainables.errors import InvalidInput

# Copies of the registries' keys, whose modules take seconds to import; a test compares them.
SPACES = ("quick", "gan28", "gan32", "conditional", "lucic_wide", "lucic_narrow", "kurach")
SOURCES = ("fashion_mnist", "mnist", "cifar10", "digits", "folder", "npz")
SPLITS = ("validation", "test")
DEVICES = ("cpu", "cuda")


def studies(ctx: Any, incomplete: str) -> list[str]:
    """Names of the studies in the storage folder that is named already, or in the default one."""
    given = ctx.params.get("storage") or os.environ.get("GANSTUDY_STORAGE") or "runs"
    try:
        entries = sorted(os.listdir(Path(given).expanduser()))  # noqa: PTH208 - names are all that is wanted
    except (OSError, RuntimeError):
        return []
    return [name for name in _beginning(entries, incomplete) if _is_study(Path(given).expanduser(), name)]


def spaces(incomplete: str) -> list[str]:
    """Names of the search spaces."""
    return list(_beginning(SPACES, incomplete))


def sources(incomplete: str) -> list[str]:
    """Names of the data sources."""
    return list(_beginning(SOURCES, incomplete))


def splits(incomplete: str) -> list[str]:
    """Splits that a generator may be evaluated on."""
    return list(_beginning(SPLITS, incomplete))


def devices(incomplete: str) -> list[str]:
    """Where torch can compute."""
    return list(_beginning(DEVICES, incomplete))


def _beginning(names: Iterable[str], incomplete: str) -> Iterable[str]:
    return (name for name in names if name.startswith(incomplete))


def _is_study(root: Path, name: str) -> bool:
    try:
        return StudyFolder(root, name).study_file.is_file()
    except (InvalidInput, OSError):
        return False
