"""Doctor: the disk that studies are kept on: room, permission, and whether it really writes."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from study.doctor.base import Finding, Patient, fail, ok, size, warn
from trainables.errors import InvalidInput
from trainables.files import check_writable

_LITTLE_ROOM = 1e9  # bytes: a study of 16 small trials keeps about 0.3 GB
_SLOW = 0.2  # seconds for one fsync; a report takes one


def check_disk(patient: Patient) -> Iterator[Finding]:
    """Room, permission, fsync."""
    storage = patient.storage
    try:
        check_writable(storage, "storage", "choose another folder with --storage")
    except InvalidInput as error:
        yield fail("storage", str(error))
        return
    nearest = next(folder for folder in (storage, *storage.parents) if folder.exists())
    yield ok("storage", f"{storage}{'' if storage.exists() else ', made by the first launch'}")
    usage = shutil.disk_usage(nearest)
    value = f"{size(usage.free)} of {size(usage.total)} free"
    advice = "make room: trials keep up to 3 checkpoints each, and pictures; a full disk ends a launch"
    yield warn("disk", value, advice) if usage.free < _LITTLE_ROOM else ok("disk", value)
    yield _fsync(nearest)


def _fsync(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
            began = time.monotonic()
            os.fsync(file.fileno())
            took = time.monotonic() - began
    except OSError as error:
        return fail("fsync", str(error.strerror), "choose another disk with --storage: results could be lost")
    value = f"{1000 * took:.1f} ms"
    advice = "each report waits for it; a local disk is faster than a network's"
    return warn("fsync", value, advice) if took > _SLOW else ok("fsync", value)
