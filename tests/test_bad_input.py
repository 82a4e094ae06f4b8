"""Bad input through the command line: one line, exit code 2, no work, and everything on disk as it was.

The rules themselves are tested where they live (`study/test_config.py`, `search_spaces/test_errors.py`,
`trainables/test_data.py`); here that each reaches the user so, before anything is touched.
"""

import hashlib
import io
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from study.cli import main
from study.ledger.events import AttemptStarted, StudyOpened, TrialProposed
from study.ledger.ledger import Ledger
from study.study_file.config import StudyConfig, read_study

SECRET = "hunter2"
STUDY: dict[str, Any] = {
    "name": "new",
    "data": {"name": "digits"},
    "space": {"base": "quick"},
    "trials": 3,
    "schedule": {"grace_kimg": 1, "max_kimg": 3},
    "storage": {"path": "runs"},
}

Snapshot = dict[str, str]


def snapshot(root: Path) -> Snapshot:
    """Everything under `root`: links by target, files by content."""
    found = {}
    for path in sorted(root.rglob("*")):
        what = "folder"
        if path.is_symlink():
            what = f"-> {path.readlink()}"
        elif path.is_file():
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(root))] = f"{path.lstat().st_mode:o} {what}"
    return found


class Shell:
    """A folder to work in, with a study `kept` under `runs/` that nothing may touch."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        self.kept = StudyConfig.model_validate(STUDY | {"name": "kept"})
        folder = self.kept.folder
        folder.path.mkdir(parents=True)
        folder.study_file.write_text(yaml.safe_dump(self.kept.to_dict()))
        with Ledger.open(folder.ledger, schema="kept", create=True) as ledger, ledger.own("host", 1) as writer:
            opened = StudyOpened("uid", self.kept.to_dict(), "fingerprint", 0.5, 100.0, {})
            writer.append(opened, TrialProposed(0, {"seed": 1}, {}, "sampler", {}), AttemptStarted(0, 1))

    def file(self, text: str | bytes, name: str = "study.yaml") -> str:
        (self.root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    def study(self, **changes: Any) -> str:
        return self.file(yaml.safe_dump(STUDY | changes))

    def refused(self, *arguments: str, code: int = 2) -> str:
        """Run the command; check that it is refused as promised, and return its one line."""
        before = snapshot(self.root)
        self._monkeypatch.setattr(sys, "argv", ["ganstudy", *arguments])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = self._capfd.readouterr()
        assert left.value.code == code, out + err
        assert len(err.strip().splitlines()) == 1, err
        assert err.startswith("ganstudy: ")
        assert "Traceback" not in out + err
        assert SECRET not in out + err
        assert snapshot(self.root) == before
        return err


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANSTUDY_STORAGE", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def started(*arguments: object, **more: object) -> None:
        raise AssertionError("work had begun: Ray was started")

    monkeypatch.setattr("ray.init", started)
    return Shell(tmp_path, monkeypatch, capfd)


# ---------------------------------------------------------------------------------------------------- names

NAMES = ["../evil", "/evil", "a/b", ".", "..", "", "a\nb", "kept\n", "a\0b", "x" * 300, "-rf", "$(id)", "a b", "é"]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_none(shell: Shell, name: str) -> None:
    assert "1 to 64 letters" in shell.refused("launch", shell.study(name=name))
    for command in (["status"], ["best"], ["verify"], ["sync"], ["ui"]):
        assert "1 to 64 letters" in shell.refused(*command, "--", name)
    assert "1 to 64 letters" in shell.refused("export", "--", name, "best.yaml")


def test_a_study_folder_that_is_a_link(shell: Shell) -> None:
    (shell.root / "elsewhere").mkdir()
    (shell.root / "runs" / "new").symlink_to(shell.root / "elsewhere")
    assert "symbolic link" in shell.refused("launch", shell.study())


# ---------------------------------------------------------------------------------------------------- YAML

BASE = yaml.safe_dump(STUDY)
BOMB = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" if i else "a0: &a0 [x]\n" for i in range(9))
TEXTS = {
    "a duplicate key": (BASE + "trials: 4\n", "'trials' appears twice"),
    "a duplicate key below": (BASE + "evaluation: {count: 300, count: 400}\n", "'count' appears twice"),
    "an object": ("name: !!python/object/apply:os.system ['touch x']\n", "not usable YAML"),
    "an object's name": ("name: !!python/name:os.system\n", "not usable YAML"),
    "an alias bomb": (BOMB, "aliases"),
    "a merge": ("a: &a {name: x}\nb: {<<: *a}\n", "aliases"),
    "no for a number": (BASE.replace("trials: 3", "trials: no"), "trials = 'no'"),
    "sixties": (BASE + "time_budget_minutes: 1:30\n", "time_budget_minutes = '1:30'"),
    "a date": (BASE.replace("name: new", "name: !!timestamp 2026-99-99"), "not usable YAML"),
    "bytes": (BASE.replace("name: new", "name: !!binary aGk="), "not usable YAML"),
    "a truth that is none": (BASE.replace("trials: 3", "trials: !!bool maybe"), "not usable YAML"),
    "a number that is none": (BASE.replace("trials: 3", "trials: !!float ''"), "not usable YAML"),
    "a number too long": (BASE.replace("trials: 3", "trials: " + "9" * 5000), "not usable YAML"),
    "an unknown key": (BASE.replace("trials:", "tirals:"), "did you mean 'trials'?"),
    "an unknown key below": (BASE.replace("grace_kimg", "grace_img"), "did you mean 'grace_kimg'?"),
    "a key that is a list": ("[1]: 2\n", "not usable YAML"),
    "a key that is a number": (BASE + "7: 8\n", "7"),
    "nothing": ("", "found nothing"),
    "a comment": ("# only\n", "found nothing"),
    "a list": ("- 1\n", "found list"),
    "two documents": (BASE + "---\n" + BASE, "not usable YAML"),
    "not UTF-8": (b"name: \xff\n", "not UTF-8"),
    "UTF-16": (BASE.encode("utf-16"), "not UTF-8"),
    "nulls": (b"\0" * 100, "not usable YAML"),
    "too deep": ("a: " + "[" * 20_000, "too many levels"),
    "too large": ("#" * 1_000_001, "larger than"),
    "half a surrogate": ('name: "\\ud800"\n', "ganstudy:"),
}


@pytest.mark.parametrize(("text", "says"), TEXTS.values(), ids=list(TEXTS))
def test_text_that_is_no_study_file(shell: Shell, text: str | bytes, says: str) -> None:
    assert says in shell.refused("launch", shell.file(text))


def test_a_study_file_that_is_a_folder_or_no_path(shell: Shell) -> None:
    assert "cannot be read" in shell.refused("launch", "runs")
    assert "cannot be read" in shell.refused("launch", "line\nbreak")


@pytest.mark.parametrize("value", ["[1", "!!bool x", "!!float ''", "*a", "!!timestamp x", "9" * 5000])
def test_overrides_that_are_no_values(shell: Shell, value: str) -> None:
    assert "--set" in shell.refused("launch", shell.study(), "--set", f"trials={value}")


def test_numbers_that_yaml_used_to_misread_are_what_they_look_like(tmp_path: Path) -> None:
    text = BASE.replace("trials: 3", "trials: 012").replace("base: quick", "base: gan28")
    text = text.replace("space:", "space:\n  narrow: {generator_optimiser.lr: {low: 1e-4, high: 1E-3}}")
    file = tmp_path / "study.yaml"
    file.write_text(text)
    config = read_study(file)
    assert config.trials == 12
    assert config.space.narrow["generator_optimiser.lr"] == {"low": 0.0001, "high": 0.001}


# ---------------------------------------------------------------------------------------------------- values

OVERRIDES = [
    ("space.narrow={generator_optimiser.lr: {low: 0}}", "low"),
    ("space.narrow={generator_optimiser.lr: {low: 2e-3, high: 1e-3}}", "low"),
    ("space.narrow={generator_optimiser.lr: {low: .nan}}", "nan"),
    ("space.narrow={generator_optimiser.lr: {high: .inf}}", "inf"),
    ("space.narrow={generator_optimiser.lr: {low: 1e-9}}", "generator_optimiser.lr"),
    ("space.narrow={generator_optimiser.lr: {lo: 1e-3}}", "lo"),
    ("space.narrow={generator_optimiser.lr: 3}", "generator_optimiser.lr"),
    ("space.narrow={loss: []}", "loss"),
    ("space.narrow={loss: [hinge, hinge]}", "hinge"),
    ("space.narrow={beta1: [.nan]}", "nan"),
    ("space.narrow={loss: [hunge]}", "hunge"),
    ("space.narrow={mlp.width: {low: 130, high: 140}}", "mlp.width"),
    ("space.narrow={mlp.width: {low: 128, high: 192, step: 500}}", "step"),
    ("space={base: quick, fix: {model.name: mlp, dcgan.width: 16}}", "dcgan.width"),
    ("space.fix={los: hinge}", "los"),
    ("space.fix={loss: .nan}", "nan"),
    ("space.fix={data: {name: npz}}", "data"),
    ("space.fix={generator_optimiser.lr: no}", "no"),
    ("space.base=quik", "quick"),
    ("trials=-5", "greater than or equal to 1"),
    ("trials=1.5", "trials"),
    ("trials=.inf", "trials"),
    ("concurrency=0", "at least 1"),
    ("schedule.reduction_factor=1", "greater than or equal to 2"),
    ("schedule.grace_kimg=5", "above max_kimg"),
    ("schedule.brackets=50", "use at most"),
    ("schedule.report_kimg=2", "not a multiple of report_kimg"),
    ("time_budget_minutes=0", "greater than 0"),
    ("time_budget_minutes=.nan", "finite"),
    ("report_deadline_minutes=0", "greater than 0"),
    ("max_failures=-1", "max_failures"),
    ("resources.cpus=.nan", "cpus"),
    ("resources.cpus=-1", "above 0"),
    ("resources.gpus=1.5", "a fraction up to 1"),
    ("seed=9223372036854775808", "seed"),
    ("evaluation.count=0", "evaluation.count"),
    ("data.size=100000", "size"),
    ("mlflow.uri=ftp://host/x", "http://"),
    ("mlflow.uri=file:///tmp/x", "http://"),
    ("mlflow.uri='file:'", "http://"),
    ("mlflow.uri=mlruns", "http://"),
    ("mlflow.uri=''", "http://"),
    ("mlflow.uri=sqlite:///", "sqlite:///FILE"),
    ("mlflow.uri=http://host:port", "malformed"),
    ("mlflow.uri='http://[x'", "is not a URL"),
    ("mlflow.uri=sqlite:///nowhere/at/all.db", "/nowhere/at; make it"),
    ("mlflow.uri=sqlite:////nowhere/all.db", "there is no folder /nowhere"),
    ("mlflow.uri=sqlite:///runs", "is a folder"),
    ("storage.ledger=mysql://host/db", "postgresql://"),
    ("storage.ledger=/tmp/x.db", "postgresql://"),
    ('storage.path="a\\0b"', "null character"),
    ('storage.path="\\ud800"', "storage.path"),
]


@pytest.mark.parametrize(("override", "says"), OVERRIDES, ids=[f"{o:.60}" for o, _ in OVERRIDES])
def test_values_that_break_a_rule(shell: Shell, override: str, says: str) -> None:
    assert says in shell.refused("launch", shell.study(), "--set", override)


@pytest.mark.parametrize(
    "uri",
    [
        f"https://me:{SECRET}@host",
        f"https://{SECRET}@host",
        f"https://host?token={SECRET}",
        f"https://host/?api_key={SECRET}",
        f"me:{SECRET}@host/x",
        f"ftp://me:{SECRET}@host/x",
        f"http://me:{SECRET}@[host",
        f"http://me:{SECRET}@host:port",
        f"postgresql://me:{SECRET}@host/db",
        f"postgresql://me@host/db?password={SECRET}",
        f"postgresql://host/db?sslpassword={SECRET}",
        f"sqlite:////tmp/x.db?password={SECRET}",
    ],
)
@pytest.mark.parametrize("key", ["mlflow.uri", "storage.ledger"])
def test_credentials_in_an_address_are_refused_and_never_shown(shell: Shell, key: str, uri: str) -> None:
    section, name = key.split(".")
    assert key in shell.refused("launch", shell.study(**{section: {name: uri}}))
    assert key in shell.refused("launch", shell.study(), "--set", f"{key}='{uri}'")


def test_addresses_without_a_secret_stay_allowed() -> None:
    url = "postgresql://me@host/db?sslmode=verify-full&sslkey=/home/me/client.key&passfile=/home/me/.pgpass"
    config = StudyConfig.model_validate(STUDY | {"mlflow": {"uri": url}, "storage": {"ledger": url}})
    assert config.mlflow.uri == config.storage.ledger == url


def test_a_tracking_server_that_cannot_be_reached_is_one_line(shell: Shell) -> None:
    """Not exit code 2: a study may be launched while its server is away, and `sync` may come again."""
    config = StudyConfig.model_validate(STUDY | {"name": "kept", "mlflow": {"uri": "http://127.0.0.1:9"}})
    folder = config.folder
    folder.ledger.unlink()
    folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    with Ledger.open(folder.ledger, schema="kept", create=True) as ledger, ledger.own("host", 1) as writer:
        writer.append(StudyOpened("uid", config.to_dict(), "fingerprint", 0.5, 100.0, {}))
    assert "MLflow at http://127.0.0.1:9" in shell.refused("sync", "kept", code=1)


# ---------------------------------------------------------------------------------------------------- storage


def test_storage_below_a_file(shell: Shell) -> None:
    shell.file("", "taken")
    assert "cannot be written" in shell.refused("launch", shell.study(), "--storage", "taken/runs")
    assert "cannot be written" in shell.refused("launch", shell.study(), "--storage", "taken")
    (shell.root / "runs" / "new").write_text("a file where the study's folder belongs")
    assert "cannot be written" in shell.refused("launch", shell.study())


def test_storage_where_nothing_can_be_made(shell: Shell) -> None:
    assert "cannot be written" in shell.refused("launch", shell.study(), "--storage", "/proc/nowhere/runs")


def test_storage_with_a_name_too_long(shell: Shell) -> None:
    assert "set storage.path" in shell.refused("launch", shell.study(), "--storage", "x" * 300)
    assert "no study 'kept'" in shell.refused("status", "kept", "--storage", "x" * 300)


@pytest.fixture
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("read-only")
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_storage_on_a_read_only_file_system(shell: Shell, read_only: Path) -> None:
    said = shell.refused("launch", shell.study(), "--storage", str(read_only / "runs"))
    assert "Read-only file system" in said


def test_a_study_that_has_begun_never_begins_afresh_when_its_ledger_is_gone(shell: Shell) -> None:
    file = shell.study(name="kept")
    shell.kept.folder.ledger.write_bytes(b"")
    assert "its ledger is empty" in shell.refused("launch", file, code=1)
    shell.kept.folder.ledger.unlink()
    assert "its ledger is empty" in shell.refused("launch", file, code=1)
    assert "there is no ledger" in shell.refused("status", "kept")


@pytest.mark.parametrize("text", ["", "name: kept\n", "storage: 3\n", "\0", "storage: {ledger: 'ftp://host'}\n"])
def test_a_damaged_resolved_study_file_is_said(shell: Shell, text: str) -> None:
    shell.kept.folder.study_file.write_text(text)
    for command in ("status", "best", "sync"):
        shell.refused(command, "kept", code=2 if "ftp" in text else 1)


@pytest.mark.parametrize(
    "spoil",
    [lambda raw: b"x" * len(raw), lambda raw: raw[: len(raw) // 2], lambda raw: raw.replace(b'"uid"', b'"uit"')],
    ids=["other bytes", "cut off", "altered"],
)
def test_a_damaged_ledger_is_refused_by_every_command(shell: Shell, spoil: Callable[[bytes], bytes]) -> None:
    ledger = shell.kept.folder.ledger
    ledger.write_bytes(spoil(ledger.read_bytes()))
    for command in (["status", "kept"], ["best", "kept"], ["export", "kept", "x.yaml"], ["sync", "kept"]):
        assert "ledger" in shell.refused(*command, code=1)
    assert "ledger" in shell.refused("launch", shell.study(name="kept"), code=1)


def test_other_settings_are_refused_key_by_key(shell: Shell) -> None:
    said = shell.refused("launch", shell.study(name="kept", seed=5, data={"name": "digits", "size": 16}))
    assert "seed: 0 -> 5" in said
    assert "data.size: 8 -> 16" in said


# ---------------------------------------------------------------------------------------------------- data


def pixels(count: int, *shape: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.uint8)


ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"images": pixels(0, 8, 8)}, "at least one image"),
    "too few for FID": ({"images": pixels(300, 8, 8), "labels": np.arange(300) % 2}, "must be more than"),
    "floats": ({"images": pixels(20, 8, 8) / 255}, "must be uint8"),
    "ones": ({"images": pixels(20, 8, 8) % 2}, "multiply it by 255"),
    "objects": ({"images": np.array([None, {}], dtype=object)}, "plain array of numbers"),
    "not square": ({"images": pixels(20, 8, 9)}, "H = W"),
    "mixed sizes": ({"images": np.array([pixels(8, 8), pixels(9, 9)], dtype=object)}, "plain array of numbers"),
    "other sizes for test": ({"images": pixels(20, 8, 8), "test_images": pixels(20, 9, 9)}, "test images are"),
    "16 bits": ({"images": pixels(20, 8, 8).astype(np.uint16)}, "must be uint8"),
    "no labels": ({"images": pixels(900, 8, 8)}, "has no labels"),
    "labels of some": ({"images": pixels(20, 8, 8), "labels": np.arange(19) % 2}, "20 integers"),
    "labels of nothing": ({"images": pixels(20, 8, 8), "test_labels": np.arange(20) % 2}, "without 'test_images'"),
    "labels with a gap": ({"images": pixels(20, 8, 8), "labels": np.arange(20) % 2 * 2}, "class 1 of 0..2"),
}


@pytest.mark.parametrize(("arrays", "says"), ARRAYS.values(), ids=list(ARRAYS))
def test_images_that_break_a_rule(shell: Shell, arrays: dict[str, Any], says: str) -> None:
    np.savez(shell.root / "data.npz", **arrays)
    study = shell.study(data={"name": "npz", "path": "data.npz"}, evaluation={"count": 300})
    assert says in shell.refused("launch", study)
    assert says in shell.refused("data", "describe", study)


@pytest.mark.parametrize("path", ["nowhere.npz", "runs", "a\0b", "x" * 300])
def test_images_that_are_not_there(shell: Shell, path: str) -> None:
    assert "there is no file" in shell.refused("launch", shell.study(data={"name": "npz", "path": path}))
    if "\0" not in path:  # which no argument of a command can hold
        assert "there is no file" in shell.refused("data", "describe", "npz", "--path", path)


def test_a_damaged_archive_is_named(shell: Shell) -> None:
    np.savez(shell.root / "data.npz", images=pixels(100, 8, 8), labels=np.arange(100) % 2)
    whole = (shell.root / "data.npz").read_bytes()
    study = shell.study(data={"name": "npz", "path": "data.npz"})
    for damaged in (b"", b"PK\x03\x04", whole[:-30], whole[:200], whole.replace(b"descr", b"dEscr")):
        shell.file(damaged, "data.npz")
        assert "data.npz" in shell.refused("launch", study)


def test_fashion_mnist_with_a_damaged_file(shell: Shell) -> None:
    folder = shell.root / "fashion"
    folder.mkdir()
    for part, kind in (("train", "images-idx3"), ("train", "labels-idx1"), ("t10k", "images-idx3")):
        (folder / f"{part}-{kind}-ubyte").write_bytes(b"\0" * 16)
    study = shell.study(data={"name": "fashion_mnist", "root": str(folder)})
    assert "t10k-labels-idx1-ubyte" in shell.refused("launch", study), "one is missing"
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"\0" * 16)
    assert str(folder) in shell.refused("launch", study)


def png(*shape: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels(*shape)).save(stream, "PNG")
    return stream.getvalue()


class Pictures:
    """A folder `pictures` of twelve sound PNGs in two classes, and archives of such."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.folder = shell.root / "pictures"
        self.sound = {f"{'ab'[i % 2]}/{i:02}.png": png(8 + i, 9) for i in range(12)}
        for name, content in self.sound.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(content)

    def zip(self, more: dict[str, bytes]) -> str:
        with zipfile.ZipFile(self.shell.root / "pictures.zip", "w") as archive:
            for name, content in (self.sound | more).items():
                archive.writestr(name, content)
        return "pictures.zip"

    def tar(self, more: dict[str, bytes], link: str | None = None) -> str:
        with tarfile.open(self.shell.root / "pictures.tar.gz", "w:gz") as archive:
            for name, content in (self.sound | more).items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            if link is not None:
                member = tarfile.TarInfo("linked.png")
                member.type, member.linkname = tarfile.SYMTYPE, link
                archive.addfile(member)
        return "pictures.tar.gz"

    def refused(self, path: str, **more: Any) -> str:
        study = self.shell.study(data={"name": "folder", "path": path, "size": 8} | more)
        said = self.shell.refused("launch", study)
        assert self.shell.refused("data", "describe", study) == said
        return said


