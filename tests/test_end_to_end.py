"""Whole studies with real processes: Ray, Optuna, MLflow and the ledger, on scikit-learn's digits."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from command_line import PATIENCE, command, ganstudy
from PIL import Image

pytestmark = pytest.mark.slow

STUDY: dict[str, Any] = {
    "name": "tiny",
    "seed": 3,
    "data": {"name": "digits"},
    "space": {"base": "quick", "fix": {"model.name": "mlp"}, "narrow": {"mlp.width": {"low": 128, "high": 192}}},
    "sampler": {"startup_trials": 3},
    "trials": 8,
    "schedule": {"grace_kimg": 2, "max_kimg": 18, "reduction_factor": 3},
    "evaluation": {"count": 500, "rung_count": 300},
}


def write_study(folder: Path, **changes: Any) -> Path:
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"storage": {"path": str(folder / "runs")}} | changes))
    return file


def trials(folder: Path, name: str = "tiny") -> list[dict[str, Any]]:
    return json.loads(ganstudy("status", name, "--storage", folder / "runs", "--json"))


def results(folder: Path) -> list[dict[str, Any]]:
    """What the study found out, without how often a trial had to start."""
    return trials(folder)


def reports_so_far(folder: Path) -> int:
    ledger = folder / "runs" / "tiny" / "ledger.db"
    if not ledger.exists():
        return 0
    connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30)
    try:
        return int(connection.execute("SELECT count(*) FROM events WHERE kind = 'reported'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def wait_for_reports(folder: Path, count: int, driver: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while reports_so_far(folder) < count:
        assert time.monotonic() < deadline, "no reports"
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)


def start(file: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(command("launch", file), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def check_mlflow(folder: Path) -> None:
    """One run per trial, each point once, as the ledger has them."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/runs/tiny/mlflow.db")
    experiment = client.get_experiment_by_name("ganstudy/tiny") or client.search_experiments()[0]
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    known = {trial["trial"]: trial for trial in trials(folder)}
    assert Counter(int(run.data.tags["ganstudy.trial"]) for run in children) == Counter(known.keys())
    assert len(runs) == len(children) + 1
    for run in children:
        trial = known[int(run.data.tags["ganstudy.trial"])]
        history = client.get_metric_history(run.info.run_id, "scores/fid")
        assert sorted((m.step, m.value) for m in history) == sorted((int(k), v) for k, v in trial["fids"].items())
        assert run.data.tags["ganstudy.state"] == trial["state"]
        images = [file.path for file in client.list_artifacts(run.info.run_id, "images") if file.path.endswith(".png")]
        series = Counter(Path(path).name.partition("+")[0] for path in images)
        assert series == dict.fromkeys(("samples~generated", "training~d_probabilities"), len(trial["fids"]) + 1), (
            "the newest, and that of each report"
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study run to its end in one go, one trial at a time, so that another run must give the same."""
    folder = tmp_path_factory.mktemp("whole")
    text = ganstudy("launch", write_study(folder, concurrency=1))
    assert "8 of 8 trials" in text
    assert "best.yaml" in text
    return folder


def test_a_study_stops_some_trials_and_completes_others(whole: Path) -> None:
    found = trials(whole)
    states = Counter(trial["state"] for trial in found)
    assert len(found) == 8
    assert states["stopped"] >= 1
    assert states["completed"] >= 1
    assert states["stopped"] + states["completed"] + states["diverged"] == 8


def test_mlflow_shows_what_the_ledger_holds(whole: Path) -> None:
    check_mlflow(whole)


def test_each_trial_is_proposed_before_the_one_before_it_ends(whole: Path) -> None:
    """`sampler.ask_ahead`, as Tune's callbacks have the conductor do it: there is one slot."""
    connection = sqlite3.connect(f"file:{whole}/runs/tiny/ledger.db?mode=ro", uri=True)
    rows = connection.execute("SELECT kind, body FROM events ORDER BY seq").fetchall()
    connection.close()
    order = [(kind, json.loads(body).get("trial")) for kind, body in rows]
    for number in range(1, 8):
        started, proposed, ended = ("attempt_started", number - 1), ("trial_proposed", number), ("ended", number - 1)
        assert order.index(started) < order.index(proposed) < order.index(ended)


def test_every_trial_is_judged_by_fewer_images_below_the_end(whole: Path) -> None:
    connection = sqlite3.connect(f"file:{whole}/runs/tiny/ledger.db?mode=ro", uri=True)
    bodies = [json.loads(row[0]) for row in connection.execute("SELECT body FROM events WHERE kind = 'reported'")]
    connection.close()
    evaluated = {(body["kimg"] == 18, body["metrics"]["images_judged"]) for body in bodies}
    assert evaluated == {(False, 300.0), (True, 500.0)}
    for trial in trials(whole):
        fids = {int(kimg): fid for kimg, fid in trial["fids"].items()}
        assert trial["fid_best"] == (fids[18] if trial["state"] == "completed" else min(fids.values(), default=None))
    ganstudy("verify", "tiny", "--storage", whole / "runs")


def test_sample_grids_are_pictures_of_64_digits(whole: Path) -> None:
    grids = sorted((whole / "runs/tiny/trials/00000/samples").glob("*.png"))
    assert [g.name for g in grids[:2]] == ["kimg-000000.png", "kimg-000002.png"]
    with Image.open(grids[-1]) as picture:
        assert picture.size == (2 * (8 * 9 + 1), 2 * (8 * 9 + 1))
        darkest, lightest = picture.getextrema()
        assert darkest < lightest
    assert grids[0].read_bytes() != grids[-1].read_bytes()


def test_run_trial_repeats_the_fids_of_the_best_trial_exactly(whole: Path) -> None:
    best = whole / "runs/tiny/best.yaml"
    fids = yaml.safe_load(best.read_text())["origin"]["fids"]
    text = ganstudy("run-trial", best, "--kimg", str(max(fids)))
    assert text.count("the same as in the study") == len(fids)


def test_run_trial_says_when_a_fid_differs(whole: Path, tmp_path: Path) -> None:
    data = yaml.safe_load((whole / "runs/tiny/best.yaml").read_text())
    data["trial"]["seed"] += 1
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump(data))
    assert "in the study" in ganstudy("run-trial", other, "--kimg", "2", code=1)


