"""Sub-folders that are the splits of a data set: train, val and test, by their usual names."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from trainables.data.images import Split
from trainables.errors import InvalidInput

_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn"), Split.TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation"), Split.VALIDATION),
    **dict.fromkeys(("test", "testing", "tst", "holdout", "heldout"), Split.TEST),
}
NAMES = "train, training, val, valid, validation, dev, test, testing"
"""The usual ones, for messages."""

_DEPTHS = (0, 1)  # `train/cat/1.png`, `cat/train/1.png`


@dataclass(frozen=True)
class SplitFolders:
    """Where each image belongs by its folder.

    Attributes:
        folders: the names of the folders of each split that there is.
        splits: of each image, None for one that lies outside.
        inner: each image's path without the folder of its split.
    """

    folders: dict[Split, list[str]]
    splits: list[Split | None]
    inner: list[str]

    def check(self, names: Sequence[str], path: object) -> None:
        """Refuse folders that cannot be taken as the splits.

        Raises:
            InvalidInput: when two folders stand for one split, or images lie outside of them.
        """
        for split, folders in self.folders.items():
            if len(folders) > 1:
                raise InvalidInput(
                    f"{path}: the sub-folders {', '.join(folders)} are all {split} images by their names; keep one of "
                    "these names, or set data.splits: shuffle to divide all images anew"
                )
        outside = [name for name, split in zip(names, self.splits, strict=True) if split is None]
        if outside:
            told = ", ".join(name for folders in self.folders.values() for name in folders)
            raise InvalidInput(
                f"{path}: {len(outside)} of {len(names)} images lie outside of the splits {told}, the first is "
                f"{outside[0]}; move them, or set data.splits: shuffle to divide all images anew"
            )


def split_of(folder: str) -> Split | None:
    """The split that a folder's name stands for, in any case, with or without `set`, `images`, a number at its end."""
    word = re.sub(r"[\W_]+|\d+$", "", folder.casefold())
    return _NAMES.get(word) or _NAMES.get(re.sub(r"(set|split|data|images|imgs)$", "", word))


def split_folders(names: Sequence[str]) -> SplitFolders | None:
    """Find the folders that are splits, at the first level or below the classes; None where there are none.

    They are splits where one is for training and at least one for something else.
    """
    return next((found for depth in _DEPTHS if (found := _at(names, depth)) is not None), None)


def _at(names: Sequence[str], depth: int) -> SplitFolders | None:
    ways = [name.split("/") for name in names]
    known = [split_of(way[depth]) if len(way) > depth + 1 else None for way in ways]
    found: dict[Split, set[str]] = defaultdict(set)
    for way, split in zip(ways, known, strict=True):
        if split is not None:
            found[split].add(way[depth])
    if Split.TRAIN not in found or len(found) < 2:
        return None
    if depth and None in known:
        return None
    inner = ["/".join(way[:depth] + way[depth + bool(split) :]) for way, split in zip(ways, known, strict=True)]
    return SplitFolders({split: sorted(found[split]) for split in Split if split in found}, known, inner)
