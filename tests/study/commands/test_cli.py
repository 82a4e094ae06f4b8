"""The command line, without training: what each command prints, and how it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from toys import drive, open_study, toy_config
from typer.testing import CliRunner

from study.cli import app, main
from trainables.errors import InvalidInput
from trainables.gan.config import TrialConfig

runner = CliRunner()


def run(*arguments: str) -> str:
    result = runner.invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["ganstudy", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return int(left.value.code or 0), captured.err


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage folder with one finished study, `toy`."""
    root = tmp_path_factory.mktemp("runs")
    config = toy_config(storage={"path": str(root)})
    config.folder.path.mkdir()
    config.folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    open_study(config.folder.ledger, config)
    drive(config.folder.ledger, config)
    return root


def test_help_names_every_command() -> None:
    text = run("--help")
    for command in (
        "launch",
        "status",
        "best",
        "export",
        "run-trial",
        "noise",
        "ui",
        "sync",
        "verify",
        "data",
        "spaces",
        "list",
    ):
        assert command in text


def test_status_shows_every_trial_and_the_counts(storage: Path) -> None:
    text = run("status", "toy", "--storage", str(storage))
    assert "12 of 12 trials" in text
    rows = json.loads(run("status", "toy", "--storage", str(storage), "--json"))
    assert [row["trial"] for row in rows] == list(range(12))
    assert {row["state"] for row in rows} >= {"completed", "stopped"}


def test_best_ranks_equal_budgets_first(storage: Path) -> None:
    rows = json.loads(run("best", "toy", "--storage", str(storage), "--top", "12", "--json"))
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    keys = [(-row["kimg"], row["fid_best"]) for row in rows]
    assert keys == sorted(keys)
    assert len(run("best", "toy", "--storage", str(storage), "--top", "3").splitlines()) >= 4


def test_export_writes_a_configuration_that_validates(storage: Path, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "best.yaml"
    run("export", "toy", str(file), "--storage", str(storage))
    data = yaml.safe_load(file.read_text())
    TrialConfig.from_dict(data["trial"])
    top = json.loads(run("best", "toy", "--storage", str(storage), "--top", "1", "--json"))[0]
    assert data["origin"]["trial"] == top["trial"]
    assert data["origin"]["fids"] == {int(k): v for k, v in top["fids"].items()}
    run("export", "toy", str(file), "--trial", "5", "--storage", str(storage))
    assert yaml.safe_load(file.read_text())["origin"]["trial"] == 5


def test_list_shows_the_study(storage: Path, tmp_path: Path) -> None:
    assert "toy" in run("list", "--storage", str(storage))
    assert "no studies" in run("list", "--storage", str(tmp_path))


def test_the_storage_folder_can_come_from_the_environment(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSTUDY_STORAGE", str(storage))
    assert "12 of 12" in run("status", "toy")


def test_spaces_are_listed_and_shown() -> None:
    listed = run("spaces")
    for name in ("quick", "gan28", "lucic_wide", "lucic_narrow"):
        assert name in listed
    shown = run("spaces", "show", "quick")
    assert "generator_optimiser.lr" in shown
    assert "Radford" in shown


def test_data_describe_tells_floor_and_ceiling() -> None:
    facts = json.loads(run("data", "describe", "digits", "--json"))
    assert 0 < facts["fid_floor"] < facts["fid_ceiling"]
    assert sum(facts["images"].values()) == 1797
    assert facts["fingerprint"] in run("data", "describe", "digits")


def test_a_dry_run_shows_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(toy_config(storage={"path": str(tmp_path / "runs")}).to_dict()))
    text = run("launch", str(file), "--dry-run", "--set", "trials=30", "--set", "concurrency=2")
    assert "rungs at 1, 3 kimg" in text
    assert "trials: 30" in text
    # An MLP of width 256 and depth 2 on 8 x 8: G 64-256-256-64 without biases under batch norm, D 64-256-256-1.
    g = 64 * 256 + 2 * 256 + 256 * 256 + 2 * 256 + (256 + 1) * 64
    d = (64 + 1) * 256 + (256 + 1) * 256 + 257
    assert f"{g:,}" in text
    assert f"{d:,}" in text
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_refuses_what_a_launch_would(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(toy_config().to_dict()))
    result = runner.invoke(app, ["launch", str(file), "--dry-run", "--set", "evaluation.count=64"])
    assert isinstance(result.exception, InvalidInput)
    assert "evaluation.count=64: must be more than" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status", "nowhere"], "no study 'nowhere'"),
        (["status", "../evil"], "study name '../evil'"),
        (["best", "$(id)"], "study name '$(id)'"),
        (["launch", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["run-trial", "nowhere.yaml", "--kimg", "1"], "nowhere.yaml: cannot be read"),
        (["spaces", "show", "qick"], "did you mean 'quick'?"),
        (["data", "describe", "cats"], "choose one of fashion_mnist"),
        (["data", "describe", "npz"], "'path' is missing"),
    ],
)
def test_errors_are_one_line_with_exit_code_2(
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text = refused(*arguments, capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2
    assert says in text
    assert len(text.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["99", "-1"])
def test_a_trial_that_is_not_there_is_refused(
    storage: Path,
    tmp_path: Path,
    number: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ["export", "toy", str(tmp_path / "x.yaml"), "--storage", str(storage), "--trial", number]
    code, text = refused(*arguments, capsys=capsys, monkeypatch=monkeypatch)
    assert (code, "0 to 11" in text) == (2, True)


def test_a_study_without_reports_has_no_best(tmp_path: Path) -> None:
    config = toy_config(storage={"path": str(tmp_path)})
    config.folder.path.mkdir()
    config.folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    open_study(config.folder.ledger, config)
    result = runner.invoke(app, ["best", "toy", "--storage", str(tmp_path)])
    assert result.exit_code == 3
    assert "no trial" in result.output


def test_tables_are_whole_in_a_narrow_pipe(storage: Path) -> None:
    command = [sys.executable, "-m", "study.cli", "best", "toy", "--storage", str(storage), "--top", "12"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "…" not in text.split("configuration")[0]
    for trial in json.loads(run("best", "toy", "--storage", str(storage), "--top", "12", "--json")):
        assert f"{trial['fid_best']:.2f}" in text
