"""The image files of a folder or an archive: their names and their bytes. Nothing is ever unpacked to disk."""

import hashlib
import os
import stat
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from trainables.data.picture import SUFFIXES
from trainables.errors import CorruptInput, DataNotFound, GanStudyError, InvalidInput, reason_of
from trainables.paths import is_file, is_folder

LARGEST_FILE = 512 * 2**20
"""Bytes of one image file; a larger one is a mistake, or an attack."""


class Collection(ABC):
    """Image files by their relative POSIX paths.

    Attributes:
        path: the folder or archive.
        names: the relative paths, sorted by code point.
    """

    path: Path
    names: list[str]

    @abstractmethod
    def stamp(self) -> str:
        """A digest (hex) that changes when a file is added, removed or written, as far as the system tells.

        Computed from paths, sizes and modification times, not from contents.
        """

    @abstractmethod
    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Every file's path and content, once, in the order that is fastest to read."""

    def full_name(self, name: str) -> str:
        """The file's name in messages."""
        return f"{self.path}: {name}"


def open_collection(path: Path) -> Collection:
    """The image files in a folder or in a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz archive.

    Files of other kinds (by their suffix) and hidden ones are skipped.

    Raises:
        DataNotFound: when there is nothing at `path`.
        CorruptInput: when the archive is damaged.
        InvalidInput: naming the first file that cannot be used.
    """
    if is_folder(path):
        return _Folder(path)
    if not is_file(path):
        raise DataNotFound(f"folder: there is no folder or archive {path}; correct `data.path`")
    try:
        if zipfile.is_zipfile(path):
            return _Zip(path)
        if tarfile.is_tarfile(path):
            return _Tar(path)
    except GanStudyError:
        raise
    except _DAMAGE as error:
        raise CorruptInput(f"{path}: damaged archive ({reason_of(error, most=120)}); replace it") from error
    raise InvalidInput(
        f"{path}: neither a folder nor a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz archive; correct `data.path`"
    )


_DAMAGE = (OSError, EOFError, zlib.error, LZMAError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError,
           RuntimeError, ValueError)  # fmt: skip


def _is_wanted(name: str) -> bool:
    """Whether this is the path of an image and no part of it is hidden (macOS adds shadow files to archives)."""
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and PurePosixPath(name).suffix.lower() in SUFFIXES


_Level = tuple[Path, str, frozenset[tuple[int, int]]]
"""A folder, its relative path with a slash at the end, and the identities of the folders that contain it."""


