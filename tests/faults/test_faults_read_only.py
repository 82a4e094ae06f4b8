"""A study whose file system is mounted read-only: it can be read, and whatever would write says why it cannot."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from fault_studies import Record
from made_up import big_ledger
from toys import toy_config
from trained_study import PLAIN, trained_study

from study.cli import main
from trainables.data import Digits

Said = tuple[int, str]


@pytest.fixture
def disk(tmp_path: Path, small_disk: Callable[[Path], None]) -> Path:
    small_disk(tmp_path / "disk")
    return tmp_path / "disk"


def remount(disk: Path, how: str) -> None:
    done = subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted again here: {done.stderr.strip()}")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["ganstudy", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err, out + err
        return int(left.value.code or 0), out + err

    return run


READERS = (
    ("list",),
    ("status", "tiny"),
    ("best", "tiny"),
    ("best", "tiny", "--json"),
    ("results", "tiny"),
    ("compare", "tiny", "tiny"),
    ("verify", "tiny"),
)


def test_a_study_on_a_read_only_file_system_is_read_as_ever(disk: Path, cli: Callable[..., Said]) -> None:
    trained_study(disk, [PLAIN])
    storage = ("--storage", str(disk))
    before = [cli(*words, *storage) for words in READERS]
    remount(disk, "ro")
    assert [cli(*words, *storage) for words in READERS] == before
    assert cli("report", "tiny", "--out", "page.html", *storage)[0] == 0
    assert cli("export", "tiny", "best.yaml", *storage)[0] == 0


def test_what_would_write_there_says_that_it_is_read_only(
    disk: Path, cli: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    config = toy_config(storage={"path": str(disk)}, name="toy")
    big_ledger(config, disk, trials=4)
    trained_study(disk, [PLAIN])
    (disk / "tiny" / "mlflow.db").touch()
    digits = Digits().load()
    np.savez(tmp_path / "digits.npz", images=digits.train.images, labels=digits.train.labels)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config.to_dict()))
    new = config.to_dict() | {"name": "new", "storage": {"path": "runs"}, "mlflow": {"uri": f"sqlite:///{disk}/x.db"}}
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(new))
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(PLAIN))
    remount(disk, "ro")
    storage = ("--storage", str(disk))
    writers = (
        ("launch", "study.yaml"),
        ("launch", "new.yaml"),
        ("report", "tiny", *storage),
        ("report", "tiny", "--out", "disk/new/page.html", *storage),
        ("export", "tiny", "disk/best.yaml", *storage),
        ("results", "tiny", "--out", "disk/x.csv", *storage),
        ("export-optuna", "tiny", "sqlite:///disk/x.db", *storage),
        ("export-optuna", "tiny", "disk/x.log", *storage),
        ("noise", "tiny", *storage),
        ("confirm", "tiny", *storage),
        ("sync", "tiny", *storage),
        ("promote", "tiny", *storage),
        ("init", "digits", "disk/digits.yaml"),
        ("train", "trial.yaml", "--kimg", "1", "--out", "disk/trained"),
        ("train", "trial.yaml", "--kimg", "1", "--mlflow", "sqlite:///disk/x.db"),
        ("run-trial", "trial.yaml", "--kimg", "1", "--out", "disk/trained"),
        ("sample", "nothing", "--out", "disk/x.png"),
    )
    for words in writers:
        code, said = cli(*words)
        told = [line for line in said.splitlines() if line.startswith("ganstudy: ")]
        assert code in (1, 2), (words, said)
        assert len(told) == 1, (words, said)
        assert "read-only file system" in told[0].lower(), (words, said)
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk / "cache"))
    code, said = cli("data", "describe", "npz", "--path", "digits.npz")
    assert (code, "read-only file system" in said.lower()) == (2, True), said
    record(
        "storage on a read-only mount",
        "readers read; what writes says so in one line",
        f"{len(READERS)} readers as before, {len(writers) + 1} writers refused",
    )


def test_a_commit_that_was_cut_off_cannot_be_brought_back_there(disk: Path, cli: Callable[..., Said]) -> None:
    folder = big_ledger(toy_config(storage={"path": str(disk)}), disk, trials=8)
    live = sqlite3.connect(folder.ledger, isolation_level=None)
    live.execute("PRAGMA cache_size = 1")  # so that pages are overwritten before the commit
    live.execute("BEGIN IMMEDIATE")
    live.execute("UPDATE events SET body = body || ' '")
    copy = disk / "copy"
    shutil.copytree(folder.path, copy / "toy")
    live.execute("ROLLBACK")
    live.close()
    assert (copy / "toy" / "ledger.db-journal").stat().st_size > 0
    remount(disk, "ro")
    code, said = cli("best", "toy", "--storage", str(copy))
    assert code == 1
    assert "is on a read-only file system and an interrupted commit must be undone" in said
    remount(disk, "rw")
    assert cli("best", "toy", "--storage", str(copy))[0] == 0
