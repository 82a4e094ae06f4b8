"""Shell completion for `ganstudy`. It runs at every Tab, so it imports nothing slow."""

import os
from collections.abc import Callable, Iterable
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
    """Return the names of the studies in the storage folder that is named already, or in the default one."""
    given = ctx.params.get("storage") or os.environ.get("GANSTUDY_STORAGE") or "runs"
    try:
        root = Path(given).expanduser()
        entries = sorted(os.listdir(root))  # noqa: PTH208 - names are all that is wanted
    except (OSError, RuntimeError):
        return []
    return [name for name in entries if name.startswith(incomplete) and _is_study(root, name)]


def generators(ctx: Any, incomplete: str) -> list[str]:
    """Return the studies, and the folders here that hold a trained generator; for other paths shells fall back."""
    try:
        here = [found.parent.name for found in Path().glob("*/generator.safetensors")]
    except OSError:
        here = []
    return sorted({*studies(ctx, incomplete), *(name for name in here if name.startswith(incomplete))})


def one_of(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes one of `names`."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


spaces, sources, splits, devices = map(one_of, (SPACES, SOURCES, SPLITS, DEVICES))


def _is_study(root: Path, name: str) -> bool:
    try:
        return StudyFolder(root, name).study_file.is_file()
    except (InvalidInput, OSError):
        return False
