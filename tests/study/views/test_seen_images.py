"""Wherever an FID is shown that is against images that the GAN trained on, that is said."""

from pathlib import Path

import pytest
import yaml
from toys import drive, open_study, toy_config
from typer.testing import CliRunner

from study.cli import app
from study.folder import StudyFolder
from study.ledger.catalogue import load_study
from study.ledger.events import StudyOpened
from study.mlflow.data import data_input
from study.mlflow.note import study_note
from study.report.page import report
from study.running.launch import refuse_changes
from study.study_file.config import StudyConfig
from study.study_file.data_keys import to_bring_back
from study.views.seen_images import SEEN, is_seen, split_words
from trainables.data import SOURCES
from trainables.errors import InvalidInput


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StudyFolder]:
    """Two finished studies of an .npz file, `all` and `auto` by their `data.splits`."""
    root = tmp_path_factory.mktemp("runs")
    made = {}
    for splits in ("all", "auto"):
        data = {"name": "npz", "path": str(root / "x.npz"), "splits": splits}
        config = toy_config(name=splits, data=data, storage={"path": str(root)})
        config.folder.path.mkdir()
        config.folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
        open_study(config.folder.ledger, config)
        drive(config.folder.ledger, config)
        made[splits] = config.folder
    return made


@pytest.mark.parametrize("splits", ["all", "auto"])
def test_the_commands_the_report_and_mlflow_say_so(
    folders: dict[str, StudyFolder], splits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folder, storage = folders[splits], ("--storage", str(folders[splits].root))
    study = load_study(folder)

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, *storage], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    seen = splits == "all"
    for words in (("status", splits), ("best", splits)):
        assert (SEEN in run(*words)) == seen
    assert (f"{splits}: {SEEN}" in run("compare", "all", "auto")) == seen
    rows = CliRunner().invoke(app, ["list", *storage], catch_exceptions=False).output.splitlines()
    (row,) = (row for row in rows if row.startswith(f"{splits} "))
    assert ("npz, FID on train images" in row) == seen
    assert ("against the train images (data.splits: all)" in run("export", splits, str(tmp_path / "x.yaml"))) == seen
    assert (SEEN in report(study, folder)) == seen
    assert (SEEN in study_note(study, "finished", "", "", {}).replace("\\", "")) == seen
    profile = data_input(StudyOpened("u", study.config, "f", 0.5, 9.0, {})).dataset.profile
    assert ('"fid_split": "train"' in profile) == seen


def test_a_split_is_named_by_what_it_is() -> None:
    assert split_words("test", {"data": {"name": "npz", "splits": "all"}}) == "train images (data.splits: all)"
    assert split_words("test", {"data": {"name": "digits"}}) == "test split"
    assert not is_seen({})
    able = {name for name, source in SOURCES.items() if "splits" in source.model_fields}
    assert able == {"folder", "npz"}, "the sources of which `is_seen` can be true"


def test_a_study_from_before_the_key_goes_on_and_is_told_why_its_fids_may_differ() -> None:
    config = toy_config(data={"name": "folder", "path": "/x", "size": 8})
    before = config.to_dict()
    del before["data"]["splits"]
    refuse_changes(before, config.to_dict(), Path("place"))
    assert "this ganstudy takes sub-folders called train, val and test as splits" in to_bring_back(before)
    assert to_bring_back(config.to_dict()) == "bring back the data it began with"
    other = StudyConfig.model_validate(before | {"data": before["data"] | {"splits": "all"}})
    with pytest.raises(InvalidInput, match=r"data\.splits: 'auto' -> 'all'"):
        refuse_changes(before, other.to_dict(), Path("place"))
