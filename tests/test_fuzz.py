"""Arbitrary and damaged bytes for every reader: whatever they hold, the only errors are ours, in one line.

A damaged ledger is never read as another study: it gives the very same rows, or a refusal.
"""

import io
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from study.analysis.export import read_export
from study.ledger.events import (
    AttemptStarted,
    Ended,
    Event,
    Reported,
    StudyChanged,
    StudyOpened,
    TrialProposed,
    canonical_json,
)
from study.ledger.ledger import Ledger, Row
from study.ledger.records import StudyRecord, fold
from study.study_file.config import StudyConfig, read_study
from trainables.data.images import Dataset
from trainables.data.npz import Npz
from trainables.errors import CorruptFile, GanStudyError
from trainables.gan.config import TrialConfig

FUZZ = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

STUDY: dict[str, Any] = {
    "name": "fuzzed",
    "seed": 3,
    "data": {"name": "digits", "size": 8},
    "space": {"base": "quick", "narrow": {"generator_optimiser.lr": {"low": 1e-3}}, "fix": {"loss": "hinge"}},
    "sampler": {"name": "tpe", "startup_trials": 3},
    "trials": 4,
    "schedule": {"grace_kimg": 1, "max_kimg": 9, "reduction_factor": 3},
    "resources": {"cpus": 1, "gpus": 0.5},
    "evaluation": {"count": 300},
    "mlflow": {"uri": "http://127.0.0.1:5000"},
    "storage": {"path": "runs", "ledger": "postgresql://me@host/db"},
}
EXPORT: dict[str, Any] = {
    "trial": TrialConfig.from_dict(
        {"data": {"name": "digits"}, "model": {"name": "mlp", "width": 16, "depth": 1}, "seed": 1}
    ).to_dict(),
    "origin": {"fid_fingerprint": "f", "fids": {1: 20.5, 2: 10.25}, "report_kimg": 1, "threads": 1, "study": "s"},
}


def told(work: Callable[[], Any]) -> Any:
    """What `work` returns, or None if it refuses as it should: in one line that can be printed."""
    try:
        return work()
    except GanStudyError as error:
        text = str(error)
        assert text
        assert len(text) < 5_000
        return None


