"""Leave for a trial to train again what it has reported already, given where its newer checkpoints were set aside."""

from pathlib import Path

_FILE = "may-repeat"


def allow_repeat(folder: Path, kimg: int) -> None:
    """Let the trial of `folder` train again what it reported up to `kimg`, if need be from the start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE).write_text(str(kimg))


def may_repeat(folder: Path) -> int:
    """Return up to which kimg it may; 0 if nobody allowed it: then checkpoints that are gone are a loss."""
    try:
        return int((folder / _FILE).read_text())
    except (OSError, ValueError):
        return 0
