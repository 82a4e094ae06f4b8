"""A confirmation in a real MLflow store: one run per retraining, in whatever pieces and however often projected."""

import csv
import dataclasses
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from confirmations import END, confirm, read
from mlflow.entities import Run
from toys import Crash, drive, open_study, toy_config

from study.analysis.confirmation import conclude
from study.folder import StudyFolder
from study.ledger.events import AttemptStarted, Ended, Event, StudyChanged
from study.ledger.ledger import Ledger, Row
from study.ledger.records import fold
from study.mlflow.confirmation import TABLE
from study.mlflow.page import FinalStatus
from study.mlflow.projection import RETRAINING, FinalState, MlflowProjection
from study.mlflow.store import open_client
from study.mlflow.tags import KIND
from study.mlflow.thread import sync
from study.verify.mlflow_runs import check_mlflow


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose two best were confirmed with two seeds each, half of it lost and made again, and MLflow's store."""
    root = tmp_path_factory.mktemp("template")
    config = toy_config(storage={"path": str(root)})
    config.folder.path.mkdir(parents=True)
    config.folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
    open_study(config.folder.ledger, config)
    drive(config.folder.ledger, config)
    with pytest.raises(Crash):
        confirm(config.folder.ledger, 2, 2, crash_after=25)
    shutil.copyfile(config.folder.ledger, root / "half.db")
    confirm(config.folder.ledger, 2, 2)
    open_client(f"sqlite:///{config.folder.mlflow_db}").search_experiments()
    return root


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(template, tmp_path / "runs")
    return StudyFolder(tmp_path / "runs", "toy")


def project(folder: StudyFolder, finish: FinalState | None = None) -> None:
    with Ledger.open(folder.ledger, schema="toy", create=False) as ledger:
        sync(ledger.read, MlflowProjection(None, folder, "toy"), finish)


def runs(folder: StudyFolder) -> dict[str, list[Run]]:
    """Runs of this study by kind."""
    client = open_client(f"sqlite:///{folder.mlflow_db}")
    experiment = client.get_experiment_by_name("toy") or client.search_experiments(filter_string="name LIKE '%toy%'")[0]
    found: dict[str, list[Run]] = {}
    for run in client.search_runs([experiment.experiment_id], max_results=500):
        found.setdefault(run.data.tags[KIND], []).append(run)
    return found


def facts(run: Run) -> tuple[Any, ...]:
    tags = {k: v for k, v in run.data.tags.items() if k.startswith("ganstudy.") and "seq" not in k}
    return run.info.run_name, run.info.status, run.data.metrics, run.data.params, tags


def test_there_is_one_run_for_each_retraining_and_all_of_it_is_in_it(folder: StudyFolder) -> None:
    project(folder, FinalState("finished"))
    study = fold(read(folder.ledger), live=False)
    found = runs(folder)
    assert {kind: len(some) for kind, some in found.items()} == {"study": 1, "trial": 12, RETRAINING: 4}
    (parent,) = found["study"]
    by_name = {run.info.run_name: run for run in found[RETRAINING]}
    for r in study.confirmation.retrainings:
        run = by_name[f"confirm-{r.number:04d}-seed-{r.seed}"]
        assert r.test is not None
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.metrics["scores/test_fid"] == r.test["fid"]
        assert run.data.metrics["scores/fid"] == r.curve[END]
        assert run.data.tags["ganstudy.chosen_kimg"] == str(r.chosen)
        assert int(run.data.params["seed"]) >= 2**32
        assert run.data.params["loss"] == study.trials[r.number].config["loss"]
    evaluated = conclude(study)
    assert evaluated is not None
    assert evaluated.winner is not None
    assert parent.data.tags["ganstudy.confirmed_trial"] == str(evaluated.winner.trial.number)
    assert parent.data.metrics["confirmed_test_fid"] == evaluated.winner.mean
    assert parent.data.metrics["selection_bias"] == evaluated.winner.bias
    client = open_client(f"sqlite:///{folder.mlflow_db}")
    table = Path(client.download_artifacts(parent.info.run_id, TABLE, str(folder.path)))
    lines = list(csv.DictReader(table.read_text().splitlines()))
    assert [int(line["trial"]) for line in lines] == [c.trial.number for c in evaluated.configurations]
    assert float(lines[0]["test_mean"]) == evaluated.winner.mean


def test_in_pieces_again_and_after_a_crash_it_is_the_same(folder: StudyFolder, template: Path) -> None:
    project(folder, FinalState("finished"))
    expected = {kind: sorted(map(facts, some), key=str) for kind, some in runs(folder).items()}

    other = StudyFolder(folder.root / "again", "toy")
    shutil.copytree(template / "toy", other.path)
    rows = read(other.ledger)
    for _ in range(2):
        projection = MlflowProjection(None, other, "toy")
        for start in range(0, len(rows), 7):
            projection.project(rows[start : start + 7])
        projection.close(FinalState("finished"))
    assert {kind: sorted(map(facts, some), key=str) for kind, some in runs(other).items()} == expected


