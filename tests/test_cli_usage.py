"""The command line as such: help, one-line usage errors, exit codes, completion, colours."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import AuthenticationError, RaySystemError
from typer.main import get_command
from typer.testing import CliRunner

from search_spaces.registry import SPACES
from study.cli import app, main
from study.exit_codes import EXIT_CODES
from study.terminal import completion
from trainables.data import SOURCES
from trainables.errors import CorruptFile, CorruptInput, DataNotFound, Diverged, GanStudyError, InvalidInput

ROOT = Path(__file__).parents[1]
SCRIPTED = (
    *("status", "best", "list", "verify", "noise", "compare", "evaluate", "launch", "sync", "doctor"),
    *("data describe", "spaces", "spaces show"),
)


def leaves(command: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every command that can be run, with the words that call it."""
    found = [] if path and hasattr(command, "commands") and not command.invoke_without_command else [(path, command)]
    for name, sub in getattr(command, "commands", {}).items():
        found += leaves(sub, (*path, name))
    return [(words, one) for words, one in found if words]


LEAVES = leaves(get_command(app))


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run the program; return exit code, standard output and error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ganstudy", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        return (int(exited.value.code or 0), *capfd.readouterr())

    return run


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch"], "no such command 'nosuch'"),
        (["statu"], "Did you mean 'status'?"),
        (["status"], "missing argument 'NAME'"),
        (["status", "a", "b"], "unexpected extra argument"),
        (["best", "x", "--top", "a"], "--top"),
        (["best", "x", "--top", "0"], "--top"),
        (["best", "x", "--topp", "1"], "no such option: --topp"),
        (["launch", "x.yaml", "--set"], "'--set' requires an argument"),
        (["sample", "x", "--class", "-1"], "--class"),
        (["spaces", "nosuch"], "no such command 'nosuch'"),
        (["data", "describe"], "missing argument 'DATA'"),
        (["run-trial", "x.yaml"], "missing option '--kimg'"),
    ],
)
def test_wrong_usage_is_one_line_with_exit_code_2(left: Any, arguments: list[str], says: str) -> None:
    code, out, err = left(*arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("ganstudy: ")
    assert says in line
    assert re.search(r"; see: ganstudy [a-z -]*--help$", line)


def test_the_version(left: Any) -> None:
    assert left("--version") == (0, "ganstudy 0.1.0\n", "")


def test_without_a_command_there_is_help(left: Any) -> None:
    code, out, err = left()
    assert (code, err) == (2, "")
    assert "launch" in out


def test_ctrl_c_in_a_command_is_one_line(left: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("study.commands.results.status", interrupted)
    assert left("status", "x") == (130, "", "ganstudy: interrupted\n")


def test_sigterm_in_a_command_is_taken_as_ctrl_c(left: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_taken(*arguments: object) -> None:
        raise AssertionError("SIGTERM came to the handler of before")

    def terminated(*arguments: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("study.commands.results.status", terminated)
    before = signal.signal(signal.SIGTERM, not_taken)
    try:
        assert left("status", "x") == (130, "", "ganstudy: interrupted\n")
        assert signal.getsignal(signal.SIGTERM) is not_taken, "put back"
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as of a shell's trap '' TERM
        assert left("status", "x") == (0, "", "")
    finally:
        signal.signal(signal.SIGTERM, before)


def test_sigterm_while_ray_starts_is_taken_as_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the main thread Ray would set a handler of its own, which exits with 15.

    Nobody waits for it, or talks to it: the signal may be for Ray as well.
    """
    from study.running import ray_start

    ended: list[str] = []
    held = threading.Event()

    def ours(*arguments: object) -> None:
        held.set()
        raise KeyboardInterrupt

    def init(**options: object) -> None:
        assert threading.current_thread() is not threading.main_thread()
        os.kill(os.getpid(), signal.SIGTERM)
        held.wait(30)

    monkeypatch.setattr(ray_start.ray, "init", init)
    monkeypatch.setattr(ray_start.ray, "shutdown", lambda: ended.append("shutdown"))
    before = signal.signal(signal.SIGTERM, ours)
    try:
        with pytest.raises(KeyboardInterrupt), ray_start.RayStart(None) as start:
            start.wait()
        assert ended == []
        start.end()  # else `main` would end this process at once
        assert ended == ["shutdown"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_ray_that_nobody_began_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from study.running import ray_start

    def never(**options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ray_start.ray, "init", never)
    monkeypatch.setattr(ray_start.ray, "shutdown", never)
    with ray_start.RayStart(None):
        pass


def test_a_ray_that_never_answers_holds_no_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    from study.running import ray_start

    answer, over = threading.Event(), threading.Event()
    monkeypatch.setattr(ray_start, "_END_SECONDS", 0.1)
    monkeypatch.setattr(ray_start.ray, "init", lambda **options: answer.wait(60))
    monkeypatch.setattr(ray_start.ray, "shutdown", over.set)
    with ray_start.RayStart(None) as start:
        start.begin()
    assert not over.is_set()
    answer.set()
    assert over.wait(60), "one that answers after all is ended"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionError("no luck\nand more"), "no luck and more; see ray/session_latest/logs"),
        (Exception("The current node timed out during startup."), "timed out during startup; "),
        (FileNotFoundError(2, "No such file or directory", "/gone/ray"), "/gone/ray'; set RAY_TMPDIR to a short path"),
        (OSError("AF_UNIX path length cannot exceed 107 bytes: /long"), "/long; set RAY_TMPDIR to a short path"),
        (RaySystemError("no ground"), "no ground; see "),
        (AuthenticationError("Token authentication is enabled"), "; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "),
        (SystemExit(15), "15; see "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_ray_refuses_is_told_in_one_line(error: BaseException, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from study.running import ray_start

    def init(**options: object) -> None:
        raise error

    monkeypatch.setattr(ray_start.ray, "init", init)
    monkeypatch.setattr(ray_start.ray, "shutdown", lambda: None)
    with ray_start.RayStart(None) as start:
        start.begin()
        with pytest.raises(GanStudyError) as told:
            start.wait()
    assert str(told.value).startswith("a local Ray does not start: ")
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_a_small_limit_of_memory_is_refused_where_ray_would_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from study.running import ray_errors

    ray_errors.refuse_small_address_space()
    monkeypatch.setattr(resource, "getrlimit", lambda number: (6_000_000 << 10,) * 2)
    monkeypatch.setattr("ray._common.utils.get_system_memory", lambda: 24 << 30)
    with pytest.raises(GanStudyError, match=r"ulimit -v 6000000 is too small; set \d+ at least, or unlimited"):
        ray_errors.refuse_small_address_space()


def test_a_limit_that_may_be_why_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from study.running import ray_errors

    limits = {resource.RLIMIT_NOFILE: (30, 30)}
    monkeypatch.setattr(resource, "getrlimit", lambda number: limits.get(number, (resource.RLIM_INFINITY,) * 2))
    assert "; raise the limit ulimit -n 30" in str(ray_errors.ray_failed(None, TimeoutError("no port")))


@pytest.mark.parametrize(("words", "command"), LEAVES, ids=[" ".join(words) for words, _ in LEAVES])
def test_every_command_has_help_with_an_example_that_parses(words: tuple[str, ...], command: Any) -> None:
    examples = re.findall(r"^Example: ganstudy (.*)$", command.help, re.MULTILINE)
    assert examples
    assert all(example.split()[: len(words)] == list(words) for example in examples)
    first = command.help.split("\n\n")[0]
    assert len(" ".join(first.split())) <= 140, "the first sentence stands in the list of commands"


def test_every_command_stands_in_a_panel() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert not [name for name, command in commands.items() if not command.rich_help_panel]


@pytest.mark.parametrize("words", SCRIPTED)
def test_what_a_script_would_read_comes_as_json(words: str) -> None:
    command = {" ".join(path): one for path, one in LEAVES}[words]
    assert any("--json" in parameter.opts for parameter in command.params)


# ---------------------------------------------------------------------------------------------------- exit codes


def test_every_error_has_a_documented_code() -> None:
    for error in (GanStudyError, InvalidInput, DataNotFound, CorruptFile, CorruptInput, Diverged):
        assert error.exit_code in EXIT_CODES
    assert set(EXIT_CODES) == {0, 1, 2, 3, 130, 141}


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    table = {int(code): what for code, what in rows if int(code) in EXIT_CODES and what in EXIT_CODES.values()}
    assert table == EXIT_CODES


def test_codes_are_named_not_typed() -> None:
    """No command leaves with a number of its own."""
    files = sorted((ROOT / "study").rglob("*.py"))
    assert ROOT / "study/commands/running.py" in files
    for file in files:
        assert not re.search(r"(typer\.Exit|sys\.exit|SystemExit)\(\d", file.read_text()), file


# ---------------------------------------------------------------------------------------------------- completion


def test_names_for_completion_are_those_of_the_registries() -> None:
    assert tuple(SPACES) == completion.SPACES
    assert tuple(SOURCES) == completion.SOURCES


def completed(line: str, folder: Path) -> list[str]:
    """What bash would offer after `line`."""
    environment = os.environ | {
        "_GANSTUDY_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    environment.pop("GANSTUDY_STORAGE", None)
    command = [sys.executable, "-c", "from study.cli import main; main()"]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    return answer.stdout.split()


def test_completion_offers_names(tmp_path: Path) -> None:
    for name in ("runs/first", "runs/second", "elsewhere/third"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "study.yaml").touch()
    (tmp_path / "runs" / "no-study").mkdir()
    assert completed("ganstudy sta", tmp_path) == ["status"]
    assert completed("ganstudy status ", tmp_path) == ["first", "second"]
    assert completed("ganstudy best --storage elsewhere th", tmp_path) == ["third"]
    assert completed("ganstudy spaces show gan", tmp_path) == ["gan28", "gan32"]
    assert completed("ganstudy data describe fa", tmp_path) == ["fashion_mnist"]


def test_completion_imports_nothing_heavy() -> None:
    code = "import sys, study.cli\nassert not {'torch', 'ray', 'optuna', 'numpy', 'sqlalchemy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# ---------------------------------------------------------------------------------------------------- colours


@pytest.mark.parametrize("width", ["60", "80", "140"])
def test_help_fits_the_terminal_and_has_no_colour_where_none_is_wanted(width: str) -> None:
    for arguments in (["--help"], ["launch", "--help"], ["train", "--help"]):
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": width, "TERMINAL_WIDTH": width, "NO_COLOR": "1"})
        assert result.exit_code == 0
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]", result.output)
        assert max(map(len, result.output.splitlines())) <= int(width)


# ------------------------------------------------------------------------------------------------------ names mistyped


@pytest.mark.parametrize("command", ["best", "status", "report", "verify", "noise", "confirm", "results", "promote"])
def test_a_mistyped_study_is_guessed(command: str, left: Any, tmp_path: Path) -> None:
    (tmp_path / "quickstart").mkdir()
    (tmp_path / "quickstart" / "study.yaml").touch()
    code, out, err = left(command, "quikstart", "--storage", str(tmp_path))
    assert (code, out) == (2, "")
    assert "no study 'quikstart' in" in err
    assert "did you mean 'quickstart'? `ganstudy list` shows" in err


def test_a_mistyped_file_is_guessed(left: Any, tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").touch()
    code, out, err = left("launch", str(tmp_path / "quikstart.yaml"))
    assert (code, out) == (2, "")
    assert f"No such file or directory; did you mean '{tmp_path / 'quickstart.yaml'}'?" in err


def test_a_study_is_not_compared_with_itself(left: Any, tmp_path: Path) -> None:
    assert left("compare", "a", "a", "--storage", str(tmp_path)) == (
        2,
        "",
        "ganstudy: compare a a: the same study twice; name two\n",
    )


@pytest.mark.parametrize(
    "words", [("compare", ""), ("compare", "quickstart", ""), ("best", ""), ("doctor", "--study", "")]
)
def test_studies_are_completed_at_the_shell(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "quickstart").mkdir()
    (tmp_path / "quickstart" / "study.yaml").touch()
    asked = {
        "_GANSTUDY_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["ganstudy", *words]),
        "COMP_CWORD": str(len(words)),
    }
    result = CliRunner().invoke(app, [], prog_name="ganstudy", env={**asked, "GANSTUDY_STORAGE": str(tmp_path)})
    assert result.output.split() == ["quickstart"]
