"""`ganstudy verify`: a sound study passes, and each kind of damage is found and named, also where checksums agree."""

import hashlib
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from toys import REPORTED, Crash, drive, toy_config
from verifiable import begin, ganstudy, problems, project, rows_of, write_checkpoints

from study.folder import StudyFolder
from study.ledger.events import Event, Reported, StudyChanged, StudyOpened, TrialProposed, from_json, to_json
from study.ledger.ledger import Ledger
from study.ledger.records import TrialState, fold
from study.ledger.rows import FIRST_CRC, StoredRow, row_crc
from study.mlflow.models import TYPE, models_of
from study.mlflow.projection import FinalState, MlflowProjection
from study.mlflow.store import open_client
from study.mlflow.tags import SEQ, UID
from study.mlflow.thread import sync
from study.verify.check import Check
from study.verify.verify import verify
from trainables.checkpoint import NETWORKS, Checkpoint, CheckpointStore

LINES = ("ledger", "decisions", "sampler", "checkpoints", "MLflow")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of 12 trials, two at a time, with its checkpoints and its MLflow store."""
    root = tmp_path_factory.mktemp("template")
    config = begin(root)
    with pytest.raises(Crash):
        drive(config.folder.ledger, config, concurrency=2, crash_after=17)
    drive(config.folder.ledger, config, concurrency=2)
    write_checkpoints(config.folder)
    project(config.folder, FinalState("finished"))
    return root


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> StudyFolder:
    """A copy of it to damage. (MLflow's artifacts stay at the template: verify does not read them.)"""
    shutil.copytree(template, tmp_path / "runs")
    return StudyFolder(tmp_path / "runs", "toy")


@pytest.fixture
def client(folder: StudyFolder) -> Any:
    return open_client(f"sqlite:///{folder.mlflow_db}")


def only(folder: StudyFolder, name: str) -> str:
    """The one problem there is, of the check `name`."""
    found = problems(folder)
    assert list(found) == [name], found
    return found[name]


def checks_of(folder: StudyFolder) -> dict[str, Check]:
    return {check.name: check for check in verify(folder)}


# ---------------------------------------------------------------------------------------------------- sound studies


def test_a_sound_study_passes_and_the_counts_say_how_much_was_checked(folder: StudyFolder) -> None:
    study = fold(rows_of(folder), live=False)
    reports = sum(len(trial.reports) for trial in study.trials)
    checkpoints = sum(len(CheckpointStore(folder.checkpoints(t.number)).kimgs()) for t in study.trials)
    code, text = ganstudy("verify", "toy", "--storage", folder.root, "--json")
    found = json.loads(text)
    assert (code, found["ok"]) == (0, True)
    counts = {check["check"]: check["checked"] for check in found["checks"]}
    assert counts == {
        "ledger": {"rows": len(rows_of(folder)), "trials": 12, "reports": reports},
        "decisions": {"configurations": 12, "reports": reports, "outcomes": 12},
        "sampler": {"trials": 12},
        "checkpoints": {"checkpoints": checkpoints, "trials": 12},
        "MLflow": {"runs": 13, "points": reports * len(REPORTED), "models": 12},
    }
    code, text = ganstudy("verify", "toy", "--storage", folder.root)
    lines = text.splitlines()
    assert code == 0
    assert [line.split()[1] for line in lines[: len(LINES)]] == list(LINES)
    assert f"{reports * len(REPORTED):,} points" in text


def test_a_ledger_from_before_a_field_came_is_sound(folder: StudyFolder) -> None:
    def older(event: Any) -> Any:
        if not isinstance(event, StudyOpened | TrialProposed):
            return event
        evaluation = {key: value for key, value in event.config["evaluation"].items() if key != "precision"}
        assert len(evaluation) == len(event.config["evaluation"]) - 1
        return with_fields(event, config={**event.config, "evaluation": evaluation})

    rewrite(folder, lambda events: [older(event) for event in events])
    assert problems(folder) == {}


def test_it_changes_nothing_on_disk(folder: StudyFolder) -> None:
    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}

    before = files()
    assert problems(folder) == {}
    assert files() == before