def as_file(content: bytes, read: Callable[[Path], Any]) -> Any:
    with TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder) / "file"
        file.write_bytes(content)
        return told(lambda: read(file))


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Some parts of `whole` replaced, doubled, removed, and perhaps its end cut off."""
    raw = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 12)))
        raw[start:end] = draw(st.one_of(st.binary(max_size=12), st.just(bytes(raw[start:end]) * 2)))
    return bytes(raw[: draw(st.integers(0, len(raw)))]) if draw(st.booleans()) else bytes(raw)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["hinge", "mlp", "npz", "digits", "auto", "../x", "a\0b", "sqlite:///x", "http://a:b@c", "$(id)"]),
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.text(max_size=8), st.sampled_from([*STUDY, "low", "high", "name"])), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, part in value.items():
            found += places(part, (*path, key))
    return found


@st.composite
def altered(draw: st.DrawFn, valid: dict[str, Any]) -> dict[str, Any]:
    """`valid` with some values replaced or removed, and some keys added."""
    data = yaml.safe_load(yaml.safe_dump(valid))
    for *parents, key in draw(st.lists(st.sampled_from(places(valid)), min_size=1, max_size=3)):
        at = data
        for parent in parents:
            at = at.get(parent) if isinstance(at, dict) else None
        if isinstance(at, dict):
            how = draw(st.sampled_from(["replace", "remove", "add"]))
            if how == "remove":
                at.pop(key, None)
            else:
                at[key if how == "replace" else draw(st.text(max_size=6))] = draw(PLAIN)
    return data


# ---------------------------------------------------------------------------------------------------- study files


def check_study(content: bytes) -> None:
    """Read it; what is accepted must survive its own round trip and fit into the ledger."""
    config = as_file(content, read_study)
    if config is not None:
        again = StudyConfig.model_validate(config.to_dict())
        assert again == config
        canonical_json(config.to_dict())


@FUZZ
@given(st.binary(max_size=300))
@example(b"!!set {a, b}")
@example(b"? [a]\n: 1")
@example(b"!!bool x")
@example(b"!!float ''")
@example(b"a: !!int 0x")
@example(b"{{}: 1}")
@example(b"- &a [*a]")
@example(b"\xef\xbb\xbfname: x")
def test_bytes_for_a_study_file(content: bytes) -> None:
    check_study(content)


@FUZZ
@given(st.text(max_size=300))
def test_text_for_a_study_file(content: str) -> None:
    check_study(content.encode("utf-8", "surrogatepass"))


@FUZZ
@given(damaged(yaml.safe_dump(STUDY).encode()))
def test_a_damaged_study_file(content: bytes) -> None:
    check_study(content)


@FUZZ
@given(altered(STUDY))
def test_a_study_file_with_other_values(data: dict[str, Any]) -> None:
    check_study(yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass"))


@FUZZ
@given(st.lists(st.one_of(st.text(max_size=30), st.builds("{}={}".format, st.text(max_size=12), st.text(max_size=12)))))
@example(["trials=!!bool x"])
@example(["trials.x.y=3"])
@example(["space.fix.generator_optimiser.lr.low=1"])
def test_overrides(overrides: list[str]) -> None:
    as_file(yaml.safe_dump(STUDY).encode(), lambda file: read_study(file, overrides))


# ---------------------------------------------------------------------------------------------------- exports


def check_export(content: bytes) -> None:
    exported = as_file(content, read_export)
    if exported is not None:
        config = told(lambda: TrialConfig.from_dict(exported.trial))
        assert config is None or TrialConfig.from_dict(config.to_dict()) == config


@FUZZ
@given(st.binary(max_size=300))
def test_bytes_for_an_export(content: bytes) -> None:
    check_export(content)


@FUZZ
@given(damaged(yaml.safe_dump(EXPORT).encode()))
def test_a_damaged_export(content: bytes) -> None:
    check_export(content)


@FUZZ
@given(altered(EXPORT))
def test_an_export_with_other_values(data: dict[str, Any]) -> None:
    check_export(yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass"))


# ---------------------------------------------------------------------------------------------------- data


@FUZZ
@given(st.data())
def test_a_damaged_npz(data: st.DataObject) -> None:
    content = data.draw(st.one_of(st.binary(max_size=200), damaged(archive(compressed=data.draw(st.booleans())))))
    with TemporaryDirectory(prefix="fuzz-") as folder:
        file = Path(folder) / "data.npz"
        file.write_bytes(content)
        found = told(lambda: Npz(path=file).load())
    assert found is None or isinstance(found, Dataset)


@cache
def archive(compressed: bool) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8)
    (np.savez_compressed if compressed else np.savez)(file, images=pixels, labels=np.arange(20) % 2)
    return file.getvalue()


# ---------------------------------------------------------------------------------------------------- ledgers

METRICS = {"fid": 50.0, "loss_g": -0.25}


def story() -> list[Event]:
    config = {"name": "fuzzed", "trials": 6, "text": "x" * 700}
    events: list[Event] = [StudyOpened("uid", config, "fingerprint", 0.5, 100.0, {"torch": "2"})]
    for trial in range(6):
        events += [TrialProposed(trial, {"seed": trial}, {"g.lr": 2e-4}, "sampler", {}), AttemptStarted(trial, 1)]
        events += [Reported(trial, kimg, 1, {**METRICS, "fid": 50.0 - kimg}) for kimg in range(1, 4)]
        events.append(Ended(trial, 1, 3, "completed", None, None))
    return [*events, StudyChanged(1, {**config, "trials": 7})]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    with Ledger.open(path, schema="fuzzed", create=True) as ledger, ledger.own("host", 1) as writer:
        for event in story():
            writer.append(event)
    return path


def read(path: Path) -> tuple[list[Row], StudyRecord]:
    with Ledger.open(path, schema="fuzzed", create=False) as ledger:
        ledger.owner()
        rows = ledger.read()
        return rows, fold(rows, live=False)


def check_ledger(sound: Path, content: bytes, journal: bytes | None = None) -> None:
    with TemporaryDirectory(prefix="fuzz-") as folder:
        copy = Path(folder) / "ledger.db"
        copy.write_bytes(content)
        if journal is not None:
            copy.with_name("ledger.db-journal").write_bytes(journal)
        found = told(lambda: read(copy))
        assert found is None or found == read(sound), "another study"


@FUZZ
@given(data=st.data())
def test_a_ledger_cut_off_anywhere(ledger: Path, data: st.DataObject) -> None:
    whole = ledger.read_bytes()
    length = data.draw(
        st.one_of(st.integers(0, len(whole) - 1), st.integers(0, len(whole) // 512).map(lambda n: n * 512))
    )
    check_ledger(ledger, whole[:length])


@FUZZ
@given(data=st.data())
def test_a_ledger_with_flipped_bits(ledger: Path, data: st.DataObject) -> None:
    raw = bytearray(ledger.read_bytes())
    anywhere = st.one_of(st.integers(0, len(raw) - 1), st.integers(0, 200))  # the header too
    for place in data.draw(st.lists(anywhere, min_size=1, max_size=5)):
        raw[place] ^= data.draw(st.integers(1, 255))
    check_ledger(ledger, bytes(raw))


@FUZZ
@given(data=st.data())
def test_a_ledger_with_parts_moved_or_blanked(ledger: Path, data: st.DataObject) -> None:
    raw = bytearray(ledger.read_bytes())
    size = data.draw(st.sampled_from([1, 16, 512, 4096]))
    source, target = (data.draw(st.integers(0, (len(raw) - size) // size)) * size for _ in range(2))
    raw[target : target + size] = raw[source : source + size] if data.draw(st.booleans()) else bytes(size)
    check_ledger(ledger, bytes(raw))


@FUZZ
@given(content=st.binary(max_size=200), journal=st.one_of(st.none(), st.binary(max_size=1000)))
@example(content=b"SQLite format 3\0" + bytes(200), journal=None)
def test_bytes_for_a_ledger(ledger: Path, content: bytes, journal: bytes | None) -> None:
    check_ledger(ledger, content, journal)


@FUZZ
@given(journal=st.binary(max_size=1000), magic=st.booleans())
def test_a_journal_of_any_bytes_beside_a_sound_ledger(ledger: Path, journal: bytes, magic: bool) -> None:
    head = bytes.fromhex("d9d505f920a163d7") if magic else b""  # https://www.sqlite.org/fileformat.html section 3
    check_ledger(ledger, ledger.read_bytes(), head + journal)


def test_the_sound_ledger_is_read(ledger: Path, tmp_path: Path) -> None:
    """Or the properties above would hold of nothing."""
    rows, study = read(ledger)
    assert [row.event for row in rows] == story()
    assert len(study.trials) == 6
    shutil.copyfile(ledger, tmp_path / "ledger.db")
    raw = bytearray(ledger.read_bytes())
    raw[raw.index(b'"fid":4') + 6] = ord("3")
    (tmp_path / "ledger.db").write_bytes(raw)
    with pytest.raises(CorruptFile, match="row "):
        read(tmp_path / "ledger.db")
