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


def test_every_command_is_named() -> None:
    for name in get_command(app).commands:  # type: ignore[attr-defined]
        assert f"ganstudy {name}" in README


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_every_page_is_linked() -> None:
    everything = "".join(page.read_text() for page in PAGES)
    for page in (ROOT / "docs").glob("*.md"):
        assert f"docs/{page.name})" in everything, page.name


def test_every_dict_in_the_architecture_exists() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    for registry in re.findall(r"`([A-Z]+S)` \|", page):
        sources = [
            path.read_text()
            for package in ("trainables", "search_spaces", "study")
            for path in (ROOT / package).rglob("*.py")
        ]
        assert any(re.search(rf"^{registry}: dict", text, re.MULTILINE) for text in sources), registry
