"""Doctor: the clock: times in the ledger and in MLflow are this machine's."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import files
from pathlib import Path

from study.doctor.base import Finding, Patient, fail, ok

_WATCHED = 0.2  # seconds
_APART = 0.05  # seconds by which the two clocks may differ meanwhile


def check_clock(_: Patient) -> Iterator[Finding]:
    """The wall clock is not before ganstudy was installed, and runs as fast as the monotonic one."""
    now = datetime.now(UTC)
    wall, monotonic = time.time(), time.monotonic()
    time.sleep(_WATCHED)
    apart = (time.time() - wall) - (time.monotonic() - monotonic)
    shown = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    made = _installed()
    if made is not None and now.timestamp() < made:
        yield fail("clock", f"{shown}, before ganstudy was installed", "set it (NTP): times in results would be wrong")
    elif abs(apart) > _APART:
        yield fail("clock", f"{shown}, jumped by {apart:+.2f} s just now", "let NTP settle; see `timedatectl`")
    else:
        yield ok("clock", shown)


def _installed() -> float | None:
    """When ganstudy was installed (unix seconds), by the time of its record."""
    for file in files("ganstudy") or ():
        if file.name in ("RECORD", "METADATA", "PKG-INFO"):
            record = Path(str(file.locate()))
            if record.exists():
                return record.stat().st_mtime
    return None