@pytest.fixture
def pictures(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("trainables.evaluation.classifier._STEPS_MIN", 10)
    monkeypatch.setattr("trainables.evaluation.classifier._STEPS_MAX", 10)
    return Pictures(shell)


@pytest.mark.parametrize("path", ["nowhere", "nowhere.zip", "x" * 300, "a\0b", "line\nbreak"])
def test_a_folder_of_images_that_is_not_there(pictures: Pictures, path: str) -> None:
    assert "there is no folder or archive" in pictures.refused(path)


def test_a_folder_without_images_or_with_too_few(pictures: Pictures) -> None:
    (pictures.shell.root / "empty").mkdir()
    assert "empty: 0 images; at least 10 are needed" in pictures.refused("empty")
    (pictures.folder / "b" / "11.png").unlink()
    (pictures.folder / "b" / "09.png").unlink()
    (pictures.folder / "b" / "07.png").unlink()
    assert "pictures: 9 images; at least 10 are needed" in pictures.refused("pictures")


def test_a_folder_with_fewer_images_than_the_fid_needs(pictures: Pictures) -> None:
    for i in range(12, 120):
        (pictures.folder / "ab"[i % 2] / f"{i:03}.png").write_bytes(png(8, 8))
    said = pictures.refused("pictures")
    assert "12 validation images: must be more than the extractor's 64 features; give more images" in said


def test_a_folder_without_labels_for_a_classifier(pictures: Pictures) -> None:
    assert "has no labels" in pictures.refused("pictures", labels="none")


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", png(30, 30)[:-40], png(30, 30)[:200] + b"\0" + png(30, 30)[201:]],
    ids=["empty", "text", "cut off", "a changed byte"],
)
def test_a_corrupt_png_is_named(pictures: Pictures, content: bytes) -> None:
    (pictures.folder / "b" / "bad.png").write_bytes(content)
    assert "pictures/b/bad.png: " in pictures.refused("pictures")
    for path in (pictures.zip({"b/bad.png": content}), pictures.tar({"b/bad.png": content})):
        assert f"{path}: b/bad.png: " in pictures.refused(path)


