"""Data that can be studied, but of which an FID means little: copies, too few images, files that are not read."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trainables.data import Dataset, Digits, Folder, LabelledImages, Npz
from trainables.errors import InvalidInput
from trainables.evaluation.cautions import cautions
from trainables.evaluation.config import Evaluation
from trainables.evaluation.prepare import check, fid_described, prepare
from trainables.evaluation.real_counts import too_few

EVALUATION = Evaluation(count=200, metrics=())


def noise(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)


def dataset(train: NDArray[np.uint8], validation: NDArray[np.uint8], test: NDArray[np.uint8]) -> Dataset:
    return Dataset("npz", *(LabelledImages(part) for part in (train, validation, test)), shared=False)


def said(data: Dataset) -> str:
    return "\n".join(cautions(data, EVALUATION))


def test_images_that_differ_and_are_many_need_no_caution() -> None:
    assert said(dataset(noise(600), noise(256, 1), noise(70, 2))) == ""


def test_equal_images_and_copies_are_told() -> None:
    equal = np.repeat(noise(1), 300, 0)
    assert said(dataset(equal, equal, equal)).splitlines() == [
        "all 300 train images are equal; a GAN can learn nothing from them: check the files"
    ]
    copied = np.concatenate([noise(280), noise(20)])
    assert "20 of 300 train images are copies of others: each counts more than once" in said(
        dataset(copied, noise(256, 1), noise(70, 2))
    )
    few = np.concatenate([noise(290), noise(10)])  # 3 %
    assert said(dataset(few, noise(256, 1), noise(70, 2))) == ""
    leaked = np.concatenate([noise(240, 1), noise(20)])
    assert "20 of 260 validation images are among the train images too" in said(
        dataset(noise(300), leaked, noise(70, 2))
    )


def test_few_images_for_many_features_are_told() -> None:
    assert said(dataset(noise(576), noise(72, 1), noise(72, 2))) == (
        "72 validation images against 64 features: an FID of so few is mostly bias; 256 or more do better; "
        "data.splits: all measures against all 720, the images that the GAN trains on"
    )
    digits = cautions(Digits().load(), EVALUATION)
    assert digits == [
        "180 validation images against 64 features: an FID of so few is mostly bias; 256 or more do better"
    ]


def test_too_few_for_an_fid_says_how_many_there_are_and_what_works(tmp_path: Path) -> None:
    small = dataset(noise(480), noise(60, 1), noise(60, 2))
    problem = too_few(small, EVALUATION, 64)
    assert problem == (
        "npz: 60 validation images: must be more than the extractor's 64 features; give more images (at least 65 "
        "validation images, about 650 in all; now 480 train, 60 validation, 60 test), or set data.splits: all, which "
        "measures against all 600, the images that the GAN trains on"
    )
    tiny = too_few(dataset(noise(65), noise(32, 1), noise(32, 2)), EVALUATION, 64)
    assert tiny is not None
    assert "with data.splits: all, 130 are enough" in tiny
    labels = np.arange(130) % 2
    for count, enough in ((129, False), (130, True)):
        np.savez(tmp_path / "few.npz", images=noise(count)[:, 0], labels=labels[:count])
        shared = Npz(path=tmp_path / "few.npz", splits="all").load()
        if enough:
            check(shared, EVALUATION)
            continue
        with pytest.raises(InvalidInput, match=r"64 images in each half: .*give more images \(now 129, at least 130\)"):
            check(shared, EVALUATION)


def test_an_fid_against_train_images_says_so_and_has_a_fingerprint_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The floor compares two halves: image against itself it would be 0."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images = Digits().load().train
    np.savez(tmp_path / "digits.npz", images=images.images[:900, 0], labels=np.asarray(images.labels)[:900])
    apart, shared = (
        prepare(Npz(path=tmp_path / "digits.npz", splits=splits), EVALUATION) for splits in ("auto", "all")
    )
    assert apart.fingerprint != shared.fingerprint
    assert shared.count == 900
    assert shared.floor_count == 200
    assert shared.fid_floor > 0.1
    facts = fid_described(shared)
    assert facts["extractor"]["test_accuracy"] is None
    assert facts["fid_floor_images"] == {"train": 200, "test": 450}
    assert "FIDs are measured against the 900 images that the GAN trains on" in said(shared.dataset)
    assert "trains on (data.splits: all)" not in said(apart.dataset)


def test_files_that_may_be_images_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_files import image_files, put_below

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    put_below(tmp_path / "images", image_files(20) | {"a.heic": b"", "b.HEIC": b"", "notes.txt": b""})
    found = said(Folder(path=tmp_path / "images", size=12).load())
    assert "2 files .heic are not read (an image format that is not read; convert it to PNG or JPEG)" in found
    assert ".txt" not in found
