"""Splits and classes of folders as people have them: split folders, StyleGAN archives, shards, masks, empty folders."""

import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import encoded, put_below

from trainables.data import Dataset, Folder, Split
from trainables.data.transform import split_indices
from trainables.errors import InvalidInput


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def images(names: Iterable[str]) -> dict[str, bytes]:
    """A PNG of one colour for each name, all different: its number is the value of every pixel."""
    return {name: encoded(np.full((8, 8), number, np.uint8)) for number, name in enumerate(names)}


def below(folder: str, count: int = 12) -> list[str]:
    return [f"{folder}/{i:02}.png" for i in range(count)]


def put(root: Path, names: Iterable[str], more: Mapping[str, bytes] | None = None, form: str = "folder") -> Path:
    files = images(names) | dict(more or {})
    if form == "folder":
        return put_below(root / "photos", files)
    with zipfile.ZipFile(root / "photos.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return root / "photos.zip"


def load(path: Path, **more: Any) -> Dataset:
    return Folder(path=path, size=8, mode="grey", **more).load()


def shown(dataset: Dataset, split: Split) -> list[int]:
    """The numbers of the images of a split, in order."""
    numbers: list[int] = dataset.split(split).images[:, 0, 0, 0].tolist()
    return numbers


def labels(dataset: Dataset, split: Split = Split.TRAIN) -> list[int]:
    numbers: list[int] = np.asarray(dataset.split(split).labels).tolist()
    return numbers


def doubts(dataset: Dataset) -> str:
    assert dataset.reading is not None
    return "\n".join(dataset.reading.doubts)


def refusal(path: Path, **more: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        load(path, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -------------------------------------------------------------------------------------------------- split folders


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Training", "VALID", "Testing"),
        ("training_set", "validation", "test_set"),
        ("train2017", "val2017", "test2017"),
        ("train", "dev", "test1"),
        ("top/TRAIN", "top/Validation", "top/test-images"),
    ],
)
def test_folders_of_splits_are_the_splits(tmp_path: Path, form: str, train: str, validation: str, test: str) -> None:
    names = {Split.TRAIN: below(train, 20), Split.VALIDATION: below(validation, 5), Split.TEST: below(test, 3)}
    dataset = load(put(tmp_path, [name for some in names.values() for name in some], form=form))
    numbers = iter(range(28))
    for split, some in names.items():
        assert shown(dataset, split) == [next(numbers) for _ in some]
    assert dataset.classes is None
    assert dataset.reading is not None
    assert dataset.reading.splits[Split.TEST] == f"sub-folder {test.rpartition('/')[2]}"


@pytest.mark.parametrize("way", ["{split}/{one}", "{one}/{split}", "{split}/images/{one}", "all/{split}/{one}/deep"])
def test_classes_within_splits_go_by_their_names(tmp_path: Path, way: str) -> None:
    """Whether the split or the class comes first."""
    counts = {("train", "dog"): 9, ("train", "cat"): 11, ("val", "cat"): 2, ("val", "dog"): 4, ("test", "dog"): 1}
    names = [n for (split, one), count in counts.items() for n in below(way.format(split=split, one=one), count)]
    dataset = load(put(tmp_path, names))
    assert dataset.reading is not None
    assert dataset.reading.class_names == ("cat", "dog")
    assert [dataset.class_counts(split) for split in Split] == [(11, 9), (2, 4), (0, 1)]
    assert "no test image shows cat" in doubts(dataset)


@pytest.mark.parametrize(("there", "missing"), [("test", Split.VALIDATION), ("val", Split.TEST)])
def test_a_missing_split_is_taken_out_of_train(tmp_path: Path, there: str, missing: Split) -> None:
    dataset = load(put(tmp_path, [*below("train", 40), *below(there, 5)]))
    left, taken = split_indices(40, 1)
    assert shown(dataset, Split.TRAIN) == left.tolist()
    assert shown(dataset, missing) == taken.tolist()
    assert len(taken) == 4
    assert dataset.reading is not None
    assert dataset.reading.splits[missing] == "a tenth of sub-folder train, by a fixed shuffle"
    assert dataset.reading.splits[Split.TRAIN] == f"sub-folder train, without what {missing} takes"


def test_what_only_looks_like_splits(tmp_path: Path) -> None:
    """A class of trains; train images alone; the two domains of a CycleGAN."""
    assert load(put(tmp_path / "a", [*below("bus"), *below("train"), *below("car")])).classes == 3
    alone = load(put(tmp_path / "b", below("train", 20)))
    assert (alone.classes, len(alone.train)) == (None, 16)
    domains = load(put(tmp_path / "c", [n for f in ("trainA", "trainB", "testA", "testB") for n in below(f)]))
    assert domains.classes == 4
    assert "the sub-folders testA, testB, trainA and 1 more are taken as classes; splits are called" in doubts(domains)
    kaggle = load(put(tmp_path / "k", [n for f in ("seg_train", "seg_test") for n in below(f"{f}/{f}/cats")]))
    assert "the sub-folders seg_test, seg_train are taken as classes; splits are called" in doubts(kaggle)


def test_split_folders_that_contradict_are_refused(tmp_path: Path) -> None:
    two = put(tmp_path / "a", [*below("train"), *below("val"), *below("valid")])
    assert "the sub-folders val, valid are all validation images by their names; keep one" in refusal(two)
    beside = put(tmp_path / "b", [*below("train"), *below("test"), "extra/x.png", "y.png"])
    assert "2 of 26 images lie outside of the splits train, test, the first is extra/x.png; move them" in refusal(
        beside
    )
    assert len(load(beside, splits="shuffle").train) == 26 - 2 * 3
    few = put(tmp_path / "c", [*below("train", 9), *below("test")])
    assert "9 images in train; at least 10 are needed to take validation images out of them" in refusal(few)
    flat = put(tmp_path / "d", below("a"))
    assert "data.splits is folders, but no two sub-folders are called train and val or test" in refusal(
        flat, splits="folders"
    )


def test_classes_must_be_those_of_train(tmp_path: Path) -> None:
    trained = [*below("train/cat"), *below("train/dog")]
    new = put(tmp_path / "a", [*trained, *below("test/zebra", 3), *below("test/cat")])
    assert "test has classes that train lacks: zebra (3); train has cat, dog: give both the same" in refusal(new)
    assert load(new, labels="none").classes is None
    flat = put(tmp_path / "b", [*trained, *below("test", 5)])
    said = refusal(flat)
    assert "the images of train are in sub-folders of classes (cat, dog), but 5 of test are in none" in said
    assert "data.labels: none" in said
    assert len(load(flat, labels="none").test) == 5


def test_splits_can_be_cut_anew_or_shared(tmp_path: Path) -> None:
    path = put(tmp_path, [n for split in ("train", "test") for one in "ab" for n in below(f"{split}/{one}")])
    anew = load(path, splits="shuffle")
    assert [len(anew.split(split)) for split in Split] == [38, 5, 5]
    assert anew.classes == 2
    assert anew.shared is False
    shared = load(path, splits="all")
    assert shared.shared is True
    assert [sorted(shown(shared, split)) for split in Split] == [list(range(48))] * 3
    assert shared.class_counts(Split.TEST) == (24, 24)
    assert shared.digest != anew.digest


# ------------------------------------------------------------------------------------------------- dataset.json

SHARDED = [f"{i // 10:05}/img{i:08}.png" for i in range(30)]


def stylegan(pairs: Any) -> dict[str, bytes]:
    return {"dataset.json": json.dumps({"labels": pairs}).encode()}


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("names", [SHARDED, SHARDED[:10]], ids=["shards", "one shard"])
def test_a_stylegan_archive_has_its_labels(tmp_path: Path, form: str, names: list[str]) -> None:
    of = {name: (number * 7) % 3 for number, name in enumerate(names)}
    dataset = load(put(tmp_path, names, stylegan([[name, label] for name, label in of.items()]), form))
    assert dataset.classes == 3
    for split in Split:
        assert labels(dataset, split) == [of[names[number]] for number in shown(dataset, split)]
    assert dataset.reading is not None
    assert (dataset.reading.labels, dataset.reading.passed_over) == ("dataset.json", ())


def test_a_dataset_json_of_each_split_and_one_around_all(tmp_path: Path) -> None:
    names = [*below("train", 20), *below("test", 4)]
    each = {
        f"{split}/dataset.json": json.dumps({"labels": [[f"{i:02}.png", i % 2] for i in range(count)]}).encode()
        for split, count in (("train", 20), ("test", 4))
    }
    around = stylegan([[name, int(name[-5]) % 2] for name in names])
    for number, more in enumerate((each, around)):
        dataset = load(put(tmp_path / str(number), names, more))
        assert labels(dataset, Split.TEST) == [0, 1, 0, 1]
        assert len(dataset.test) == 4


def test_labels_null_are_none_and_other_json_is_passed_over(tmp_path: Path) -> None:
    null = load(put(tmp_path / "a", SHARDED, stylegan(None)))
    assert (null.classes, doubts(null)) == (None, "")
    other = load(put(tmp_path / "b", [*below("cat"), *below("dog")], {"dataset.json": b'{"images": []}'}))
    assert other.classes == 2
    assert 'dataset.json: has no "labels"' in doubts(other)
    folders = put(tmp_path / "c", [*below("cat"), *below("dog")], stylegan([[n, 0] for n in below("cat")]))
    assert load(folders, labels="folders").classes == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "not JSON"),
        (b'{"labels": 3}', '"labels" is no list'),
        (
            b'{"labels": [["00000/img00000000.png", 1.5]]}',
            'label ["00000/img00000000.png", 1.5]; each is ["FILE", CLASS]',
        ),
        (b'{"labels": [["a.png", -1]]}', "with a class 0, 1, 2..."),
        (b'{"labels": [["a.png", true]]}', "with a class 0, 1, 2..."),
        (b'{"labels": [["a.png", 1], ["a.png", 2]]}', "a.png has the labels 1 and 2; keep one"),
        (
            stylegan([[n, 0] for n in SHARDED[:-2]])["dataset.json"],
            "no label for 2 of 30 images, the first is 00002/img00000028",
        ),
        (
            stylegan([[n, 2 * (i % 2)] for i, n in enumerate(SHARDED)])["dataset.json"],
            "of the class 1 (in all 0 images",
        ),
    ],
)
def test_labels_that_cannot_be_used_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = put(tmp_path, SHARDED, {"dataset.json": content})
    assert says in refusal(path)
    assert load(path, labels="none").classes is None