def test_an_image_that_cannot_be_read(pictures: Pictures) -> None:
    place = pictures.folder / "b" / "bad.png"
    place.symlink_to("gone.png")
    assert "b/bad.png: cannot be read" in pictures.refused("pictures")
    place.unlink()
    place.symlink_to("bad.png")
    assert "b/bad.png: cannot be read" in pictures.refused("pictures")
    place.unlink()
    place.symlink_to("/dev/zero")
    assert "b/bad.png: a device or a pipe, not a file" in pictures.refused("pictures")


def test_a_folder_that_holds_itself(pictures: Pictures) -> None:
    (pictures.folder / "a" / "up").symlink_to(pictures.folder)
    assert "pictures/a/up: a link to a folder that contains it" in pictures.refused("pictures")


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/evil.png", "..\\evil.png"])
def test_an_archive_that_leaves_its_folder(pictures: Pictures, name: str) -> None:
    for path in (pictures.zip({name: png(8, 8)}), pictures.tar({name: png(8, 8)})):
        assert f"{path}: {name} leaves the archive's folder" in pictures.refused(path)
    assert not (pictures.shell.root.parent / "evil.png").exists()


@pytest.mark.parametrize("target", ["a/00.png", "/etc/passwd", "../../x"])
def test_an_archive_with_a_link(pictures: Pictures, target: str) -> None:
    path = pictures.tar({}, link=target)
    assert "linked.png is a link" in pictures.refused(path)


