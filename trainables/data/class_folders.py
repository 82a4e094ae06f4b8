"""Sub-folders that are classes, and those that only look so: numbered shards, masks beside images."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from trainables.display import printable

_SHARD = re.compile(
    r"(part|shard|chunk|batch|block|images?|imgs?|photos?|subset|fold|folder|dir|vol|volume|page|tar)[ _-]?\d+", re.I
)
_LONG = 4  # digits: 00000 is more often a shard than a class
_SPLIT_LIKE = re.compile(r"(?:^|.*[\W_])(train|valid|val|test)", re.I)
_BESIDE = re.compile(r"(masks?|annotations?|labels?|gt|ground_?truth|depths?|edges?|segmentations?)", re.I)
_SHOWN = 3


@dataclass(frozen=True)
class ClassFolders:
    """What the first-level folders of images say.

    Attributes:
        names: of the classes, sorted; empty where the folders are none.
        of: each image's class, the folder's name; "" for one outside of every folder.
        told: why they are taken, or not, in words.
        doubts: what may be meant otherwise, and what to set then.
    """

    names: tuple[str, ...]
    of: Sequence[str]
    told: str
    doubts: tuple[str, ...] = ()


def class_folders(inner: Sequence[str], surely: bool) -> ClassFolders:
    """Read the classes off the first-level folders.

    Args:
        inner: the images' paths, without the folders of splits and those around everything.
        surely: the user says that they are classes.
    """
    of = [name.partition("/")[0] if "/" in name else "" for name in inner]
    folders = sorted(set(of) - {""})
    beside = of.count("")
    if len(folders) < 2 or beside:
        doubts: tuple[str, ...] = ()
        if folders and beside:
            doubts = (
                f"{beside} images lie beside the sub-folders {listed(folders)}, which are therefore taken neither as "
                "classes nor as splits; move these images into one of them, or elsewhere, or set data.labels: none",
            )
        return ClassFolders((), of, "the images are in no sub-folders of classes", doubts)
    if surely:
        return ClassFolders(tuple(folders), of, "the sub-folders")
    if all(_SHARD.fullmatch(name) for name in folders) or _numbered(folders, _LONG):
        doubt = (
            f"{len(folders)} numbered sub-folders ({listed(folders)}) are taken as parts of one set, not as classes; "
            "set data.labels: folders if they are classes, none if not"
        )
        return ClassFolders((), of, "numbered sub-folders are no classes", (doubt,))
    return ClassFolders(tuple(folders), of, "the sub-folders", tuple(_doubts(folders)))


def _doubts(folders: Sequence[str]) -> "list[str]":
    doubts = []
    if _numbered(folders, 2):
        doubts.append(
            f"{len(folders)} numbered sub-folders ({listed(folders)}) are taken as classes; set data.labels: none if "
            "they are parts of one set, folders if they are classes"
        )
    if like := [name for name in folders if _SPLIT_LIKE.match(name)]:
        doubts.append(
            f"the sub-folders {listed(like)} are taken as classes; splits are called train, val and test: rename them "
            "if they are that, or set data.labels: folders"
        )
    beside = [name for name in folders if _BESIDE.fullmatch(name)]
    if beside and len(beside) < len(folders):
        doubts.append(
            f"the sub-folder {listed(beside)} is taken as a class of images like the others; give the path of the "
            "images alone if it is something else, or set data.labels: folders"
        )
    return doubts


def _numbered(folders: Sequence[str], digits: int) -> bool:
    """Whether all names are numbers of one length, of so many digits at least, and padded with zeros."""
    same = len({len(name) for name in folders}) == 1 and all(name.isdecimal() for name in folders)
    return same and len(folders[0]) >= digits and any(name.startswith("0") for name in folders)


def listed(names: Collection[str], most: int = _SHOWN) -> str:
    """Return names in words, the first few of many."""
    shown = [printable(name) for name in list(names)[:most]]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def counted_classes(of: Sequence[str], most: int = _SHOWN) -> str:
    """Return classes with their numbers of images in words, the largest first."""
    counts = Counter(of).most_common()
    return listed([f"{name} ({count})" for name, count in counts], most)