def test_labels_of_files_that_are_gone_are_named(tmp_path: Path) -> None:
    names = [*SHARDED, "00003/gone.png"]
    dataset = load(put(tmp_path, SHARDED, stylegan([[name, i % 2] for i, name in enumerate(names)])))
    assert "dataset.json names 1 files that are not among the images, the first is 00003/gone.png" in doubts(dataset)
    assert "data.labels is dataset.json, but there is none" in refusal(
        put(tmp_path / "b", SHARDED), labels="dataset.json"
    )


# --------------------------------------------------------------------------- folders that may be classes, or not


def test_numbered_shards_are_no_classes_but_numbered_classes_are(tmp_path: Path) -> None:
    shards = load(put(tmp_path / "a", SHARDED))
    assert shards.classes is None
    assert "3 numbered sub-folders (00000, 00001, 00002) are taken as parts of one set, not as classes" in doubts(
        shards
    )
    assert load(tmp_path / "a" / "photos", labels="folders").classes == 3
    assert doubts(load(tmp_path / "a" / "photos", labels="none")) == ""
    parts = load(put(tmp_path / "b", [*below("images_001"), *below("images_002")]))
    assert parts.classes is None
    digits = load(put(tmp_path / "c", [name for digit in range(3) for name in below(str(digit))]))
    assert digits.classes == 3
    assert "numbered" not in doubts(digits)
    padded = load(put(tmp_path / "d", [*below("001"), *below("002")]))
    assert padded.classes == 2
    assert "2 numbered sub-folders (001, 002) are taken as classes; set data.labels: none if they are parts" in doubts(
        padded
    )