def test_an_archive_that_is_damaged_or_none(pictures: Pictures) -> None:
    for path in (pictures.zip({}), pictures.tar({})):
        whole = (pictures.shell.root / path).read_bytes()
        for damaged in (b"", b"text", whole[:100], whole[: len(whole) // 2], whole[:-30]):
            pictures.shell.file(damaged, path)
            assert path in pictures.refused(path)


def test_a_decompression_bomb(pictures: Pictures) -> None:
    """A PNG of a few kilobytes that says it has ten thousand million pixels."""
    header = struct.pack(">II5B", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    (pictures.folder / "a" / "bomb.png").write_bytes(bomb)
    assert "a/bomb.png: more than" in pictures.refused("pictures")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"size": 4}, "size"),
        ({"size": 10**6}, "size"),
        ({"mode": "cmyk"}, "choose one of rgb, grey"),
        ({"labels": "maybe"}, "labels"),
        ({"sizee": 8}, "sizee"),
    ],
)
def test_settings_of_a_folder(pictures: Pictures, data: dict[str, Any], says: str) -> None:
    assert says in pictures.refused("pictures", **data)


def test_a_folder_without_a_size(shell: Shell) -> None:
    assert "size" in shell.refused("launch", shell.study(data={"name": "folder", "path": "pictures"}))