def test_launching_a_finished_study_again_runs_nothing(whole: Path) -> None:
    before = reports_so_far(whole)
    text = ganstudy("launch", whole / "study.yaml")
    assert reports_so_far(whole) == before
    assert "8 of 8 trials" in text


def test_other_settings_are_refused_and_change_nothing(whole: Path) -> None:
    before = (whole / "runs/tiny/study.yaml").read_text()
    done = subprocess.run(command("launch", whole / "study.yaml", "--set", "seed=4"), capture_output=True, text=True)
    assert done.returncode == 2
    assert "seed: 3 -> 4" in done.stderr
    assert (whole / "runs/tiny/study.yaml").read_text() == before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_study_goes_on_and_ends_as_if_nothing_had_happened(
    whole: Path, tmp_path: Path, how: signal.Signals
) -> None:
    file = write_study(tmp_path, concurrency=1)
    for reports in (3, 11):
        driver = start(file)
        wait_for_reports(tmp_path, reports, driver)
        driver.send_signal(how)
        output, _ = driver.communicate(timeout=PATIENCE)
        if how != signal.SIGKILL:
            assert driver.returncode == 130
            assert "go on with: ganstudy launch" in output
            assert "Traceback" not in output
    ganstudy("launch", file)
    assert results(tmp_path) == results(whole)
    check_mlflow(tmp_path)


def test_a_killed_worker_costs_no_trial_and_no_report(whole: Path, tmp_path: Path) -> None:
    driver = start(write_study(tmp_path, concurrency=1))
    wait_for_reports(tmp_path, 2, driver)
    for process in trainable_processes(driver.pid):
        os.kill(process, signal.SIGKILL)
    driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0
    assert results(tmp_path) == results(whole)
    rows = sqlite3.connect(tmp_path / "runs/tiny/ledger.db").execute(
        "SELECT max(attempt) FROM events WHERE kind = 'attempt_started'"
    )
    assert rows.fetchone()[0] == 2


def trainable_processes(driver: int) -> list[int]:
    """Ray's workers that hold a trial, of this driver's Ray."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            title = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if title.startswith("ray::") and ("Trainable" in title or "_Inner" in title) and driver in ancestors(entry):
            found.append(int(entry.name))
    return found


def ancestors(entry: Path) -> Iterator[int]:
    while entry.name not in ("0", "1"):
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            return
        yield int(parent)
        entry = entry.parent / parent


def listening_beyond_loopback(driver: int) -> set[str]:
    """Addresses other than loopback on which the driver or one of its descendants listens."""
    family = [process for process in psutil.process_iter() if driver in ancestors(Path("/proc") / str(process.pid))]
    found = [c for p in [psutil.Process(driver), *family] for c in connections(p) if c.status == psutil.CONN_LISTEN]
    assert found, "Ray listens somewhere"
    return {c.laddr.ip for c in found if c.laddr.ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")}


def connections(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections("tcp"))
    except psutil.Error:
        return []


def test_a_local_study_listens_on_loopback_only(tmp_path: Path) -> None:
    driver = start(write_study(tmp_path))
    try:
        wait_for_reports(tmp_path, 1, driver)
        assert listening_beyond_loopback(driver.pid) == set()
    finally:
        driver.kill()
        driver.communicate()


def test_a_second_driver_is_refused_and_told_who_runs_the_study(tmp_path: Path) -> None:
    file = write_study(tmp_path)
    driver = start(file)
    try:
        wait_for_reports(tmp_path, 1, driver)
        second = subprocess.run(command("launch", file), capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert second.returncode == 1
        assert f"process {driver.pid}" in second.stderr
        assert len(second.stderr.strip().splitlines()) == 1
    finally:
        driver.kill()
        driver.communicate()


def test_a_study_with_two_trials_at_a_time_on_two_ray_nodes(tmp_path: Path) -> None:
    """One CPU a node, so two trials at a time must use both; the cluster outlives the study."""
    script = Path(__file__).parent / "two_nodes.py"
    done = subprocess.run(
        [sys.executable, str(script), str(write_study(tmp_path))], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert facts["launch"] == 0, facts
    assert "2 at a time" in facts["output"]
    assert facts["alive_after"] == 2
    assert Counter(trial["state"] for trial in trials(tmp_path)).total() == 8
    check_mlflow(tmp_path)


def test_resources_that_no_node_has_are_refused_at_once(tmp_path: Path) -> None:
    file = write_study(tmp_path, resources={"cpus": 1000})
    done = subprocess.run(command("launch", file), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "no node has that much" in done.stderr


def test_a_time_budget_ends_the_run_and_the_next_launch_goes_on(tmp_path: Path) -> None:
    file = write_study(tmp_path, time_budget_minutes=0.02, trials=4)
    text = ganstudy("launch", file)
    assert "the time budget of 0.02 minutes is spent" in text
    ganstudy("launch", file, "--set", "time_budget_minutes=10")
    assert Counter(trial["state"] for trial in trials(tmp_path)).keys() <= {"completed", "stopped", "diverged"}
