"""What is told of a worker's code against the driver's, and what a working directory may not hide."""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from study.running import same_code
from study.running.same_code import DriverPath, _difference, driver_code
from trainables.source import Code, digest, read_code

ROOT = Path(same_code.__file__).parents[2]


def there(part: str, name: str, value: str | None) -> Code:
    """The driver's code but for one entry."""
    code = copy.deepcopy(driver_code())
    if value is None:
        del code[part][name]
    else:
        code[part][name] = value
    return code


def test_the_same_code_is_the_same() -> None:
    assert _difference(copy.deepcopy(driver_code()), driver_code(), same_host=True) is None


@pytest.mark.parametrize(
    ("part", "name", "value", "said"),
    [
        ("folders", "trainables", None, "there is no trainables; install"),
        ("folders", "trainables", "/else/trainables", "/else/trainables, and not "),
        ("versions", "torch", "1.0", "torch 1.0, the driver has "),
        ("versions", "torch", None, "torch is missing, the driver has "),
        ("files", "trainables/gan/step.py", "0" * 64, "trainables/gan/step.py in "),
        ("files", "trainables/gan/step.py", None, "trainables/gan/step.py in "),
        ("files", "study/more.py", "0" * 64, "study/more.py in "),
    ],
)
def test_a_difference_is_told(part: str, name: str, value: str | None, said: str) -> None:
    told = _difference(there(part, name, value), driver_code(), same_host=True)
    assert told is not None
    assert said in told
    assert "\n" not in told


def test_another_host_may_keep_the_same_code_elsewhere_and_torch_of_another_build() -> None:
    assert _difference(there("folders", "trainables", "/else/trainables"), driver_code(), same_host=False) is None
    version = driver_code()["versions"]["torch"].partition("+")[0]
    assert _difference(there("versions", "torch", f"{version}+cu999"), driver_code(), same_host=False) is None


def test_code_is_read_without_an_import_and_a_file_stands_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "some_module.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    code = read_code(["some_package", "some_module", "no_package"], ["no-distribution"])
    folders = {"some_package": str(package.resolve()), "some_module": str((tmp_path / "some_module.py").resolve())}
    assert code["folders"] == folders
    assert list(code["files"]) == ["some_package/__init__.py"]
    assert code["versions"] == {}
    before = digest(code, "some_package")
    (package / "__init__.py").write_text("")
    assert digest(read_code(["some_package"]), "some_package") != before


def test_workers_get_no_folder_but_the_drivers_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for first, expected in ((str(tmp_path), []), ("", []), (str(ROOT), [str(ROOT)])):
        monkeypatch.setattr(sys, "path", [first, *sys.path[1:]])
        settings: Any = DriverPath()
        assert settings._py_driver_sys_path == expected
        assert settings._runtime_env_has_working_dir(), "by which Ray adds none"


def run(cwd: Path, *line: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(line or ("-m", "study.cli")), "--version"]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True)


def test_the_driver_takes_nothing_from_its_working_directory(tmp_path: Path) -> None:
    for name in ("trainables", "typer", "rich", "random"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('hidden')")
    answer = run(tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize("name", ["trainables.py", "trainables/__init__.py", "search_spaces/__init__.py"])
def test_packages_from_different_places_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    answer = run(tmp_path, PYTHONPATH=str(tmp_path))
    assert answer.returncode == 2
    [line] = answer.stderr.splitlines()
    assert line.startswith("ganstudy: ")
    assert f"is found in {file}" in line
