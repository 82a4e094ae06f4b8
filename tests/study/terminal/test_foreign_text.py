"""Text from outside, through every door by which it is shown: escaped, in terminal, HTML, MLflow and tables."""

import ast
import csv
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from made_up import study, trial
from PIL import Image
from rich.text import Text

import study as study_package
import trainables as trainables_package
from study.analysis.results import FORMATS
from study.cli import main
from study.folder import StudyFolder
from study.mlflow.note import study_note
from study.mlflow.values import cut
from study.report.page import report
from study.report.svg import Label, svg
from study.report.svg import Path as Line
from study.terminal import errors
from study.terminal.fitted import Fitted
from study.terminal.hints import typed
from study.terminal.say import say, show_warnings, suggest
from study.terminal.screen import Screen
from study.views.tables import folded_table
from trainables.display import in_markdown, one_line, printable, quoted, shown

# Clear the screen, the terminal's title, one-byte CSI, overwrite a line, turn round, hide, break, no UTF-8, markup.
EVIL = "\x1b[2J\x1b]0;t\x07\x9b31m\r\b\x00\x7f\u202e\u2066\u200b\u2028\udc80[red]:smile:[/]"
ANY = st.text(st.characters(exclude_categories=()), max_size=30)
TEXTS = given(ANY) and (lambda test: settings(deadline=None)(example(EVIL)(example("a\nb\tc")(given(ANY)(test)))))


def is_harmless(text: str) -> bool:
    text.encode()
    return all(c.isprintable() or c == "\n" for c in text)


def on_screen(show: Any, text: str) -> str:
    written = io.StringIO()
    show(Screen(file=written, width=200), text)
    return written.getvalue()


def warn(screen: Screen, text: str) -> None:
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        show_warnings(screen)
        try:
            raise ValueError(text)
        except ValueError:
            logging.getLogger("others").warning("they say %s", text, exc_info=True)
    finally:
        root.handlers = before


DOORS = {
    "print": lambda screen, text: screen.print(text),
    "print Text": lambda screen, text: screen.print(Text(text), style="bold"),
    "rule": lambda screen, text: screen.rule(text),
    "say": say,
    "suggest": lambda screen, text: suggest(screen, [(typed("launch", text), "run it")]),
    "table": lambda screen, text: screen.print(Fitted([("a", "left"), (text, "left")], [["1", text]])),
    "folded table": lambda screen, text: screen.print(folded_table([(text, "left")], [[text], [Text(text)]])),
    "log": warn,
}


@pytest.mark.parametrize("door", DOORS)
def test_nothing_reaches_a_terminal_raw(door: str) -> None:
    @TEXTS
    def every(text: str) -> None:
        assert is_harmless(on_screen(DOORS[door], text))

    every()
    written = on_screen(DOORS[door], EVIL)
    assert r"\x1b[2J" in written, "visible, not left out"
    assert "[red]:smile:[/]" in written


@TEXTS
def test_json_reads_back_and_is_ascii(text: str) -> None:
    written = on_screen(lambda screen, given: screen.print_json(data={"x": [given]}), text)
    assert json.loads(written) == {"x": [text]} or "***" in written
    assert written.isascii()
    assert is_harmless(written)


@TEXTS
def test_an_error_is_one_printable_line(text: str) -> None:
    for made in (one_line(text), quoted(text), quoted({text: [text]}), printable(text), in_markdown(text)):
        assert made.isprintable()
    assert is_harmless(shown(text))


def test_the_line_of_an_error_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    errors._tell(f"a\n{EVIL}")
    err = capsys.readouterr().err
    assert err.startswith(r"ganstudy: a \x1b[2J\x1b]0;t\x07\x9b31m")
    assert is_harmless(err)
    assert err.count("\n") == 1


def _drawn(text: str) -> str:
    """A page's text as an element's, an attribute's and a title's."""
    return svg(9, 9, [Label(text, 1, 2, "name"), Line("M0 0", "line", text)], text)


@TEXTS
def test_html_mlflow_and_csv(text: str) -> None:
    page = _drawn(f"x{text}")
    assert is_harmless(page)
    assert page.count("<") == _drawn("x").count("<")
    assert page.count('"') == _drawn("x").count('"')
    assert is_harmless(cut(text, 1000))
    numbers = pd.array([1, None], "Int64")
    frame = pd.DataFrame({"number": numbers, "cause": pd.Series([text, "ok"], dtype=object), "loss": [1.5, -2.5]})
    frame.columns = pd.Index(["number", "cause", text], dtype=object)
    raw = FORMATS[".csv"](frame).decode()
    assert is_harmless(raw)
    head, first, second = csv.reader(io.StringIO(raw))
    assert (first[0], second[0], second[-1]) == ("1", "", "-2.5"), "numbers stay as they are"
    assert not any(cell.startswith(("=", "+", "@")) for cell in (*head, *first, *second))


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1"])
def test_a_text_is_no_formula_in_a_spreadsheet(cell: str) -> None:
    raw = FORMATS[".csv"](pd.DataFrame({"cause": [cell]})).decode()
    assert raw.splitlines()[1].lstrip('"').startswith("'")