@pytest.mark.parametrize("source", ["mnist", "cifar10"])
def test_a_published_set_that_is_not_where_it_should_be(shell: Shell, source: str) -> None:
    said = shell.refused("launch", shell.study(data={"name": source, "root": "~nobody-here/x"}))
    assert "there is no such user's home" in said
    for root in ("nowhere", "runs", "x" * 300, "a\0b"):
        said = shell.refused("launch", shell.study(data={"name": source, "root": root}))
        assert f"{source}: " in said
        assert "lacks" in said


def test_cifar10_with_a_damaged_batch_or_archive(shell: Shell) -> None:
    folder = shell.root / "cifar"
    folder.mkdir()
    study = shell.study(data={"name": "cifar10", "root": "cifar"})
    for name in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6))):
        (folder / name).write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")  # as a pickle it runs a command
    assert "data_batch_1: has MD5" in shell.refused("launch", study)
    (folder / "test_batch").unlink()
    assert "cifar lacks test_batch" in shell.refused("launch", study)
    (folder / "cifar-10-python.tar.gz").write_bytes(b"")
    assert "cifar-10-python.tar.gz: has MD5" in shell.refused("launch", study)


# ---------------------------------------------------------------------------------------------------- exports

TRIAL: dict[str, Any] = {
    "data": {"name": "digits"},
    "model": {"name": "mlp", "width": 16, "depth": 1},
    "seed": 1,
    "evaluation": {"count": 300},
}
EXPORTS: dict[str, tuple[Any, str]] = {
    "a key of another version": ({"trial": TRIAL | {"lookahead": 3}}, "lookahead"),
    "a part of another version": ({"trial": TRIAL | {"loss": "softmax"}}, "choose one of"),
    "a key too many": ({"trial": TRIAL, "origin": {}, "checkpoint": "/etc/passwd"}, "expected the keys"),
    "no seed": ({"trial": {k: v for k, v in TRIAL.items() if k != "seed"}}, "'seed' is missing"),
    "no trial": ({"origin": {}}, "ganstudy:"),
    "a text for a trial": ({"trial": "x"}, "expected the keys"),
    "a text for the origin": ({"trial": TRIAL, "origin": "x"}, "expected the keys"),
    "FIDs that are none": ({"trial": TRIAL, "origin": {"fids": "abc"}}, "fids"),
    "an FID that is none": ({"trial": TRIAL, "origin": {"fids": {"x": "y"}}}, "fids"),
    "threads that are none": ({"trial": TRIAL, "origin": {"threads": "many"}}, "threads"),
    "no threads": ({"trial": TRIAL, "origin": {"threads": 0}}, "threads"),
    "negative steps": ({"trial": TRIAL, "origin": {"report_kimg": -1}}, "report_kimg"),
    "other steps": ({"trial": TRIAL, "origin": {"report_kimg": 7}}, "not a multiple"),
}


