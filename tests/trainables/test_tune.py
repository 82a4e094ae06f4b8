import errno
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from small_trials import EVALUATION, same, small, weights

from trainables.evaluation.prepare import Prepared
from trainables.faults import DIVERGED, FAILED, HALT
from trainables.gan.config import TrialConfig
from trainables.gan.session import Session
from trainables.trial import METRICS, report_keys
from trainables.tune import GanTrainable, own_code

Build = Callable[[dict[str, Any]], GanTrainable]

ABSURD = {"name": "adam", "lr": 10}
DIVERGING = small(
    loss="wasserstein",
    model={"name": "mlp", "width": 24, "depth": 8},
    generator_optimiser=ABSURD,
    discriminator_optimiser=ABSURD,
)


def tune_config(config: TrialConfig | dict[str, Any], folder: Path, report_kimg: int = 1) -> dict[str, Any]:
    trial = config.to_dict() if isinstance(config, TrialConfig) else config
    start = {"attempt": 1, "reported": 0, "deadline_seconds": None}
    return {
        "trial": trial,
        "folder": str(folder),
        "report_kimg": report_kimg,
        "full_count_at": [],
        "threads": 1,
        "device": "cpu",
        **start,
    }


def fids(config: TrialConfig, prepared: Prepared, reports: int, report_kimg: int = 1) -> list[float]:
    """What the trial gives without Ray."""
    session, found = Session(config, prepared), []
    for _ in range(reports):
        session.train(report_kimg)
        found.append(session.evaluate()["fid"])
    return found


@pytest.fixture
def build(prepared: Prepared) -> Iterator[Build]:
    """Makes a trainable as Tune does, but with the preparation from here instead of from Ray's object store."""

    class Ready(GanTrainable):
        def setup(self, config: dict[str, Any], prepared: Prepared | None = prepared) -> None:
            super().setup(config, prepared)

    threads = torch.get_num_threads()
    yield Ready
    torch.set_num_threads(threads)


# ------------------------------------------------------------------------------------------- without a cluster


def test_gives_the_reports_of_the_trial(build: Build, prepared: Prepared, tmp_path: Path) -> None:
    trainable = build(tune_config(small(), tmp_path, report_kimg=2))
    reports = [trainable.step() for _ in range(2)]
    assert [report["kimg"] for report in reports] == [2, 4]
    assert [report["fid"] for report in reports] == fids(small(), prepared, reports=2, report_kimg=2)
    for report in reports:
        assert set(report) == {*report_keys(EVALUATION), "attempt"}
        assert all(math.isfinite(value) for value in report.values())
    assert (tmp_path / "samples" / "kimg-000004.png").is_file()
    assert (tmp_path / "checkpoints" / "kimg-000004").is_dir()


def test_its_reports_are_plain_and_its_own(build: Build, tmp_path: Path) -> None:
    trainable = build(tune_config(small(), tmp_path))
    first = trainable.step()
    kept = json.loads(json.dumps(first))
    first.clear()  # Tune writes into what it is given
    second = trainable.step()
    assert second["fid_best"] == min(kept["fid"], second["fid"])
    assert second["train_seconds"] > kept["train_seconds"]


def test_cuda_graphs_are_of_no_effect_on_a_cpu(build: Build, prepared: Prepared, tmp_path: Path) -> None:
    trainable = build(tune_config(small(), tmp_path) | {"cuda_graphs": True})
    assert trainable.step()["fid"] == fids(small(), prepared, 1)[0]


def test_one_process_takes_over_trial_after_trial(build: Build, prepared: Prepared, tmp_path: Path) -> None:
    first, second = small(seed=1), small(seed=2, loss="hinge", ema_kimg=1, model={"name": "dcgan", "width": 4})
    trainable = build(tune_config(first, tmp_path / "first"))
    assert trainable.step()["fid"] == fids(first, prepared, 1)[0]
    assert trainable.reset_config(tune_config(second, tmp_path / "second", report_kimg=2)) is True
    report = trainable.step()
    assert (report["kimg"], report["fid"]) == (2, fids(second, prepared, 1, report_kimg=2)[0])
    assert report["fid_best"] == report["fid"]  # nothing is left of the first
    trainable.reset_config(tune_config(first, tmp_path / "first"))  # which is found where it was left
    assert [trainable.step()["fid"] for _ in range(2)] == fids(first, prepared, 2)


def test_goes_on_from_a_checkpoint_made_for_tune(build: Build, prepared: Prepared, tmp_path: Path) -> None:
    one = build(tune_config(small(ema_kimg=1), tmp_path / "one"))
    before = [one.step() for _ in range(2)]
    one.save_checkpoint(str(tmp_path / "saved"))
    other = build(tune_config(small(ema_kimg=1), tmp_path / "other"))
    other.load_checkpoint(str(tmp_path / "saved"))
    after = [other.step() for _ in range(2)]
    assert [report["kimg"] for report in before + after] == [1, 2, 3, 4]
    found = [report["fid"] for report in before + after]
    assert found == fids(small(ema_kimg=1), prepared, 4)
    assert [report["fid_best"] for report in before + after] == [min(found[: i + 1]) for i in range(4)]
    assert after[0]["train_seconds"] > before[-1]["train_seconds"]