def test_an_interrupted_study_may_be_behind_in_mlflow_and_is_told(tmp_path: Path, template: Path) -> None:
    config = begin(tmp_path)
    with pytest.raises(Crash):
        drive(config.folder.ledger, config, concurrency=2, crash_after=20)
    write_checkpoints(config.folder)
    assert "no MLflow store" in (checks_of(config.folder)["MLflow"].note or "")
    assert not config.folder.mlflow_db.exists()
    with Ledger.open(config.folder.ledger, schema="toy", create=False) as ledger:
        shutil.copyfile(template / "toy" / "mlflow.db", config.folder.mlflow_db)  # its tables; another study's runs
        connection = sqlite3.connect(config.folder.mlflow_db)
        for table in ("tags", "metrics", "latest_metrics", "params", "runs"):
            connection.execute(f"DELETE FROM {table}")
        connection.commit()
        projection = MlflowProjection(None, config.folder, "toy")
        projection.project(ledger.read()[:15])
    assert problems(config.folder) == {}
    note = checks_of(config.folder)["MLflow"].note or ""
    assert "behind by" in note
    assert "ganstudy sync toy" in note
    project(config.folder)
    assert checks_of(config.folder)["MLflow"].note is None


def test_a_raised_budget_is_replayed_as_it_was_decided(tmp_path: Path) -> None:
    config = begin(tmp_path, seed=12)
    drive(config.folder.ledger, config)
    schedule = {"grace_kimg": 1, "max_kimg": 27, "reduction_factor": 3}
    more = toy_config(storage={"path": str(tmp_path)}, seed=12, schedule=schedule, trials=14)
    with (
        Ledger.open(config.folder.ledger, schema="toy", create=False) as ledger,
        ledger.own("host", 1) as writer,
    ):
        writer.append(StudyChanged(1, more.to_dict()))
    study = drive(config.folder.ledger, more, concurrency=2)
    write_checkpoints(config.folder)
    ends = {(t.state, t.kimg) for t in study.trials}
    assert {(TrialState.COMPLETED, 27), (TrialState.STOPPED, 9)} <= ends, "stopped by what was the end"
    project(config.folder, FinalState("finished"))
    assert problems(config.folder) == {}


def test_a_trial_asked_ahead_is_counted_and_known_to_the_sampler(tmp_path: Path) -> None:
    config = begin(tmp_path)
    with pytest.raises(Crash):
        drive(config.folder.ledger, config, crash_after=2)  # trial 0 started, trial 1 proposed
    write_checkpoints(config.folder)
    counts = {check.name: check.counts for check in verify(config.folder)}
    assert (counts["ledger"]["trials"], counts["ledger"]["waiting"]) == (1, 1)
    assert (counts["decisions"]["configurations"], counts["sampler"]["trials"]) == (2, 2)


@pytest.mark.parametrize("brackets", [1, 2])
@pytest.mark.parametrize("crash_after", [1, 9, 33])
def test_wherever_a_study_is_cut_off_it_is_sound(tmp_path: Path, crash_after: int, brackets: int) -> None:
    schedule = {"grace_kimg": 1, "max_kimg": 9, "reduction_factor": 3, "brackets": brackets}
    config = begin(tmp_path, schedule=schedule)
    with pytest.raises(Crash):
        drive(config.folder.ledger, config, concurrency=3, crash_after=crash_after)
    write_checkpoints(config.folder)
    assert problems(config.folder) == {}
    with pytest.raises(Crash):
        drive(config.folder.ledger, config, concurrency=2, crash_after=crash_after)
    write_checkpoints(config.folder)
    assert problems(config.folder) == {}


def test_the_checkpoint_after_the_last_report_may_be_there_already(tmp_path: Path) -> None:
    """The worker had written it when the driver died."""
    config = begin(tmp_path, trials=1)
    with pytest.raises(Crash):
        drive(config.folder.ledger, config, crash_after=3)
    write_checkpoints(config.folder)
    trial = fold(rows_of(config.folder), live=False).trials[0]
    assert trial.kimg == 2
    store = CheckpointStore(config.folder.checkpoints(0))
    weights = {"weight": torch.zeros(3)}
    for kimg, sound in ((3, True), (4, False)):
        store.save(kimg, Checkpoint(dict.fromkeys(NETWORKS, weights), dict.fromkeys(REPORTED, 1.0) | {"kimg": kimg}))
        assert (problems(config.folder) == {}) is sound
    assert "never reported at 4 kimg" in only(config.folder, "checkpoints")