def test_an_interrupted_one_is_shown_so_and_goes_on(folder: StudyFolder, template: Path) -> None:
    whole = folder.ledger.read_bytes()
    shutil.copyfile(template / "half.db", folder.ledger)
    project(folder, FinalState("finished"))
    study = fold(read(folder.ledger), live=False)
    unfinished = {f"confirm-{r.number:04d}-seed-{r.seed}" for r in study.confirmation.retrainings if r.unfinished}
    assert unfinished
    killed = {run.info.run_name for run in runs(folder)[RETRAINING] if run.info.status == "KILLED"}
    assert killed == unfinished
    (parent,) = runs(folder)["study"]
    assert (parent.info.status, parent.data.tags["ganstudy.confirmed_trial"]) == ("FINISHED", "")
    folder.ledger.write_bytes(whole)
    project(folder, FinalState("finished"))
    assert {run.info.status for run in runs(folder)[RETRAINING]} == {"FINISHED"}
    assert {run.data.tags["ganstudy.state"] for run in runs(folder)[RETRAINING]} == {"completed"}


def test_the_tags_name_no_winner_once_the_study_has_gone_on(folder: StudyFolder) -> None:
    project(folder, FinalState("finished"))
    (parent,) = runs(folder)["study"]
    assert parent.data.tags["ganstudy.confirmed_trial"]
    longer = toy_config(schedule={"grace_kimg": 1, "max_kimg": 27, "reduction_factor": 3})
    with Ledger.open(folder.ledger, schema="toy", create=False) as ledger, ledger.own("host", 1) as writer:
        writer.append(StudyChanged(1, longer.to_dict()))
    project(folder)  # while the driver runs: no trial has ended yet
    (parent,) = runs(folder)["study"]
    assert {parent.data.tags[f"ganstudy.confirmed_{name}"] for name in ("trial", "fid", "ahead")} == {""}


def test_one_that_failed_and_was_tried_again_tells_of_the_last_attempt(folder: StudyFolder) -> None:
    rows = read(folder.ledger)
    at = next(n for n, row in enumerate(rows) if isinstance(row.event, Ended) and row.event.seed)
    good = rows[at].event
    assert isinstance(good, Ended)
    lost = dataclasses.replace(good, state="failed", cause="worker_lost: 4 times", chosen=None, test=None)
    started = AttemptStarted(good.trial, good.attempt + 1, good.seed, good.budget)
    last = dataclasses.replace(good, attempt=good.attempt + 1)
    events = [row.event for row in rows]
    events[at : at + 1] = [lost]
    name = f"confirm-{good.trial:04d}-seed-{good.seed}"

    def found(story: list[Event], status: FinalStatus) -> tuple[str, str, str]:
        told = [Row(seq, float(seq), 1, event) for seq, event in enumerate(story, 1)]
        sync(
            lambda after: [row for row in told if row.seq > after],
            MlflowProjection(None, folder, "toy"),
            FinalState(status),
        )
        (run,) = [run for run in runs(folder)[RETRAINING] if run.info.run_name == name]
        (parent,) = runs(folder)["study"]
        tags = run.data.tags
        return tags["ganstudy.state"], tags["ganstudy.cause"], parent.data.tags["ganstudy.confirmed_trial"]

    state, cause, first = found(events, "finished")
    assert (state, cause) == ("failed", "worker_lost: 4 times")
    assert first
    assert found([*events, started], "interrupted") == ("interrupted", "worker_lost: 4 times", first)
    evaluated = conclude(
        fold([Row(n, 1.0, 1, event) for n, event in enumerate([*events, started, last], 1)], live=False)
    )
    assert evaluated is not None
    assert evaluated.winner is not None
    assert found([*events, started, last], "finished") == ("completed", "", str(evaluated.winner.trial.number))


def test_verify_compares_them_with_the_ledger(folder: StudyFolder) -> None:
    project(folder, FinalState("finished"))
    study, counts = fold(read(folder.ledger), live=False), Counter[str]()
    assert check_mlflow(folder, study, lambda: read(folder.ledger), False, counts) is None
    assert counts["runs"] == 1 + 12 + 4
    client = open_client(f"sqlite:///{folder.mlflow_db}")
    client.delete_run(runs(folder)[RETRAINING][0].info.run_id)
    with pytest.raises(Exception, match=r"MLflow run of trial \d+'s retraining \d to 9 kimg, .*, was deleted"):
        check_mlflow(folder, study, lambda: read(folder.ledger), False, Counter())