class _Folder(Collection):
    def __init__(self, path: Path) -> None:
        self.path = path
        self._stats: dict[str, os.stat_result] = {}
        folders: list[_Level] = [(path, "", frozenset())]
        while folders:  # a loop, since folders may be nested more deeply than calls may
            folders += self._read(*folders.pop())
        self.names = sorted(self._stats)

    def _read(self, folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> "list[_Level]":
        """Note the images directly in a folder; return the folders in it."""
        try:
            here = folder.stat()
            entries = list(os.scandir(folder))
        except OSError as error:
            raise InvalidInput(
                f"{folder}: cannot be read ({error.strerror}); make it readable, or remove it"
            ) from error
        if (here.st_dev, here.st_ino) in above:
            raise InvalidInput(f"{folder}: a link to a folder that contains it; remove the link")
        way = above | {(here.st_dev, here.st_ino)}
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        return [(Path(e.path), f"{prefix}{e.name}/", way) for e in shown if not self._note(e, prefix + e.name)]

    def _note(self, entry: "os.DirEntry[str]", name: str) -> bool:
        """Note a file if it is wanted; return whether it was a file and not a folder."""
        try:
            if entry.is_dir():
                return False
            if not _is_wanted(name):
                return True
            found = entry.stat()
        except OSError as error:  # a link to nothing, or to itself
            raise InvalidInput(f"{entry.path}: cannot be read ({error.strerror}); fix or remove it") from error
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(f"{entry.path}: a device or a pipe, not a file; remove it")
        _check_size(entry.path, found.st_size)
        self._stats[name] = found
        return True

    def stamp(self) -> str:
        state = hashlib.sha256(os.fsencode(self.path.resolve()))
        for name in self.names:
            state.update(b"\0" + os.fsencode(name) + _times(self._stats[name]))
        return state.hexdigest()

    def contents(self) -> Iterator[tuple[str, bytes]]:
        for name in self.names:
            try:
                yield name, (self.path / name).read_bytes()
            except OSError as error:
                raise InvalidInput(
                    f"{self.full_name(name)}: cannot be read ({error.strerror}); fix or remove it"
                ) from error

    def full_name(self, name: str) -> str:
        return str(self.path / name)


class _Archive(Collection):
    """What archives share: member names are checked, and a folder around everything is left out of `names`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, str] = {}
        for name, size in self._listed():
            self._add(name, size)
        around = _common_folder(list(self._members))
        self._members = {name.removeprefix(around): member for name, member in self._members.items()}
        self.names = sorted(self._members)

    @abstractmethod
    def _listed(self) -> Iterator[tuple[str, int]]:
        """Name and size of each regular file in it; InvalidInput for a link or a device."""

    def _add(self, name: str, size: int) -> None:
        self._check_name(name)
        plain = str(PurePosixPath(_posix(name)))
        if not _is_wanted(plain):
            return
        _check_size(self.full_name(name), size)
        if plain in self._members:
            raise InvalidInput(f"{self.full_name(name)} is in the archive twice; remove one")
        self._members[plain] = name

    def _check_name(self, name: str) -> None:
        path = PurePosixPath(_posix(name))
        if path.is_absolute() or ".." in path.parts:
            raise InvalidInput(f"{self.full_name(name)} leaves the archive's folder; remove this member")

    def stamp(self) -> str:
        return hashlib.sha256(os.fsencode(self.path.resolve()) + _times(self.path.stat())).hexdigest()


class _Zip(_Archive):
    def _listed(self) -> Iterator[tuple[str, int]]:
        with zipfile.ZipFile(self.path) as archive:
            for member in archive.infolist():
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise InvalidInput(
                        f"{self.full_name(member.filename)} is a link; put the file itself into the archive"
                    )
                if member.flag_bits & 1:
                    raise InvalidInput(
                        f"{self.full_name(member.filename)} is encrypted; make the archive without a password"
                    )
                if not member.is_dir():
                    yield member.filename, member.file_size
                else:
                    self._check_name(member.filename)

    def contents(self) -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(self.path) as archive:
            for name in self.names:
                try:
                    yield name, archive.read(self._members[name])
                except _DAMAGE as error:
                    raise CorruptInput(f"{self.full_name(name)}: damaged ({error}); replace the archive") from error


class _Tar(_Archive):
    def _listed(self) -> Iterator[tuple[str, int]]:
        with tarfile.open(self.path, tarinfo=_StrictTarInfo) as archive:
            for member in archive:
                if not (member.isreg() or member.isdir()):
                    raise InvalidInput(
                        f"{self.full_name(member.name)} is a link or a device; put the file itself into the archive"
                    )
                if member.isreg():
                    yield member.name, member.size
                else:
                    self._check_name(member.name)
            assert archive.fileobj is not None
            while archive.fileobj.read(2**20):  # to the end, where a compressed file keeps its checksum
                pass

    def contents(self) -> Iterator[tuple[str, bytes]]:
        wanted: Mapping[str, str] = {member: name for name, member in self._members.items()}
        # In the archive's order: going back in a compressed one means reading it from the start.
        with tarfile.open(self.path, tarinfo=_StrictTarInfo) as archive:
            for member in archive:
                if member.name not in wanted:
                    continue
                try:
                    file = archive.extractfile(member)
                    assert file is not None
                    content = file.read()
                except _DAMAGE as error:
                    raise CorruptInput(f"{self.full_name(member.name)}: damaged ({error}); replace it") from error
                yield wanted[member.name], content


_BROKEN: tuple[type[tarfile.HeaderError], ...] = (
    tarfile.EmptyHeaderError,  # type: ignore[attr-defined]  # typeshed lacks these three
    tarfile.TruncatedHeaderError,  # type: ignore[attr-defined]
    tarfile.InvalidHeaderError,  # type: ignore[attr-defined]
)


class _StrictTarInfo(tarfile.TarInfo):
    """Raises where tarfile would take a damaged header or a missing end mark for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_StrictTarInfo":
        try:
            return super().fromtarfile(tar)
        except _BROKEN as error:
            if tar.offset == 0:
                raise  # tarfile is still finding out how the archive is compressed
            name = os.fsdecode(tar.name or "")
            raise CorruptInput(f"{name}: truncated or damaged at byte {tar.offset} ({error}); replace it") from error


def _posix(name: str) -> str:
    return name.replace("\\", "/")  # some Windows programs write these


def _common_folder(names: list[str]) -> str:
    """The folder, with its slash, that contains all these files; "" if there is none."""
    folders = {name.rpartition("/")[0] for name in names}
    common = os.path.commonpath(folders) if folders and "" not in folders else ""
    return f"{common}/" if common else ""


def _check_size(name: str, size: int) -> None:
    if size > LARGEST_FILE:
        raise InvalidInput(
            f"{name}: {size} bytes; an image may have at most {LARGEST_FILE}: make it smaller, or remove it"
        )


def _times(found: os.stat_result) -> bytes:
    return f"\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ctime_ns}\0".encode()