# ---------------------------------------------------------------------------------------------------- the ledger


def sql(folder: StudyFolder, statement: str, *values: object) -> None:
    connection = sqlite3.connect(folder.ledger)
    with connection:
        connection.execute(statement, values)
    connection.close()


def rewrite(folder: StudyFolder, change: Callable[[list[Event]], list[Event]]) -> None:
    """Change the ledger as one would who knows how: every checksum, number and count is right again."""
    connection = sqlite3.connect(folder.ledger)
    stored = [StoredRow(*row) for row in connection.execute("SELECT * FROM events ORDER BY seq")]
    events = change([from_json(row.kind, row.body) for row in stored])
    by_key = {row.key: row for row in stored}
    crc, template = FIRST_CRC, stored[-1]
    with connection:
        connection.execute("DELETE FROM events")
        for seq, event in enumerate(events, start=1):
            row = by_key.get(event.key, template)._replace(
                seq=seq,
                key=event.key,
                kind=event.kind,
                trial=getattr(event, "trial", None),
                kimg=getattr(event, "kimg", None),
                attempt=getattr(event, "attempt", None),
                body=to_json(event),
            )
            row = row._replace(crc=row_crc(crc, row))
            crc = row.crc
            connection.execute(f"INSERT INTO events VALUES ({','.join('?' * len(row))})", row)
        connection.execute("UPDATE owner SET head = ?", (len(events),))
    connection.close()
    assert [row.event for row in rows_of(folder)] == events


def replaced(key: str, new: Callable[[Any], Event]) -> Callable[[list[Event]], list[Event]]:
    def change(events: list[Event]) -> list[Event]:
        assert key in [event.key for event in events], key
        return [new(event) if event.key == key else event for event in events]

    return change


def with_fields(event: Any, **fields: Any) -> Any:
    return type(event)(**(vars(event) | fields))


def of_state(folder: StudyFolder, state: TrialState) -> Any:
    return next(t for t in fold(rows_of(folder), live=False).trials if t.state == state and t.reports)


def end_key(trial: Any) -> str:
    return f"end/{trial.number}/{trial.attempts}"


def test_a_row_altered_by_hand_is_named(folder: StudyFolder) -> None:
    key = next(row.event.key for row in rows_of(folder) if isinstance(row.event, Reported))
    sql(folder, "UPDATE events SET body = replace(body, '\"fid\":', '\"fid\":1') WHERE key = ?", key)
    found = problems(folder)
    assert list(found) == ["ledger"]
    assert repr(key) in found["ledger"]
    assert "it was changed" in found["ledger"]


