"""Which files beside the images are not read, and why: nothing is passed over in silence."""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from trainables.data.picture import SUFFIXES

_HIDDEN, _NO_SUFFIX = "hidden", "without suffix"

_IMAGE = "an image format that is not read; convert it to PNG or JPEG"
_KINDS: tuple[tuple[str, str, bool], ...] = (
    (".heic .heif .jxl .svg .exr .hdr .ai .xcf .raw .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf .dcm .nii", _IMAGE, True),
    (".avif .avifs .jp2 .j2k .jpc .jpf .jpx .j2c", _IMAGE, True),  # where Pillow lacks their decoders
    (".mp4 .mov .avi .mkv .webm .m4v .mpg .mpeg", "a film; take frames out of it", True),
    (
        ".zip .tar .gz .tgz .bz2 .xz .7z .rar .zst",
        "an archive among the files, which is not opened; unpack it, or give its own path",
        True,
    ),
    (
        ".npz .npy .parquet .arrow .tfrecord .tfrecords .h5 .hdf5 .lmdb .mdb .mat .pkl .pickle .pt .bin",
        "arrays, not image files; arrays of images go into one .npz, the source npz",
        True,
    ),
    (
        ".csv .tsv .json .jsonl .xml .txt .md .yaml .yml .html .pdf",
        "not an image; labels come from sub-folders or a dataset.json alone",
        False,
    ),
)
_WHY = {suffix: (why, wanted) for suffixes, why, wanted in _KINDS for suffix in suffixes.split()} | {
    _NO_SUFFIX: ("nothing tells whether it is an image; give an image its suffix", True),
    _HIDDEN: ("begins with a dot, or is the system's own", False),
}
_OTHER = ("not an image", False)
_SYSTEM = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


@dataclass(frozen=True)
class PassedOver:
    """Files of one kind that are not read.

    Attributes:
        suffix: in lower case, or "hidden", or "without suffix".
        count: how many.
        why: they are not read, and what to do where they are wanted.
        example: the path of the first.
        wanted: whether they are, or may hold, images that the user may miss.
    """

    suffix: str
    count: int
    why: str
    example: str
    wanted: bool

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.count:,} {self.suffix} ({self.why})"


class Census:
    """Sorts files into those that are read and the others, which it counts."""

    def __init__(self) -> None:
        """Begin without any."""
        self._found: dict[str, tuple[int, str]] = {}

    def wants(self, name: str) -> bool:
        """Tell whether the file of this relative POSIX path is read; count it if not."""
        kind = _kind(name)
        if kind in SUFFIXES:
            return True
        count, example = self._found.get(kind, (0, name))
        self._found[kind] = count + 1, min(example, name)
        return False

    def passed_over(self, used: Iterable[str] = ()) -> tuple[PassedOver, ...]:
        """Return the others, those that the user may miss first, then the most; without the files `used` after all."""
        counts = {suffix: count for suffix, (count, _) in self._found.items()}
        for name in used:
            counts[_kind(name)] -= 1
        made = [PassedOver(kind, counts[kind], *_reason(kind, example)) for kind, (_, example) in self._found.items()]
        left = (one for one in made if one.count)
        return tuple(sorted(left, key=lambda one: (not one.wanted, -one.count, one.suffix)))


def is_hidden(name: str) -> bool:
    """Whether any part of a path is hidden or the system's (macOS adds shadow files to archives)."""
    return any(part.startswith(".") or part.lower() in _SYSTEM for part in name.split("/"))


def _kind(name: str) -> str:
    return _HIDDEN if is_hidden(name) else posixpath.splitext(name)[1].lower() or _NO_SUFFIX


def _reason(suffix: str, example: str) -> tuple[str, str, bool]:
    why, wanted = _WHY.get(suffix) or ((_IMAGE, True) if suffix in Image.registered_extensions() else _OTHER)
    return why, example, wanted
