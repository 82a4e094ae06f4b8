"""The private names of libraries that are used: each is where it is expected, and a study does without any of them."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import ray
from mlflow.entities import Metric

from study import private_names
from study.mlflow import private, system
from study.mlflow.database import ready_database, sqlite_uri
from study.mlflow.store import open_client
from study.running import ray_internals
from study.running.own_ray import own_ray
from study.verify import mlflow_runs

PROBE = """
import ray, study.running.ray_internals as internals
from study.running.own_ray import own_ray
internals.adapt_tune()
from ray.tune.execution import class_cache
from ray.air._internal import usage
assert not class_cache.DEFAULT_ENV_VARS and not class_cache.ENV_VARS_TO_PROPAGATE
assert usage.tag_callbacks([object()]) is False
whole = ray._private.node.Node.start_api_server
with own_ray():
    assert ray._private.node.Node.start_api_server is not whole
assert ray._private.node.Node.start_api_server is whole
"""


@pytest.mark.parametrize(("name", "without"), (ray_internals.NAMES | private.NAMES).items())
def test_libraries_have_what_we_use(name: str, without: str) -> None:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        pytest.fail(f"ray {ray.__version__}, mlflow {mlflow.__version__}: {name} has moved; without it {without}")


def test_what_is_used_of_ray_works() -> None:
    subprocess.run([sys.executable, "-c", PROBE], check=True, cwd=Path(__file__).parents[2])


def test_without_private_names_nothing_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(private_names.pkgutil, "resolve_name", moved)
    ray_internals.adapt_tune()
    with own_ray():
        pass
    uri = sqlite_uri(tmp_path / "mlflow.db")
    ready_database(uri, tmp_path.as_uri(), ours=True)
    assert not (tmp_path / "mlflow.db").exists()
    assert open_client(uri).search_experiments()  # MLflow makes it itself
    ready_database(uri, tmp_path.as_uri(), ours=True)


def test_mlflow_has_what_we_use_and_without_it_verify_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.create_run(client.create_experiment("any")).info.run_id
    client.log_batch(run, [Metric("fid", 10.0 - kimg, 1000 + kimg, kimg) for kimg in (1, 2)])
    assert private.history_reader(client), "MLflow reads no metric of many runs at once any more: verify takes longer"
    at_once = sorted(mlflow_runs._history(client, [run], ["fid"]))
    monkeypatch.setattr(mlflow_runs, "history_reader", lambda client: None)
    one_by_one = sorted(mlflow_runs._history(client, [run], ["fid"]))
    assert at_once == one_by_one == [(run, ("fid", 10.0 - kimg, 1000 + kimg, kimg)) for kimg in (2, 1)]
    assert private.history_reader(object()) is None  # type: ignore[arg-type]


def test_without_mlflows_monitor_a_study_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.system_metrics.system_metrics_monitor", None)
    metrics = system.SystemMetrics(True, "http://127.0.0.1:1")
    metrics.keep("a" * 32)
    metrics.keep("a" * 32)
    metrics.stop()
    assert caplog.text.count("MLflow's system metrics cannot be measured") == 1