def test_a_flipped_byte_in_the_ledgers_file_never_passes_unseen(folder: StudyFolder) -> None:
    sound = folder.ledger.read_bytes()
    body = sound.index(b'"fid":')
    for place in (20, 100, body + 8, len(sound) // 2):
        damaged = bytearray(sound)
        damaged[place] ^= 4
        folder.ledger.write_bytes(damaged)
        checks = verify(folder)
        code, _ = ganstudy("verify", "toy", "--storage", folder.root)
        assert checks[0].problem or checks_of(folder)["ledger"].counts["rows"] == len(rows_of(folder))
        assert code == bool(checks[0].problem)
    assert checks[0].name == "ledger"


def test_a_ledger_whose_end_was_cut_off_is_found_though_it_checks(folder: StudyFolder) -> None:
    """An older copy put in its place: the trials' folders and MLflow have more."""
    rewrite(folder, lambda events: events[:25])
    found = problems(folder)
    assert "ledger does not know trial" in found["checkpoints"]
    assert "the ledger ends at row 25" in found["MLflow"]


def test_an_outcome_altered_with_all_checksums_is_found_by_the_replay(folder: StudyFolder) -> None:
    trial = of_state(folder, TrialState.STOPPED)
    rewrite(
        folder,
        replaced(end_key(trial), lambda event: with_fields(event, state="failed", rung=None, cause="error: no")),
    )
    found = problems(folder)
    assert f"trial {trial.number} stopped at {trial.kimg} kimg by the rung {trial.rung}" in found["decisions"]
    assert "row " in found["decisions"]
    folder.mlflow_db.unlink()
    project(folder, FinalState("finished"))  # so that only the replay can tell
    assert f"'{end_key(trial)}'" in only(folder, "decisions")


def completed_early(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    trial = of_state(folder, TrialState.STOPPED)
    return replaced(end_key(trial), lambda e: with_fields(e, state="completed", rung=None)), end_key(trial)


def stopped_at_the_end(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    trial = of_state(folder, TrialState.COMPLETED)
    return replaced(end_key(trial), lambda e: with_fields(e, state="stopped", rung=9)), end_key(trial)


def outcome_removed(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    trial = of_state(folder, TrialState.STOPPED)
    events = [row.event for row in rows_of(folder)]
    after = events[[event.key for event in events].index(end_key(trial)) + 1]
    return lambda events: [event for event in events if event.key != end_key(trial)], after.key


def another_rung(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    trial = of_state(folder, TrialState.STOPPED)
    return replaced(end_key(trial), lambda e: with_fields(e, rung=e.rung + 2)), end_key(trial)


def a_winner_that_lost(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    """The FID at its first rung of a trial that was stopped there becomes the best of all."""
    trial = next(t for t in fold(rows_of(folder), live=False).trials if t.rung == 1)
    key = f"report/{trial.number}/1"
    return replaced(key, lambda e: with_fields(e, metrics={**e.metrics, "fid": 0.5})), end_key(trial)


def report_removed(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    trial = of_state(folder, TrialState.COMPLETED)
    return lambda events: [e for e in events if e.key != f"report/{trial.number}/4"], f"report/{trial.number}/5"


def another_configuration(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    return replaced("trial/5", lambda e: with_fields(e, config={**e.config, "batch_size": 13})), "trial/5"


def no_configuration(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    return replaced("trial/5", lambda e: with_fields(e, config={**e.config, "loss": "hing"})), "trial/5"


def another_seed(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    return replaced("trial/5", lambda e: with_fields(e, config={**e.config, "seed": 1})), "trial/5"


def other_parameters(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    def change(event: TrialProposed) -> Any:
        lr = next(name for name in event.params if name.endswith("lr"))
        return with_fields(event, params={**event.params, lr: 12.5})

    return replaced("trial/5", change), "trial/5"


def another_origin(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    return replaced("trial/0", lambda e: with_fields(e, origin="sampler")), "trial/0"


def begun_again(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    trial = of_state(folder, TrialState.STOPPED)
    events = [row.event for row in rows_of(folder)]
    started = next(e for e in events if e.key == f"attempt/{trial.number}/{trial.attempts}")
    again = with_fields(started, attempt=trial.attempts + 1)
    return lambda events: [*events, again], again.key


def too_many_trials(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    def change(events: list[Event]) -> list[Event]:
        last: Any = next(e for e in events if e.key == "trial/11")
        return [*events, with_fields(last, trial=12)]

    return change, "trial/12"


def another_meaning(folder: StudyFolder) -> tuple[Callable[[list[Event]], list[Event]], str]:
    def change(events: list[Event]) -> list[Event]:
        opened: Any = events[0]
        return [*events, StudyChanged(1, {**opened.config, "seed": 99})]

    return change, "change/1"


NASTY = (
    completed_early,
    stopped_at_the_end,
    outcome_removed,
    another_rung,
    a_winner_that_lost,
    report_removed,
    another_configuration,
    no_configuration,
    another_seed,
    other_parameters,
    another_origin,
    begun_again,
    too_many_trials,
    another_meaning,
)


@pytest.mark.parametrize("damage", NASTY, ids=lambda damage: damage.__name__)
def test_a_ledger_altered_with_all_checksums_is_found_by_the_replay_alone(
    folder: StudyFolder, damage: Callable[[StudyFolder], tuple[Callable[[list[Event]], list[Event]], str]]
) -> None:
    change, key = damage(folder)
    rewrite(folder, change)
    decisions = problems(folder)["decisions"]
    assert f"({key!r})" in decisions
    assert "\n" not in decisions


def test_a_row_of_an_older_driver_after_a_newer_ones_is_found(folder: StudyFolder) -> None:
    connection = sqlite3.connect(folder.ledger)
    stored = [StoredRow(*row) for row in connection.execute("SELECT * FROM events ORDER BY seq")]
    crc = stored[-2].crc
    late = stored[-1]._replace(epoch=1)
    assert stored[-2].epoch > 1
    with connection:
        connection.execute("UPDATE events SET epoch = 1, crc = ? WHERE seq = ?", (row_crc(crc, late), late.seq))
    connection.close()
    assert "epoch 1" in problems(folder)["decisions"]


# ---------------------------------------------------------------------------------------------------- checkpoints


def newest(folder: StudyFolder, trial: int) -> Path:
    store = CheckpointStore(folder.checkpoints(trial))
    return store.path(store.kimgs()[-1])


@pytest.mark.parametrize("name", ["generator.safetensors", "state.pt", "report.json", "manifest.json"])
def test_a_checkpoint_file_that_is_gone_is_named(folder: StudyFolder, name: str) -> None:
    place = newest(folder, 3)
    (place / name).unlink()
    assert str(place) in only(folder, "checkpoints")


@pytest.mark.parametrize("name", ["ema.safetensors", "state.pt", "report.json", "manifest.json"])
def test_a_flipped_byte_in_a_checkpoint_is_named(folder: StudyFolder, name: str) -> None:
    file = newest(folder, 4) / name
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert str(file.parent) in only(folder, "checkpoints")


def test_a_report_altered_with_its_manifest_is_found_by_the_ledger(folder: StudyFolder) -> None:
    place = newest(folder, 2)
    report = json.loads((place / "report.json").read_text())
    was = report["fid"]
    (place / "report.json").write_text(json.dumps(report | {"fid": was - 5}))
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["report.json"] = hashlib.sha256((place / "report.json").read_bytes()).hexdigest()
    (place / "manifest.json").write_text(json.dumps(manifest))
    assert f"{place}/report.json: fid is {was - 5!r}, in the ledger {was!r}" == only(folder, "checkpoints")


def test_checkpoints_that_are_gone_are_missed(folder: StudyFolder) -> None:
    long = of_state(folder, TrialState.COMPLETED)
    assert long.kimg_best == long.kimg
    shutil.rmtree(newest(folder, long.number))
    assert problems(folder) == {}, "the one before stands for it"
    shutil.rmtree(newest(folder, long.number))
    assert "reported at 9 kimg, and its newest checkpoint is gone" in only(folder, "checkpoints")


def test_the_best_checkpoint_is_missed(tmp_path: Path) -> None:
    config = begin(tmp_path, trials=1)
    worse = lambda c, kimg: dict.fromkeys(REPORTED, 1.0) | {"kimg": kimg, "fid": 20.0 + kimg}  # noqa: E731
    drive(config.folder.ledger, config, result=worse)
    write_checkpoints(config.folder)
    project(config.folder, FinalState("finished"))
    store = CheckpointStore(config.folder.checkpoints(0))
    assert store.kimgs() == [1, 8, 9]
    assert problems(config.folder) == {}
    shutil.rmtree(store.path(1))
    assert "trial 0's best FID, at 1 kimg, is gone" in only(config.folder, "checkpoints")


# ---------------------------------------------------------------------------------------------------- MLflow


def run_of(client: Any, trial: int) -> Any:
    experiment = client.get_experiment_by_name("ganstudy/toy")
    runs = client.search_runs([experiment.experiment_id], max_results=100)
    return next(run for run in runs if run.data.tags[UID] == f"uid/{trial}")


def test_a_deleted_run_is_missed(folder: StudyFolder, client: Any) -> None:
    run = run_of(client, 6)
    client.delete_run(run.info.run_id)
    assert f"MLflow run of trial 6, {run.info.run_id}, was deleted" in only(folder, "MLflow")


def test_a_run_that_is_gone_without_a_trace_is_missed(folder: StudyFolder, client: Any) -> None:
    client.delete_tag(run_of(client, 6).info.run_id, UID)
    assert "trial 6 has no MLflow run" in only(folder, "MLflow")


def test_a_second_run_of_a_trial_is_found(folder: StudyFolder, client: Any) -> None:
    run = run_of(client, 6)
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.user")}
    second = client.create_run(run.info.experiment_id, tags=tags)
    found = only(folder, "MLflow")
    assert "trial 6 has 2 MLflow runs" in found
    assert second.info.run_id in found


def test_a_run_of_no_trial_is_found(folder: StudyFolder, client: Any) -> None:
    run = run_of(client, 6)
    client.create_run(run.info.experiment_id, tags={UID: "uid/77"})
    assert "uid/77" in only(folder, "MLflow")


def test_a_point_too_many_is_found(folder: StudyFolder, client: Any) -> None:
    client.log_metric(run_of(client, 6).info.run_id, "scores/fid", 1.25, step=1)
    assert "trial 6, MLflow run" in only(folder, "MLflow")
    assert "has scores/fid = 1.25 at step 1, which the ledger has not" in only(folder, "MLflow")


def test_a_point_that_is_gone_is_missed(folder: StudyFolder, client: Any) -> None:
    run = run_of(client, 6).info.run_id
    connection = sqlite3.connect(folder.mlflow_db)
    with connection:
        connection.execute("DELETE FROM metrics WHERE run_uuid = ? AND key = 'training/loss_d' AND step = 1", (run,))
    assert "lacks training/loss_d = 1.0 at step 1" in only(folder, "MLflow")


def test_a_second_model_of_a_trial_is_found(folder: StudyFolder, client: Any) -> None:
    info = run_of(client, 6).info
    client.create_logged_model(info.experiment_id, "trial-0006", info.run_id, model_type=TYPE)
    assert "trial 6, MLflow run" in only(folder, "MLflow")
    assert "has 2 models of one trial" in only(folder, "MLflow")


def test_a_model_or_data_set_that_is_gone_is_missed_and_sync_brings_it(folder: StudyFolder, client: Any) -> None:
    info = run_of(client, 6).info
    (model,) = models_of(client, info.experiment_id, info.run_id)
    client.delete_logged_model(model.model_id)
    assert "has no model; `ganstudy sync toy` brings it" in only(folder, "MLflow")
    assert ganstudy("sync", "toy", "--storage", folder.root)[0] == 0
    assert problems(folder) == {}
    connection = sqlite3.connect(folder.mlflow_db)
    with connection:
        connection.execute("DELETE FROM inputs WHERE source_type = 'DATASET' AND destination_id = ?", (info.run_id,))
    assert "has no data set; `ganstudy sync toy` brings it" in only(folder, "MLflow")
    assert ganstudy("sync", "toy", "--storage", folder.root)[0] == 0
    assert problems(folder) == {}


def test_a_wrong_state_is_found(folder: StudyFolder, client: Any) -> None:
    client.set_tag(run_of(client, 6).info.run_id, "ganstudy.state", "running")
    assert "trial 6" in only(folder, "MLflow")
    assert "says 'running'" in only(folder, "MLflow")


def test_a_run_that_is_ahead_of_the_ledger_is_found(folder: StudyFolder, client: Any) -> None:
    client.set_tag(run_of(client, 6).info.run_id, SEQ, "100000")
    assert "has row 100000" in only(folder, "MLflow")


def test_a_store_that_is_gone_is_no_excuse(folder: StudyFolder) -> None:
    folder.mlflow_db.unlink()
    assert "there is no MLflow store" in only(folder, "MLflow")


def test_a_damaged_mlflow_database_is_no_excuse(folder: StudyFolder) -> None:
    folder.mlflow_db.write_bytes(b"not a database" * 100)
    assert "cannot be read" in only(folder, "MLflow")


def test_a_finished_study_must_be_in_mlflow_completely(folder: StudyFolder, client: Any) -> None:
    run = run_of(client, 11)
    client.set_tag(run.info.run_id, SEQ, "1")
    assert problems(folder) == {}, "all points are there, whatever the mark says"
    connection = sqlite3.connect(folder.mlflow_db)
    with connection:
        connection.execute("DELETE FROM metrics WHERE run_uuid = ?", (run.info.run_id,))
    found = only(folder, "MLflow")
    assert "trial 11" in found
    assert "ganstudy sync toy" in found


def test_a_server_that_does_not_answer_is_said_and_is_no_failure(tmp_path: Path) -> None:
    config = begin(tmp_path, mlflow={"uri": "http://127.0.0.1:9"}, trials=2)
    drive(config.folder.ledger, config)
    write_checkpoints(config.folder)
    assert problems(config.folder) == {}
    code, text = ganstudy("verify", "toy", "--storage", tmp_path)
    assert code == 0
    assert "not checked: MLflow at http://127.0.0.1:9 cannot be reached" in text


@pytest.mark.slow
def test_a_server_is_asked_for_every_point_and_its_end_is_said(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = begin(tmp_path, mlflow={"uri": f"http://127.0.0.1:{port}"}, trials=2)
    study = drive(config.folder.ledger, config)
    write_checkpoints(config.folder)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", str(tmp_path)]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while "not checked" in (checks_of(config.folder)["MLflow"].note or ""):
            assert time.monotonic() < deadline
            assert server.poll() is None
            time.sleep(0.5)
        assert only(config.folder, "MLflow") == "the study has no MLflow run; `ganstudy sync toy` brings it"
        with Ledger.open(config.folder.ledger, schema="toy", create=False) as ledger:
            sync(ledger.read, MlflowProjection(config.mlflow.uri, config.folder, "toy"), FinalState("finished"))
        assert problems(config.folder) == {}
        points = sum(len(trial.reports) for trial in study.trials) * len(REPORTED)
        assert checks_of(config.folder)["MLflow"].counts == {"runs": 3, "points": points, "models": 2}
        client = open_client(config.mlflow.uri or "")
        client.log_metric(run_of(client, 1).info.run_id, "scores/fid", 1.25, step=1)
        assert "has scores/fid = 1.25 at step 1" in only(config.folder, "MLflow")
    finally:
        server.terminate()
        server.wait(60)
    assert "cannot be reached" in (checks_of(config.folder)["MLflow"].note or "")


# ---------------------------------------------------------------------------------------------------- the command


def test_a_study_without_a_ledger_is_refused(folder: StudyFolder) -> None:
    folder.ledger.unlink()
    command = [sys.executable, "-m", "study.cli", "verify", "toy", "--storage", str(folder.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no ledger" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_real_study_is_sound(tmp_path: Path) -> None:
    """Through Ray, with real checkpoints and MLflow; then one byte of a network is flipped."""
    config = {
        "name": "real",
        "data": {"name": "digits"},
        "space": {"base": "quick", "fix": {"model.name": "mlp"}, "narrow": {"mlp.width": {"low": 128, "high": 192}}},
        "trials": 3,
        "schedule": {"grace_kimg": 1, "max_kimg": 3},
        "evaluation": {"count": 300},
        "storage": {"path": str(tmp_path / "runs")},
    }
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(config))
    launch = [sys.executable, "-m", "study.cli", "launch", str(file)]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = StudyFolder(tmp_path / "runs", "real")
    checks = checks_of(folder)
    assert [check.problem for check in checks.values()] == [None] * len(LINES), checks
    assert checks["MLflow"].note is None
    assert checks["checkpoints"].counts["checkpoints"] >= 3
    assert checks["MLflow"].counts["runs"] == 4
    network = newest(folder, 1) / "generator.safetensors"
    raw = bytearray(network.read_bytes())
    raw[-1] ^= 1
    network.write_bytes(raw)
    assert str(network.parent) in only(folder, "checkpoints")