@pytest.mark.parametrize(("content", "says"), EXPORTS.values(), ids=list(EXPORTS))
def test_exports_of_another_version(shell: Shell, content: Any, says: str) -> None:
    assert says in shell.refused("run-trial", shell.file(yaml.safe_dump(content), "best.yaml"), "--kimg", "1")


def test_a_damaged_export(shell: Shell) -> None:
    whole = yaml.safe_dump({"trial": TRIAL}).encode()
    for damaged in (b"", b"\xff\xfe", whole[:20], whole[:-30] + b"\0", whole.replace(b"width", b"w\tdth")):
        shell.refused("run-trial", shell.file(damaged, "best.yaml"), "--kimg", "1")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--device", "abacus"], "--device 'abacus'"),
        (["--out", "best.yaml/below"], "--out"),
        (["--out", "/proc/nowhere/out"], "--out"),
        (["--report-kimg", "7"], "not a multiple"),
    ],
)
def test_options_of_run_trial(shell: Shell, more: Sequence[str], says: str) -> None:
    assert says in shell.refused(
        "run-trial", shell.file(yaml.safe_dump({"trial": TRIAL}), "best.yaml"), "--kimg", "1", *more
    )


@pytest.mark.parametrize("place", ["", "/", "runs", "study.yaml/x", "/proc/nowhere/x.yaml"])
def test_an_export_that_cannot_be_written(shell: Shell, place: str) -> None:
    shell.study()
    assert "cannot be written" in shell.refused("export", "kept", place, "--trial", "0")


@pytest.mark.slow
def test_a_checkpoint_of_another_configuration(shell: Shell) -> None:
    """And one of the same, damaged: neither is continued, nor begun afresh."""
    file = shell.file(yaml.safe_dump({"trial": TRIAL}), "best.yaml")
    command = [sys.executable, "-m", "study.cli", "run-trial", file, "--kimg", "1", "--out", "out"]
    subprocess.run(command, check=True, capture_output=True)
    other = TRIAL | {"model": {"name": "mlp", "width": 32, "depth": 1}}
    changed = shell.file(yaml.safe_dump({"trial": other}), "other.yaml")
    said = shell.refused("run-trial", changed, "--kimg", "1", "--out", "out")
    assert "of another configuration" in said
    (network,) = (shell.root / "out" / "checkpoints").glob("*/generator.safetensors")
    network.write_bytes(network.read_bytes()[:-1])
    assert "generator.safetensors" in shell.refused("run-trial", file, "--kimg", "2", "--out", "out", code=1)
