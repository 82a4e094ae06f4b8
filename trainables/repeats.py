"""Permission for a trial to train again what it has reported, given when its newer checkpoints are set aside."""

from pathlib import Path

_FILE = "may-repeat"


def allow_repeat(folder: Path, kimg: int) -> None:
    """Let the trial in `folder` train again what it reported up to `kimg`, from the start if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(str(kimg))


def may_repeat(folder: Path) -> int:
    """Return the kimg up to which it may; 0 without permission: then missing checkpoints are an error."""
    try:
        return int((folder / _FILE).read_text())
    except (OSError, ValueError):
        return 0
