import shlex
import sys
from pathlib import Path

import pytest

from study.folder import StudyFolder
from study.running.ray_environment import cluster_address
from study.terminal.hints import again, typed
from trainables.errors import InvalidInput


@pytest.fixture(autouse=True)
def called_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["python -m study.cli"])
    monkeypatch.delenv("GANSTUDY_STORAGE", raising=False)


def test_a_hint_can_be_pasted_whatever_the_names_are(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "p #q", "a")
    assert shlex.split(typed("best", "a", folder=folder)) == ["ganstudy", "best", "a", "--storage", str(folder.root)]
    line = again(Path("my study.yaml"), ["data.path=a b", "trials=3"], None, "auto")
    words = ["ganstudy", "launch", "my study.yaml", "--set", "data.path=a b", "--set", "trials=3", "--address", "auto"]
    assert shlex.split(line) == words


def test_the_default_storage_is_not_repeated() -> None:
    assert typed("ui", "a", folder=StudyFolder(Path.cwd() / "runs", "a")) == "ganstudy ui a"


def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / ".venv" / "bin" / "ganstudy"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert typed("list") == ".venv/bin/ganstudy list"
    monkeypatch.setenv("PATH", str(program.parent))
    assert typed("list") == "ganstudy list"


@pytest.mark.parametrize(
    ("given", "address"), [(None, None), ("", None), ("local", None), ("auto", "auto"), ("h:1", "h:1")]
)
def test_addresses_of_clusters(given: str | None, address: str | None) -> None:
    assert cluster_address(given) == address


@pytest.mark.parametrize("given", ["host", "host:", ":6379", "host:0", "host:99999"])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(InvalidInput, match="use auto, HOST:PORT"):
        cluster_address(given)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("ray://h:10001", "an address of Ray Client, through which no study runs; give the GCS's HOST:PORT"),
        ("http://h:8265", "the address of Ray's dashboard, for `ray job submit`; give the GCS's HOST:PORT"),
        ("https://h", "the address of Ray's dashboard, for `ray job submit`; give the GCS's HOST:PORT"),
        ("tcp://h:1", "not an address of Ray; give the GCS's HOST:PORT"),
    ],
)
def test_an_address_of_something_else_is_told_as_what_it_is_and_where_it_came_from(
    given: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InvalidInput) as typed:
        cluster_address(given)
    assert str(typed.value).startswith(f"--address {given!r}: {what}")
    monkeypatch.setenv("RAY_ADDRESS", given)
    for said in (given, "auto"):  # which Ray takes from there, too
        with pytest.raises(InvalidInput) as found:
            cluster_address(said)
        assert str(found.value).startswith(f"RAY_ADDRESS {given!r}: {what}")
        assert str(found.value).endswith("or unset RAY_ADDRESS for a local Ray")
    assert cluster_address("local") is None
