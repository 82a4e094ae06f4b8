"""Every `ganstudy ...` line in README.md and docs/ parses as it stands, and the cheap ones are run."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ganstudy
from typer.main import get_command

from study.cli import app, main
from trainables.gan.config import TrialConfig

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_TYPED = re.compile(r"^(?:    )?\$? ?(ganstudy .*)$", re.MULTILINE)  # a line of a block
_NUMBERS = {"N", "K", "S"}  # what stands for one
_ABOUT_ITSELF = {"--help", "--version", "--install-completion", "--show-completion"}
_QUOTED = re.compile(r"`(ganstudy [^`]*)`")


def lines() -> list[tuple[str, str]]:
    """Every command with the page it is on, without comments; what is in square brackets may be left out."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for line in [*_TYPED.findall(text), *(" ".join(one.split()) for one in _QUOTED.findall(text))]:
            command = re.split(r"\s+#|;|\s\|\s|\s&&", line)[0].strip()
            found.append((page.name, command.replace("[", "").replace("]", "")))
    return sorted(set(found))


LINES = lines()


def parsed(words: list[str]) -> tuple[Any, dict[str, Any]]:
    """The command that these words call, and its parameters; nothing is run.

    A name alone (`ganstudy status`) stands for the command, and is not held to its arguments.
    """
    command: Any = get_command(app)
    context = command.make_context("ganstudy", list(words), resilient_parsing=False)
    while getattr(command, "commands", None):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return command, context.params
        name, command, rest = command.resolve_command(context, rest)
        if not rest and not getattr(command, "commands", None):
            return command, {}
        context = command.make_context(name, rest, parent=context)
    return command, context.params


def test_there_are_many() -> None:
    assert len(LINES) > 40
    assert {page for page, _ in LINES} >= {"README.md", "faq.md", "recipes.md", "study-file.md"}


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page}: {line}" for page, line in LINES])
def test_a_documented_command_parses(page: str, line: str) -> None:
    program, *words = ["3" if word in _NUMBERS else word for word in shlex.split(line.replace("...", ""))]
    assert program == "ganstudy"
    if not set(words) & _ABOUT_ITSELF:
        command, _ = parsed(words)
        assert command.name in " ".join(words)


@pytest.mark.parametrize("line", ["nosuch", "status NAME --nope", "best NAME --top a", "spaces shwo quick"])
def test_the_test_would_see_one_that_does_not(line: str) -> None:
    with pytest.raises(Exception, match=r"o such|not a valid|valid integer"):
        parsed(line.split())


def test_files_that_are_named_are_there() -> None:
    named = {word for _, line in LINES for word in line.split() if word.startswith("studies/")}
    assert named
    assert all((ROOT / name).is_file() for name in named)


# ---------------------------------------------------------------------------------------------------- for real

RUN = (  # in this order: what each needs comes before it
    *("launch FILE --dry-run", "launch FILE", "launch FILE --set trials=4"),
    *("status NAME", "best NAME --top 5 --json", "list", "list --json", "report NAME"),
    *("launch FILE --set name=OTHER --set trials=1", "compare NAME OTHER"),
    *("results NAME --out trials.parquet", "export-optuna NAME sqlite:///x.db"),
    *("export NAME best.yaml", "run-trial best.yaml --kimg 2", "train best.yaml --kimg 4"),
    *("sample best -n 64 --out grid.png", "evaluate best --split test", "sync NAME", "verify NAME"),
    *("sample NAME", "evaluate NAME --trial 1", "export-onnx best best.onnx", "promote NAME --onnx best.onnx --force"),
    *("spaces", "spaces show quick", "init digits new.yaml", "launch FILE"),
)


@pytest.mark.slow
def test_documented_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """On a tiny study of the digits, one after the other, as a newcomer would."""
    study = {
        "name": "tiny",
        "data": {"name": "digits"},
        "space": {"base": "quick", "fix": {"model.name": "mlp"}},
        "trials": 3,
        "schedule": {"grace_kimg": 1, "max_kimg": 2},
        "evaluation": {"count": 200, "metrics": []},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANSTUDY_STORAGE", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    said: dict[str, str] = {}
    for line in RUN:
        words = line.replace("FILE", "study.yaml").replace("NAME", "tiny").replace("OTHER", "other").split()
        if words[0] == "launch":  # Ray reads its variables when it is imported, and other tests have imported it
            said[line] = ganstudy(*words)
        else:
            monkeypatch.setattr(sys, "argv", ["ganstudy", *words])
            with pytest.raises(SystemExit) as left:
                main()
            out, err = capfd.readouterr()
            assert not left.value.code, f"ganstudy {line}: {out}{err}"
            assert "Traceback" not in out + err
            said[line] = out
        if line == "launch FILE --set trials=4":
            study["trials"] = 4
            (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    TrialConfig.from_dict(yaml.safe_load((tmp_path / "best.yaml").read_text())["trial"])
    again = said["launch FILE"]  # the last one, of a study that has ended
    assert "has come to its end: 4 of 4 trials" in again
    assert "--set trials=8" in again
    assert "preparing" not in again, "neither data nor Ray are needed to tell that"
