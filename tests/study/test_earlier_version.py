"""A ledger written by commit 38dbe39: what reads it says what it said then.

It was written by the real commands: a study of 4 trials (2 completed, 2 stopped), `confirm --top 2 --seeds 2`, and
`noise --trial 2 --evaluations 2 --seeds 2`. Of the checkpoints it has what the trials need, and of the retrainings two.

One value differs from then: what was confirmed tells the noise of seeds too, so trial 1 is known to be tied with the
first (`best.json`).
"""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from study.cli import app

DATA = Path(__file__).parents[1] / "data" / "ledger_38dbe39"
EXPECTED = DATA / "expected"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("older") / "runs"
    shutil.copytree(DATA / "old", root / "old")
    return root


def run(root: Path, *arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments), "--storage", str(root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("status.json", ("status", "old", "--json")),
        ("best.json", ("best", "old", "--json")),
        ("confirm.json", ("confirm", "old", "--json")),
        ("noise.json", ("noise", "old", "--trial", "2", "--evaluations", "2", "--seeds", "2", "--json")),
    ],
)
def test_it_is_read_as_it_was(root: Path, name: str, arguments: tuple[str, ...]) -> None:
    """The two last ones find everything done, and do nothing."""
    assert json.loads(run(root, *arguments)) == json.loads((EXPECTED / name).read_text())


@pytest.mark.parametrize(("name", "table"), [("results.csv", "trials"), ("reports.csv", "reports")])
def test_its_tables_are_what_they_were(root: Path, name: str, table: str) -> None:
    assert run(root, "results", "old", "--table", table).split() == (EXPECTED / name).read_text().split()


def test_its_confirmed_best_is_exported_as_it_was(root: Path, tmp_path: Path) -> None:
    assert "confirmed best, mean test FID 164.02" in run(root, "export", "old", tmp_path / "best.yaml")
    exported, before = ((place / "best.yaml").read_text() for place in (tmp_path, DATA / "old"))
    assert yaml.safe_load(exported) == yaml.safe_load(before)


def test_its_report_tells_of_its_confirmation(root: Path, tmp_path: Path) -> None:
    run(root, "report", "old", "--out", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "Confirmed with fresh seeds" in text
    assert "confirmed best: trial 1, mean test FID 164.02" in text


def test_mlflow_is_made_of_it_and_verify_proves_it(root: Path) -> None:
    """A run of the study, 4 of its trials, 4 of its retrainings."""
    assert "MLflow is up to date; sent: 9 runs, " in run(root, "sync", "old")
    found, before = json.loads(run(root, "verify", "old", "--json")), json.loads((EXPECTED / "verify.json").read_text())
    (checked,) = [check["checked"] for check in found["checks"] if check["check"] == "MLflow"]
    assert checked.pop("models") == 4  # which were not made then
    assert found == before