def test_a_checkpoint_of_tune_decides_over_a_newer_one_in_the_folder(
    build: Build, prepared: Prepared, tmp_path: Path
) -> None:
    trainable = build(tune_config(small(), tmp_path / "trial"))
    trainable.step()
    trainable.save_checkpoint(str(tmp_path / "saved"))
    trainable.step()
    restarted = build(tune_config(small(), tmp_path / "trial"))
    restarted.load_checkpoint(str(tmp_path / "saved"))
    report = restarted.step()
    assert (report["kimg"], report["fid"]) == (2, fids(small(), prepared, 2)[1])


def test_uses_the_threads_it_is_given(build: Build, tmp_path: Path) -> None:
    build(tune_config(small(), tmp_path) | {"threads": 2})
    assert torch.get_num_threads() == 2


def test_puts_the_trial_on_the_device_it_is_given(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # a machine's GPU is not a trial's
    trainable = build(tune_config(small(), tmp_path))
    assert trainable._trial is not None
    assert {p.device.type for p in trainable._trial.session.generator.parameters()} == {"cpu"}


def test_lets_go_of_the_networks_at_the_end(build: Build, tmp_path: Path) -> None:
    trainable = build(tune_config(small(), tmp_path))
    trainable.stop()
    assert trainable._trial is None


# ---------------------------------------------------------------------------------------- ends, told as results


def assert_ended(report: dict[str, Any], how: str, kimg: int, *cause: str) -> None:
    assert set(report) == {*METRICS, "ended", "cause", "attempt"}
    assert (report["ended"], report["kimg"]) == (how, kimg)
    assert [part for part in cause if part not in report["cause"]] == []
    assert "\n" not in report["cause"]
    assert all(math.isnan(report[name]) for name in METRICS if name != "kimg")


def test_a_failing_setup_is_a_result_and_the_next_trial_runs(build: Build, prepared: Prepared, tmp_path: Path) -> None:
    wrong = [
        ({"model": {"name": "biggan"}}, "InvalidInput: trial configuration", "'biggan'"),
        ({"batch_size": 5000}, "InvalidInput: batch_size 5000", "1437"),
    ]
    trainable = build(tune_config(small(), tmp_path / "good"))
    for changes, *cause in wrong:
        trainable.reset_config(tune_config(small().to_dict() | changes, tmp_path / "wrong"))
        for _ in range(2):
            assert_ended(trainable.step(), FAILED, 0, *cause)
        saved = tmp_path / f"saved-{cause[1]}"
        saved.mkdir()
        trainable.save_checkpoint(str(saved))  # Tune does so when any trial ends
        trainable.load_checkpoint(str(saved))
        assert_ended(trainable.step(), FAILED, 0, *cause)
    trainable.reset_config(tune_config(small(), tmp_path / "good"))
    assert trainable.step()["fid"] == fids(small(), prepared, 1)[0]


def test_damaged_checkpoints_are_a_result(build: Build, tmp_path: Path) -> None:
    build(tune_config(small(), tmp_path)).step()
    (tmp_path / "checkpoints" / "kimg-000001" / "state.pt").write_bytes(b"")
    assert_ended(build(tune_config(small(), tmp_path)).step(), FAILED, 0, "CorruptFile", "state.pt is not what")


def test_an_error_in_a_step_is_a_result(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainable = build(tune_config(small(), tmp_path))
    trainable.step()

    def broken(*_: Any) -> None:
        raise ValueError("two\nlines")

    monkeypatch.setattr("trainables.checkpoint.save_file", broken)
    assert_ended(trainable.step(), FAILED, 2, "error: ValueError: two lines")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "full"),
        OSError(errno.EDQUOT, "quota"),
        OSError(errno.EROFS, "read-only"),
        RuntimeError("No space left on device (28)"),
    ],
)
def test_a_full_disk_halts_the_study_and_not_the_trial(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    trainable = build(tune_config(small(), tmp_path))
    trainable.step()

    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr("trainables.checkpoint.save_file", full)
    assert_ended(trainable.step(), HALT, 2)


@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'x'"), ImportError("libcudart.so.12")])
def test_a_module_that_is_missing_is_no_trials_fault(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ImportError
) -> None:
    trainable = build(tune_config(small(), tmp_path))

    def missing(*_: Any) -> None:
        raise error

    monkeypatch.setattr("trainables.gan.session.Session.train", missing)
    assert_ended(trainable.step(), HALT, 0, f"error: {type(error).__name__}: {error}; install on ")


def test_other_code_than_the_drivers_trains_nothing(build: Build, prepared: Prepared, tmp_path: Path) -> None:
    trainable = build(tune_config(small(), tmp_path / "other") | {"code": "of another version"})
    assert_ended(trainable.step(), HALT, 0, "is not the driver's; install on ")
    assert not (tmp_path / "other").exists()
    trainable.reset_config(tune_config(small(), tmp_path / "same") | {"code": own_code()})
    assert trainable.step()["fid"] == fids(small(), prepared, 1)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_worker_ends_with_its_raylet_even_where_it_holds_pythons_lock() -> None:
    child = (
        "import ctypes; from trainables.faults import end_with_raylet; end_with_raylet(); print(1, flush=True);"
        "ctypes.PyDLL(None).sleep(99999)"
    )
    parent = (
        "import os, subprocess, sys, time; os.environ['RAY_RAYLET_PID'] = str(os.getpid());"
        "print(subprocess.Popen([sys.executable, '-c', sys.argv[1]]).pid, flush=True); time.sleep(99999)"
    )
    with subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True) as raylet:
        assert raylet.stdout is not None
        worker = psutil.Process(int(raylet.stdout.readline()))
        assert raylet.stdout.readline() == "1\n"
        raylet.kill()
        worker.wait(30)


