"""Every command that takes a file to write: a device and a pipe are written to, a link is followed, `~` is the home."""

import io
import os
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import yaml
from made_up import big_ledger
from PIL import Image
from toys import toy_config
from trained_study import PLAIN

from study.cli import main
from study.production import generators, onnx_file
from study.production.found import Found
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape
from trainables.gan.networks import build_networks
from trainables.generator import Generator, GeneratorFacts

Said = tuple[int, bytes, str]
Cli = Callable[..., Said]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    big_ledger(toy_config(storage={"path": str(root)}), root, trials=8)
    return root


@pytest.fixture
def cli(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANSTUDY_STORAGE", str(storage))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["ganstudy", *arguments])
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfdbinary.readouterr()
        assert b"Traceback" not in out + err
        return int(left.value.code or 0), out, err.decode()

    for asking in (generators, onnx_file):
        monkeypatch.setattr(asking, "find_generator", lambda *_: Found(made(), "best"))
    return run


def made() -> Generator:
    """A small generator of images of 8 x 8."""
    trial, shape = TrialConfig.from_dict(PLAIN), ImageShape(1, 8)
    facts = GeneratorFacts(trial=trial, channels=1, size=8, kimg=1, fid=1.0, fid_fingerprint="x", weights="y")
    return Generator(facts, build_networks(trial, shape, 0)[0].state_dict())


def _is_page(content: bytes) -> bool:
    return content.startswith(b"<!doctype html>")


def _is_export(content: bytes) -> bool:
    return set(yaml.safe_load(content)) == {"trial", "origin"}


def _is_table(content: bytes) -> bool:
    return len(pd.read_csv(io.BytesIO(content))) == 8


def _is_picture(content: bytes) -> bool:
    return Image.open(io.BytesIO(content)).format == "PNG"


def _is_archive(content: bytes) -> bool:
    return np.load(io.BytesIO(content))["images"].shape == (4, 1, 8, 8)


def _is_onnx(content: bytes) -> bool:
    return [value.name for value in onnx.load_from_string(content).graph.output] == ["images"]


DOORS: Mapping[str, tuple[tuple[str, ...], Callable[[bytes], bool]]] = {
    "report": (("report", "toy", "--out"), _is_page),
    "export": (("export", "toy"), _is_export),
    "results": (("results", "toy", "--out"), _is_table),
    "sample": (("sample", "best", "-n", "4", "--out"), _is_picture),
    "export-onnx": (("export-onnx", "best"), _is_onnx),
    "sample --npz": (("sample", "best", "-n", "4", "--npz"), _is_archive),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_writes_to_what_its_user_names(door: str, cli: Cli, tmp_path: Path) -> None:
    words, is_right = DOORS[door]
    for place in ("-", "/dev/stdout"):
        code, out, err = cli(*words, place)
        assert code == 0, err
        assert is_right(out), "the content alone, what is said of it elsewhere"
        assert err.startswith(f"{place}: ")
    (tmp_path / "link").symlink_to("real.csv")
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "real.csv").chmod(0o600)
    link = tmp_path / "link.csv"
    link.symlink_to("link")
    assert cli(*words, str(link))[0] == 0
    assert is_right((tmp_path / "real.csv").read_bytes())
    assert link.is_symlink()
    assert stat.S_IMODE((tmp_path / "real.csv").stat().st_mode) == 0o600
    (tmp_path / "home").mkdir()
    assert cli(*words, "~/new.csv")[0] == 0
    assert is_right((tmp_path / "home" / "new.csv").read_bytes())
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert cli(*words, "pipe")[0] == 0
    reader.join(60)
    assert is_right(read[0])
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("door", DOORS)
def test_a_door_leaves_devices_devices_and_refuses_the_rest(door: str, cli: Cli, tmp_path: Path) -> None:
    words, _ = DOORS[door]
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "file.csv").write_text("kept")
    for name in ("folder.csv", "loop.csv", "file.csv/below.csv", "~nobody-of-this-name/x.csv"):
        code, _, err = cli(*words, name)
        assert code == 2
        assert len(err.splitlines()) == 1
    try:
        for name, minor in (("null", 3), ("full", 7)):
            os.mknod(tmp_path / name, stat.S_IFCHR | 0o666, os.makedev(1, minor))
            (tmp_path / name).open("wb").close()
    except OSError as error:
        pytest.skip(f"no device can be made or opened here: {error}")
    assert cli(*words, "null")[0] == 0
    code, _, err = cli(*words, "full")
    assert code == 1
    assert err == "ganstudy: full: cannot be written: No space left on device; name another path\n"
    assert all(stat.S_ISCHR((tmp_path / name).stat().st_mode) for name in ("null", "full"))


@pytest.mark.parametrize("target", ["sqlite:///{}", "{}"])
def test_a_database_is_a_file(target: str, cli: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "home").mkdir()
    for name in ("pipe", "folder"):
        code, _, err = cli("export-optuna", "toy", target.format(name))
        assert code == 2
        assert f"is a {name}, not a file" in err
        assert len(err.splitlines()) == 1
    (tmp_path / "link").symlink_to("real")
    for name, made in (("link", "real"), ("~/x", "home/x")):
        assert cli("export-optuna", "toy", target.format(name))[0] == 0
        assert (tmp_path / made).is_file()


def test_init_replaces_nothing(cli: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe.yaml", "link.yaml", "folder.yaml"):
        code, _, err = cli("init", "digits", name)
        assert code == 2
        assert "already exists" in err
    assert not (tmp_path / "nowhere.yaml").exists()


def test_a_study_s_own_files_never_hold_it_up(cli: Cli, storage: Path, tmp_path: Path) -> None:
    """A report that somebody publishes by a link stays published; a pipe in its place is refused before any work."""
    config = toy_config(name="own", storage={"path": str(tmp_path)})
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config.to_dict()))
    config.folder.path.mkdir()
    os.mkfifo(config.folder.best_file)
    code, _, err = cli("launch", "study.yaml")
    assert code == 2
    assert "best.yaml: cannot be written: is a pipe, not a file" in err
    (tmp_path / "public.html").write_text("old")
    page = storage / "toy" / "report.html"
    page.symlink_to(tmp_path / "public.html")
    assert cli("report", "toy")[0] == 0
    assert page.is_symlink()
    assert _is_page((tmp_path / "public.html").read_bytes())
    page.unlink()
