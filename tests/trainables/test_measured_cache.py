"""What was measured of the real images is taken from the cache to the last bit, and measured again if it is damaged."""

from pathlib import Path

import numpy as np
import pytest
from small_trials import EVALUATION

from trainables import classifier, measured_cache
from trainables import prepare as preparing
from trainables.data import Digits
from trainables.evaluation import Evaluation
from trainables.prepare import Prepared, prepare


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(classifier, "_STEPS_MIN", 20)
    monkeypatch.setattr(classifier, "_STEPS_MAX", 20)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ganstudy" / "measured"


def equal(one: Prepared, other: Prepared) -> bool:
    arrays = ("mean", "covariance", "root", "features")
    facts = ("classes_present", "count", "fingerprint", "fid_floor", "fid_ceiling", "floor_count")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays) and all(
        getattr(one, name) == getattr(other, name) for name in facts
    )


def test_a_second_call_measures_nothing_and_gives_the_same_bits(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = prepare(Digits(), EVALUATION)
    assert not cache.exists()
    assert equal(prepare(Digits(), EVALUATION, cached=True), plain)

    def never(*arguments: object) -> measured_cache.Measured:
        raise AssertionError("measured again")

    monkeypatch.setattr(preparing, "_measure", never)
    assert equal(prepare(Digits(), EVALUATION, cached=True), plain)
    with pytest.raises(AssertionError):  # other batches, whose sums have other last bits
        prepare(Digits(), Evaluation.model_validate(EVALUATION.model_dump() | {"batch": 100}), cached=True)


@pytest.mark.parametrize("where", [0, 100, -1])
def test_a_damaged_entry_is_measured_again_and_mended(cache: Path, where: int) -> None:
    first = prepare(Digits(), EVALUATION, cached=True)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[where] ^= 1
    file.write_bytes(damaged)
    assert equal(prepare(Digits(), EVALUATION, cached=True), first)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_hindrance(cache: Path) -> None:
    prepare(Digits(), EVALUATION)  # the classifier is there
    cache.write_text("a file where the folder should be")
    assert equal(prepare(Digits(), EVALUATION, cached=True), prepare(Digits(), EVALUATION))
