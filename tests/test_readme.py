"""What the README says is so: its study file is the shipped one, its commands and files exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from study.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_study_file_shown_is_the_quickstart() -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert shown == (ROOT / "studies/quickstart.yaml").read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"ganstudy ([a-z-]+)", README)) - {"on"}))
def test_every_command_named_exists(name: str) -> None:
    assert name in get_command(app).commands  # type: ignore[attr-defined]


def test_every_command_is_named() -> None:
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"ganstudy {name}" in README or name == "list"


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", README + (ROOT / "CONTRIBUTING.md").read_text()))
def test_every_link_leads_somewhere(target: str) -> None:
    assert target.startswith("http") or (ROOT / target).exists()


def test_every_dict_in_the_architecture_exists() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    for registry in re.findall(r"`([A-Z]+S)` \|", page):
        sources = [
            path.read_text()
            for package in ("trainables", "search_spaces", "study")
            for path in (ROOT / package).rglob("*.py")
        ]
        assert any(re.search(rf"^{registry}: dict", text, re.MULTILINE) for text in sources), registry