def test_memory_that_runs_out_is_a_type_of_failure(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainable = build(tune_config(small(), tmp_path))

    def none_left(*_: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    monkeypatch.setattr("trainables.gan.session.Session.train", none_left)
    assert_ended(trainable.step(), FAILED, 0, "out_of_memory: OutOfMemoryError: tried to allocate 80 GiB")


def test_a_diverging_trial_is_a_result_and_the_next_trial_runs(
    build: Build, prepared: Prepared, tmp_path: Path
) -> None:
    trainable = build(tune_config(DIVERGING, tmp_path / "wild", report_kimg=40))
    report = trainable.step()
    assert 1 <= report["kimg"] < 40
    assert_ended(report, DIVERGED, report["kimg"], f"became non-finite by {report['kimg']} kimg")
    trainable.reset_config(tune_config(small(), tmp_path / "good"))
    assert trainable.step()["fid"] == fids(small(), prepared, 1)[0]


def test_restores_every_weight(build: Build, tmp_path: Path) -> None:
    one, other = (build(tune_config(small(ema_kimg=1), tmp_path / name)) for name in ("one", "other"))
    one.step()
    one.save_checkpoint(str(tmp_path / "saved"))
    other.load_checkpoint(str(tmp_path / "saved"))
    assert one._trial is not None
    assert other._trial is not None
    for net in ("generator", "discriminator", "evaluated"):
        assert same(weights(getattr(one._trial.session, net)), weights(getattr(other._trial.session, net)))


# ------------------------------------------------------------------------------------------------ under Ray


@pytest.fixture
def local_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import ray

    quiet = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    for name, value in quiet.items():
        monkeypatch.setenv(name, value)
    ray.init(address="local", num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_under_tune_in_one_process_the_fids_are_those_of_a_session(prepared: Prepared, tmp_path: Path) -> None:
    from ray import tune

    good = {
        "mlp": small(seed=1, ema_kimg=1),
        "dcgan": small(
            seed=2,
            model={"name": "dcgan", "width": 4},
            loss="hinge",
            normalisation="spectral",
            penalty={"name": "gradient_penalty", "weight": 1},
        ),
        "clipped": small(seed=3, loss="wasserstein", penalty={"name": "weight_clip", "limit": 0.1}, n_critic=5),
    }
    wrong = small().to_dict() | {"loss": "wgan"}
    trials = {"mlp": good["mlp"], "wrong": wrong, "dcgan": good["dcgan"], "wild": DIVERGING, "clipped": good["clipped"]}
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in trials}

    def stop(_: str, result: dict[str, Any]) -> bool:
        name = Path(result["config"]["folder"]).name
        seen[name].append(result)
        return "ended" in result or (result["kimg"] >= 3 and name in good)

    tuner = tune.Tuner(
        tune.with_parameters(GanTrainable, prepared=prepared),
        param_space=tune.grid_search([tune_config(config, tmp_path / name) for name, config in trials.items()]),
        tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=1),
        run_config=tune.RunConfig(name="ray", storage_path=str(tmp_path), stop=stop, verbose=0),
    )
    results = tuner.fit()
    assert len(results) == 5
    assert results.num_errors == 0
    assert not any(result.error for result in results)
    assert len({result["pid"] for reports in seen.values() for result in reports}) == 1
    for name, config in good.items():
        assert [result["fid"] for result in seen[name]] == fids(config, prepared, 3), name
    assert [result["ended"] for result in seen["wrong"]] == [FAILED]
    assert "loss = 'wgan'" in seen["wrong"][0]["cause"]
    assert seen["wild"][-1]["ended"] == DIVERGED
    assert not any("ended" in result for result in seen["wild"][:-1])