def test_what_else_cannot_be_told_is_said(tmp_path: Path) -> None:
    mixed = load(put(tmp_path / "a", [*below("cat"), *below("dog"), "cover.png"]))
    assert mixed.classes is None
    said = "1 images lie beside the sub-folders cat, dog, which are therefore taken neither as classes nor as splits"
    assert said in doubts(mixed)
    assert "data.labels is folders, but the images are in no sub-folders of classes" in refusal(
        tmp_path / "a" / "photos", labels="folders"
    )
    masks = load(put(tmp_path / "b", [*below("images"), *below("masks")]))
    assert "the sub-folder masks is taken as a class of images like the others" in doubts(masks)
    table = load(put(tmp_path / "c", below("x", 20), {"x/metadata.csv": b"", "x/notes.txt": b""}))
    assert "labels in x/metadata.csv are not read; make a sub-folder of each class, or a dataset.json" in doubts(table)


def test_folders_without_an_image_that_is_read_are_named(tmp_path: Path) -> None:
    path = put(tmp_path, [*below("train/cat"), *below("train/dog"), *below("test/cat")], {"val/cat/x.heic": b""})
    (path / "train" / "zebra").mkdir()
    said = doubts(load(path))
    assert "no file in the sub-folder train/zebra, val is an image that is read" in said
    boxes = load(put(tmp_path / "b", [*below("images/train"), *below("images/val")], {"labels/train/00.txt": b"0 0 0"}))
    assert boxes.classes is None
    assert "no file in" not in doubts(boxes)
    assert boxes.reading is not None
    assert [(one.suffix, one.count, one.example) for one in boxes.reading.passed_over] == [
        (".txt", 1, "labels/train/00.txt")
    ]