def test_hints_can_be_pasted(tmp_path: Path) -> None:
    """A name that cannot be shown is quoted by its bytes: what is pasted is the name again."""
    name = os.fsdecode(b"a\x1b[2J'b\\c\xff\n")
    line = typed("launch", name).replace("ganstudy launch", "printf %s", 1)
    assert line.isprintable()
    try:
        said = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no bash")
    assert os.fsdecode(said) == name


MARKDOWN = "<script>alert(1)</script> ![x](http://y) [z](javascript:1) | `c` **b**\n# head"


def test_a_crafted_study_in_the_report_and_in_mlflow(tmp_path: Path) -> None:
    evil = EVIL + MARKDOWN
    made = study(trial(0, {1: 9.0}, "failed", cause=evil), trial(1, {1: 8.0, 9: 7.0}, params={evil: 1.0}))
    made.config.update(name=evil, space={"base": evil}, sampler={"name": evil}, data={"name": evil})
    page = report(made, StudyFolder(tmp_path, "toy"))
    assert is_harmless(page)
    assert "<script" not in page
    assert r"\x1b[2J" in page
    note = study_note(made, "finished", "", "", {})
    assert is_harmless(note)
    assert r"\\x1b\[2J" in note
    for markup in ("<script", "![x]", "[z]", "**b**", "`c`", "\n# head"):
        assert markup not in note
    rows = [line for line in note.splitlines() if line.startswith("| **")]
    assert all(len(line.replace(r"\|", "").split("|")) == 4 for line in rows), "no cell is broken"


# What prints by itself: the generators of documents and of weights, the program's version, and what escapes before.
PRINTS = {"cli.py", "own_path.py", "study_file/reference.py", "evaluation/train_classifier.py", "terminal/errors.py",
          "running/ray_watch.py", "analysis/results.py"}  # fmt: skip


def test_there_is_no_other_door() -> None:
    """Whoever prints does so through a console that was handed to it, and every console is a Screen."""
    found = set()
    for package in (study_package, trainables_package):
        root = Path(package.__path__[0])
        for file in root.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if call in ("print", "sys.stdout.write", "sys.stderr.write", "typer.echo", "typer.secho", "click.echo"):
                    found.add(str(file.relative_to(root)))
                if call == "Console":
                    assert file.name == "folder.py", "rich's own bar of progress on its way through a folder"
    assert found <= PRINTS


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of images of two classes whose names are to harm: all of the bytes that a file's name may have."""
    root = tmp_path / os.fsdecode(b"pic\x1b[2J\xff")
    for number in range(140):
        name = (b"a\x1b[2J[red]", b"b\xff\xe2\x80\xae\r\n")[number % 2]
        folder = root / os.fsdecode(name)
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.new("L", (8, 8), number)
        picture.putpixel((number % 8, number // 8 % 8), 255 - number)
        with (folder / os.fsdecode(b"%03d\x1b]0;t\x07.png" % number)).open("wb") as file:
            picture.save(file, "PNG")
    return root


def test_pictures_with_evil_names_are_read_as_they_are_and_shown_escaped(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["ganstudy", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfd.readouterr()
        assert is_harmless(out + err), (words, out + err)
        assert "Traceback" not in err, err
        return SimpleNamespace(code=left.value.code, out=out, err=err)

    size = ("--size", "8", "--mode", "grey")
    said = run("data", "describe", "folder", "--path", pictures, *size)  # read, and refused for being few
    assert said.code == 2
    assert "images" in said.err
    for more in ((), ("--json",)):
        said = run("data", "describe", pictures, *size, "--splits", "all", *more)
        assert said.code == 0, said.err
        assert r"a\x1b[2J[red]" in said.out or more
    bad = next(pictures.rglob("000*"))
    bad.write_bytes(bad.read_bytes()[:60])
    said = run("data", "describe", "folder", "--path", pictures, *size)
    assert said.code == 2
    assert r"pic\x1b[2J\udcff/a\x1b[2J[red]/000\x1b]0;t\x07.png: damaged image" in said.err
    study_file = tmp_path / "study.yaml"
    plain = tmp_path / "pictures"
    pictures.rename(plain)
    study_file.write_text(
        "name: evil\ndata: {name: folder, path: pictures, size: 8, mode: grey}\nspace: {base: quick}\ntrials: 1\n"
        "schedule: {grace_kimg: 1, max_kimg: 1}\n"
    )
    said = run("launch", study_file, "--dry-run")
    assert said.code == 2
    assert r"pictures/a\x1b[2J[red]/000\x1b]0;t\x07.png: damaged image" in said.err
    evil = os.fsdecode(b"x\x1b[2J\xff.yaml")
    (tmp_path / evil).write_text("name: [\x07")
    for words in (("launch", evil), ("status", EVIL.replace("\0", "")), ("list", "--storage", evil), ("init", evil)):
        assert run(*words).code in (0, 2)
