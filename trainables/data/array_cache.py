"""Arrays that take long to make, kept in the user's cache: `KEY.npy` with a manifest `KEY.json` of its digest."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.errors import InvalidInput
from trainables.files import write_atomically

_Fill = Callable[[NDArray[np.uint8]], None]


@dataclass(frozen=True)
class ArrayCache:
    """Arrays of bytes by key in one folder.

    An array is written to a temporary file and renamed, then its manifest is written; one without a
    matching manifest does not count. Two processes that write the same entry write the same bytes, so either may win.
    """

    folder: Path

    def get(self, key: str, shape: tuple[int, ...], fill: _Fill) -> NDArray[np.uint8]:
        """The array of this key, mapped read-only from its file; made by `fill` if missing or damaged.

        Args:
            key: names everything that the content depends on.
            shape: of the array.
            fill: writes the whole content into an array of zeros.

        Raises:
            InvalidInput: when the folder cannot be written.
        """
        file, manifest = self.folder / f"{key}.npy", self.folder / f"{key}.json"
        if not self._checks(file, manifest, shape):
            try:
                self._write(file, manifest, shape, fill)
            except OSError as error:
                raise InvalidInput(
                    f"cache {self.folder}: cannot be written ({error.strerror or error}); make room, make it "
                    "writable, or set XDG_CACHE_HOME to another folder"
                ) from error
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))

    @staticmethod
    def _checks(file: Path, manifest: Path, shape: tuple[int, ...]) -> bool:
        try:
            expected = json.loads(manifest.read_bytes())
            return bool(expected == _manifest(file, shape))
        except (OSError, ValueError, RecursionError):
            return False

    def _write(self, file: Path, manifest: Path, shape: tuple[int, ...], fill: _Fill) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        try:
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
            with temporary.open("rb+") as whole:  # running out of disk later, in mapped memory, would be a SIGBUS
                os.posix_fallocate(whole.fileno(), 0, temporary.stat().st_size)
            fill(array)
            array.flush()
            del array
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            described = _manifest(temporary, shape)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
        write_atomically(manifest, json.dumps(described).encode())


def _manifest(file: Path, shape: tuple[int, ...]) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"sha256": digest, "shape": list(shape), "dtype": "uint8"}
