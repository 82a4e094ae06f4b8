"""What was measured of the real images is taken from the cache to the last bit, and measured again if it is damaged."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from small_trials import EVALUATION

from trainables.data import Digits
from trainables.evaluation import classifier, measured_cache
from trainables.evaluation import prepare as preparing
from trainables.evaluation.config import Evaluation
from trainables.evaluation.prepare import Prepared, prepare


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

    def never(*arguments: object) -> measured_cache.ReferenceMeasurements:
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


def test_a_file_s_name_depends_on_all_that_the_last_bits_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> str:
        return measured_cache._key("fingerprint", 250)

    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "MKL_CBWR"):
        monkeypatch.delenv(name, raising=False)
    seen = {key()}
    assert key() in seen
    assert measured_cache._key("other", 250) not in seen
    for module, name, value in (
        (measured_cache, "RECIPE", measured_cache.RECIPE + 1),
        (np, "__version__", "0.1"),
        (torch, "__version__", "0.1"),
        (measured_cache, "_cpu", lambda: ["model name: same", "flags: fpu amx_bf16", ""]),
        (measured_cache, "_cpu", lambda: ["model name: same", "flags: fpu", ""]),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert key() not in seen, name
            seen.add(key())
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE", "MKL_CBWR"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "AVX2")
            assert key() not in seen, name
            seen.add(key())


def test_the_files_used_last_are_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_cache, "KEEP", 2)
    prepare(Digits(), EVALUATION, cached=True)
    (used,) = cache.iterdir()
    old = cache / "old.safetensors"
    old.write_bytes(b"of another version")
    os.utime(old, (2000, 2000))
    os.utime(used, (1000, 1000))
    prepare(Digits(), EVALUATION, cached=True)  # now it is the one used last
    monkeypatch.setattr(measured_cache, "RECIPE", measured_cache.RECIPE + 1)
    prepare(Digits(), EVALUATION, cached=True)
    assert used in cache.iterdir()
    assert old not in cache.iterdir()
    assert len([*cache.iterdir()]) == 2


def test_a_cache_that_cannot_be_written_is_no_hindrance(cache: Path) -> None:
    prepare(Digits(), EVALUATION)  # the classifier is there
    cache.write_text("a file where the folder should be")
    assert equal(prepare(Digits(), EVALUATION, cached=True), prepare(Digits(), EVALUATION))
