"""The image files of a folder or an archive: their names and their bytes. Nothing is ever unpacked to disk."""

import hashlib
import os
import stat
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from trainables.data.passed_over import Census, PassedOver, is_hidden
from trainables.errors import CorruptInput, DataNotFound, GanStudyError, InvalidInput, reason_of
from trainables.paths import is_file, is_folder

LABEL_FILE = "dataset.json"
"""The labels in archives that StyleGAN's `dataset_tool.py` makes; any folder may have one."""

LARGEST_FILE = 512 * 2**20
"""Bytes of one image file; a larger one is a mistake, or an attack."""


class Collection(ABC):
    """Image files by their relative POSIX paths.

    Attributes:
        path: the folder or archive.
        names: the relative paths, sorted by code point.
        around: the folder, with its slash, that contains everything in an archive and is left out of `names`; or "".
        folders: the relative paths of all sub-folders, also of those without an image; below `around`, as `names` are.
        label_files: the relative paths of the files called `LABEL_FILE`, `around` included.
    """

    path: Path
    names: list[str]
    around: str
    folders: frozenset[str]
    label_files: list[str]
    _census: Census

    def passed_over(self, used: Iterable[str] = ()) -> tuple[PassedOver, ...]:
        """The files that are not read, without the label files that were `used`."""
        return self._census.passed_over(used)

    @abstractmethod
    def read(self, label_file: str) -> bytes:
        """The content of one of `label_files`.

        Raises:
            InvalidInput: when it cannot be read.
        """

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

    Files of other kinds (by their suffix) and hidden ones are passed over, and counted.

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
    if path.name.casefold().endswith(_ARCHIVES):
        raise CorruptInput(f"{path}: not the archive that its name says, or damaged; replace it")
    raise InvalidInput(
        f"{path}: neither a folder nor a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz archive; correct `data.path`"
    )


_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")

_DAMAGE = (OSError, EOFError, zlib.error, LZMAError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError,
           RuntimeError, ValueError)  # fmt: skip


_Level = tuple[Path, str, frozenset[tuple[int, int]]]
"""A folder, its relative path with a slash at the end, and the identities of the folders that contain it."""


class _Folder(Collection):
    def __init__(self, path: Path) -> None:
        self.path, self.around = path, ""
        self.label_files = []
        self._census = Census()
        self._stats: dict[str, os.stat_result] = {}
        seen: set[str] = set()
        folders: list[_Level] = [(path, "", frozenset())]
        while folders:  # a loop, since folders may be nested more deeply than calls may
            below = self._read(*folders.pop())
            seen |= {prefix.removesuffix("/") for _, prefix, _ in below}
            folders += below
        self.names, self.folders = sorted(self._stats), frozenset(seen)

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
        return [(Path(e.path), f"{prefix}{e.name}/", way) for e in entries if not self._note(e, prefix + e.name)]

    def _note(self, entry: "os.DirEntry[str]", name: str) -> bool:
        """Note a file; return whether it was one, or a hidden folder, and not a folder to look into."""
        try:
            if is_hidden(entry.name):
                return not self._census.wants(name)
            if entry.is_dir():
                return False
            if entry.name == LABEL_FILE:
                self.label_files.append(name)
            if not self._census.wants(name):
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

    def read(self, label_file: str) -> bytes:
        path = self.path / label_file
        try:
            _check_size(str(path), path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise InvalidInput(f"{path}: cannot be read ({error.strerror}); fix or remove it") from error

    def full_name(self, name: str) -> str:
        return str(self.path / name)


class _Archive(Collection):
    """What archives share: member names are checked, and a folder around everything is left out of `names`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._census = Census()
        folders = {self._folder_of(name) if size is None else self._add(name, size) for name, size in self._listed()}
        self.around = around = common_folder(list(self._members))
        self._members = {name.removeprefix(around): member for name, member in self._members.items()}
        self.names, self.label_files = sorted(self._members), sorted(self._labels)
        self.folders = frozenset(f.removeprefix(around) for f in folders if f.startswith(around) and f not in ("", "."))

    @abstractmethod
    def _listed(self) -> Iterator[tuple[str, int | None]]:
        """Name and size of each regular file in it, and of folders the name; InvalidInput for a link or a device."""

    def _folder_of(self, name: str) -> str:
        self._check_name(name)
        return str(PurePosixPath(_posix(name)))

    def _add(self, name: str, size: int) -> str:
        """Note a file; return its folder."""
        plain = self._folder_of(name)
        path = PurePosixPath(plain)
        hidden = is_hidden(plain)
        kept = self._labels if path.name == LABEL_FILE and not hidden else self._members
        if self._census.wants(plain) or kept is self._labels:
            _check_size(self.full_name(name), size)
            if plain in kept:
                raise InvalidInput(f"{self.full_name(name)} is in the archive twice; remove one")
            kept[plain] = name
        return "" if hidden else str(path.parent)

    def _check_name(self, name: str) -> None:
        path = PurePosixPath(_posix(name))
        if path.is_absolute() or ".." in path.parts:
            raise InvalidInput(f"{self.full_name(name)} leaves the archive's folder; remove this member")

    def stamp(self) -> str:
        return hashlib.sha256(os.fsencode(self.path.resolve()) + _times(self.path.stat())).hexdigest()


class _Zip(_Archive):
    def _listed(self) -> Iterator[tuple[str, int | None]]:
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
                yield member.filename, None if member.is_dir() else member.file_size

    def contents(self) -> Iterator[tuple[str, bytes]]:
        with zipfile.ZipFile(self.path) as archive:
            for name in self.names:
                yield name, self._content(archive, self._members[name])

    def read(self, label_file: str) -> bytes:
        with zipfile.ZipFile(self.path) as archive:
            return self._content(archive, self._labels[label_file])

    def _content(self, archive: zipfile.ZipFile, member: str) -> bytes:
        try:
            return archive.read(member)
        except _DAMAGE as error:
            raise CorruptInput(f"{self.full_name(member)}: damaged ({error}); replace the archive") from error


class _Tar(_Archive):
    def _listed(self) -> Iterator[tuple[str, int | None]]:
        with tarfile.open(self.path, tarinfo=_StrictTarInfo) as archive:
            for member in archive:
                if not (member.isreg() or member.isdir()):
                    raise InvalidInput(
                        f"{self.full_name(member.name)} is a link or a device; put the file itself into the archive"
                    )
                yield member.name, member.size if member.isreg() else None
            assert archive.fileobj is not None
            while archive.fileobj.read(2**20):  # to the end, where a compressed file keeps its checksum
                pass

    def contents(self) -> Iterator[tuple[str, bytes]]:
        yield from self._contents({member: name for name, member in self._members.items()})

    def read(self, label_file: str) -> bytes:
        return dict(self._contents({self._labels[label_file]: label_file}))[label_file]

    def _contents(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
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


def common_folder(names: Iterable[str]) -> str:
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
