"""What the names of image files say: which split each belongs to, and which class it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from trainables.data.class_folders import class_folders, counted_classes, listed
from trainables.data.collection import LABEL_FILE, Collection, common_folder
from trainables.data.images import Split
from trainables.data.label_file import NoLabelFile, read_labels
from trainables.data.split_folders import NAMES, SplitFolders, split_folders, split_of
from trainables.data.transform import split_indices
from trainables.display import printable
from trainables.errors import InvalidInput

Labels = Literal["auto", "folders", "dataset.json", "none"]
Splits = Literal["auto", "folders", "shuffle", "all"]

FEWEST = 10
"""Images that can be divided into three splits."""

_TABLES = (".csv", ".tsv", ".json", ".jsonl")

SHARED = "every image, as in the other splits"


@dataclass(frozen=True)
class Classes:
    """The class of each image.

    Attributes:
        labels: 0..K-1, int64 N; None where there are no classes.
        names: of the classes, in the order of their numbers.
        told: where they come from, in words.
        doubts: what may be meant otherwise, and what to set then.
        used: the label files that they were read from.
    """

    labels: NDArray[np.int64] | None
    names: tuple[str, ...]
    told: str
    doubts: tuple[str, ...] = ()
    used: tuple[str, ...] = ()


_NONE = Classes(None, (), "none, as data.labels says")


@dataclass(frozen=True)
class Layout:
    """The classes and splits of a collection's images.

    Attributes:
        classes: of each image.
        splits: the indices of the images of each split, in the order in which they are used.
        origins: where each split comes from, in words.
        doubts: what may be meant otherwise, and what to set then.
    """

    classes: Classes
    splits: Mapping[Split, NDArray[np.int64]]
    origins: Mapping[Split, str]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class _Named:
    """A collection's images by what their paths say.

    Attributes:
        path: the collection's, for messages.
        collection: the files.
        names: the paths without the folder around everything, `around`.
        found: the folders that are splits; None where there are none.
        inner: the paths without the folders of splits, and without a folder around everything in them.
    """

    path: Path
    collection: Collection
    around: str
    names: Sequence[str]
    found: SplitFolders | None
    inner: Sequence[str]

    @classmethod
    def of(cls, path: Path, collection: Collection) -> Self:
        around = common_folder(collection.names)
        names = [name.removeprefix(around) for name in collection.names]
        found = split_folders(names)
        inner = names if found is None else found.inner
        within = common_folder(inner)
        return cls(path, collection, around, names, found, [name.removeprefix(within) for name in inner])


def read_layout(path: Path, collection: Collection, labels: Labels, splits: Splits) -> Layout:
    """Find the splits and classes of a collection of images.

    Args:
        path: the collection's as the user wrote it, for messages.
        collection: the files.
        labels: where classes come from.
        splits: where splits come from.

    Raises:
        InvalidInput: when the names contradict themselves or what is asked for.
        CorruptInput: when a `dataset.json` is damaged.
    """
    named = _Named.of(path, collection)
    given = named.found if splits in ("auto", "folders") else None
    if given is not None:
        given.check(named.names, path)
    elif splits == "folders":
        raise InvalidInput(
            f"{path}: data.splits is folders, but no two sub-folders are called train and val or test (usual names: "
            f"{NAMES}); rename them, or set data.splits: shuffle"
        )
    classes = _classes(named, labels, given)
    chosen, origins = _divided(named, given, shared=splits == "all")
    _check_train(path, classes, chosen)
    unread = _tables(collection) if labels == "auto" and classes.labels is None and not classes.used else []
    doubts = (*classes.doubts, *unread, *_lacking(classes, chosen), *_without_images(named, classes))
    return Layout(classes, chosen, origins, doubts)


def _classes(named: _Named, wanted: Labels, given: SplitFolders | None) -> Classes:
    others: list[str] = []
    if wanted == "none":
        return _NONE
    if wanted in ("auto", LABEL_FILE):
        found, others = _of_label_files(named, surely=wanted == LABEL_FILE)
        if found is not None:
            return found
    made = class_folders(named.inner, surely=wanted == "folders")
    if wanted == "folders" and not made.names:
        raise InvalidInput(
            f"{named.path}: data.labels is folders, but {made.told}; make one for each class, or set data.labels: none"
        )
    if given is not None:
        _check_agreement(named.path, given, made.of)
    doubts = (*others, *made.doubts)
    if not made.names:
        return Classes(None, (), f"none: {made.told}", doubts)
    numbers = {name: number for number, name in enumerate(made.names)}
    return Classes(np.asarray([numbers[one] for one in made.of], np.int64), made.names, made.told, doubts)


def _of_label_files(named: _Named, surely: bool) -> tuple[Classes | None, list[str]]:
    """The classes that the `dataset.json` files give, None where there is none to read; what to say of the others."""
    collection = named.collection
    if surely and not collection.label_files:
        raise InvalidInput(f"{named.path}: data.labels is {LABEL_FILE}, but there is none; add it, or set auto")
    labels: dict[str, int] = {}
    doubts, used = [], []
    for file in collection.label_files:
        try:
            read = read_labels(collection.read(file), f"{named.path}: {file}")
        except NoLabelFile as error:
            if surely:
                raise
            doubts.append(f"{error}, if it is meant to give the classes")
            continue
        folder = file.removesuffix(LABEL_FILE)
        labels |= {f"{folder}{name}": label for name, label in (read or {}).items()}
        used.append(file)
    if not used:
        return None, doubts
    if not labels:
        return Classes(None, (), f"none, as {listed(used)} says", tuple(doubts), tuple(used)), []
    full = [f"{collection.around}{name}" for name in collection.names]
    if without := [name for name in full if name not in labels]:
        raise InvalidInput(
            f"{named.path}: {listed(used)} has no label for {len(without)} of {len(full)} images, the first is "
            f"{printable(without[0])}; add them, or set data.labels: none"
        )
    if gone := sorted(labels.keys() - set(full)):
        doubts.append(
            f"{listed(used)} names {len(gone)} files that are not among the images, the first is {printable(gone[0])}"
        )
    array = np.asarray([labels[name] for name in full], np.int64)
    names = tuple(map(str, range(int(array.max()) + 1)))
    return Classes(array, names, listed(used), tuple(doubts), tuple(used)), []


def _check_agreement(path: Path, given: SplitFolders, of: Sequence[str]) -> None:
    """Refuse classes that the train split lacks, and splits without classes beside it."""
    by = {split: [one for one, own in zip(of, given.splits, strict=True) if own == split] for split in given.folders}
    train = set(by.pop(Split.TRAIN))
    told = given.folders[Split.TRAIN][0]
    for split, own in by.items():
        folder = given.folders[split][0]
        if len(train) > 1 and "" not in train and "" in own:
            raise InvalidInput(
                f"{path}: the images of {told} are in sub-folders of classes ({listed(sorted(train))}), but "
                f"{own.count('')} of {folder} are in none; put them into these, move {folder} elsewhere, or set "
                "data.labels: none"
            )
        if new := [one for one in own if one not in train]:
            raise InvalidInput(
                f"{path}: {folder} has classes that {told} lacks: {counted_classes(new)}; {told} has "
                f"{listed(sorted(train), 5)}: give both the same sub-folders, or set data.labels: none"
            )


def _divided(
    named: _Named, given: SplitFolders | None, shared: bool
) -> tuple[dict[Split, NDArray[np.int64]], dict[Split, str]]:
    count = len(named.names)
    if shared:
        return dict.fromkeys(Split, np.arange(count)), dict.fromkeys(Split, SHARED)
    if given is None:
        chosen = dict(zip(Split, split_indices(count, 2), strict=True))
        rest = dict.fromkeys(Split, "a tenth of the images, by a fixed shuffle")
        return chosen, rest | {Split.TRAIN: "what the others leave"}
    own = np.asarray(given.splits)
    chosen = {split: np.flatnonzero(own == split) for split in given.folders}
    origins = {split: f"sub-folder {folders[0]}" for split, folders in given.folders.items()}
    if missing := [split for split in Split if split not in chosen]:
        train, told = chosen[Split.TRAIN], given.folders[Split.TRAIN][0]
        if len(train) < FEWEST:
            raise InvalidInput(
                f"{named.path}: {len(train)} images in {told}; at least {FEWEST} are needed to take {missing[0]} "
                "images out of them: give more, or a sub-folder for these too"
            )
        for split, taken in zip([Split.TRAIN, *missing], split_indices(len(train), len(missing)), strict=True):
            chosen[split] = train[taken]
        origins |= dict.fromkeys(missing, f"a tenth of sub-folder {told}, by a fixed shuffle")
        origins[Split.TRAIN] += f", without what {missing[0]} takes"
    return chosen, origins


def _check_train(path: Path, classes: Classes, chosen: Mapping[Split, NDArray[np.int64]]) -> None:
    """Refuse a class without train images."""
    if classes.labels is None:
        return
    in_train = np.bincount(classes.labels[chosen[Split.TRAIN]], minlength=len(classes.names))
    if (in_train > 0).all():
        return
    absent = int(np.flatnonzero(in_train == 0)[0])
    count = int((classes.labels == absent).sum())
    raise InvalidInput(
        f"{path}: of the class {classes.names[absent]} (in all {count} images, {absent + 1} of {len(classes.names)} "
        "classes) none is in the train split; give it more images, or set data.labels: none"
    )


def _tables(collection: Collection) -> list[str]:
    """What to say of files that may hold labels."""
    found = [one.example for one in collection.passed_over() if one.suffix in _TABLES]
    return [
        f"labels in {printable(one)} are not read; make a sub-folder of each class, or a {LABEL_FILE}" for one in found
    ]


def _lacking(classes: Classes, chosen: Mapping[Split, NDArray[np.int64]]) -> list[str]:
    """What to say of classes without an image in a split."""
    if classes.labels is None:
        return []
    labels = classes.labels
    absent = {split: np.setdiff1d(labels, labels[chosen[split]]) for split in Split}
    named = {split: [classes.names[number] for number in some] for split, some in absent.items()}
    return [f"no {split} image shows {listed(names)}" for split, names in named.items() if names]


def _without_images(named: _Named, classes: Classes) -> list[str]:
    """What to say of folders of classes or splits of which no file is read."""
    direct = {name.rpartition("/")[0] for name in named.collection.names}
    full = direct | {str(above) for folder in direct for above in PurePosixPath(folder).parents}
    empty = named.collection.folders - full
    known = set(named.found.folders) if named.found else set()
    told = {folder for folder in empty if split_of(PurePosixPath(folder).name) not in (None, *known)}
    if classes.names and not classes.used:
        below = [folder for folder in empty if folder.startswith(named.around)]
        for folder in below:
            way = folder.removeprefix(named.around).split("/")
            own = way if named.found is None else [one for one in way if split_of(one) is None]
            told |= {folder} if len(own) == 1 and own[0] not in classes.names else set()
    return [f"no file in the sub-folder {listed(sorted(told))} is an image that is read"] if told else []
