"""A trial computes with the threads it is given, in torch, OpenMP, MKL and NumPy's BLAS, whatever was set before."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from small_trials import small
from threadpoolctl import threadpool_info

from trainables.evaluation.prepare import Prepared
from trainables.tune import GanTrainable

SET = """
import json, numpy, torch
from threadpoolctl import threadpool_info
from trainables.threads import use_threads
before = [pool["num_threads"] for pool in threadpool_info()]
use_threads(1)
a = torch.rand(300, 300)
a @ a, torch.nn.functional.conv2d(torch.rand(8, 8, 32, 32), torch.rand(8, 8, 3, 3))
after = [pool["num_threads"] for pool in threadpool_info()]
print(json.dumps([before, after, torch.get_num_threads(), torch.__config__.parallel_info()]))
"""


def test_every_library_computes_with_the_threads_it_is_told() -> None:
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
    run = subprocess.run([sys.executable, "-c", SET], env=environment, capture_output=True, text=True, check=True)
    before, after, of_torch, facts = json.loads(run.stdout.splitlines()[-1])
    assert max(before) == 2 or os.cpu_count() == 1
    assert set(after) == {1}
    assert of_torch == 1
    assert "omp_get_max_threads() : 1" in facts
    assert "mkl_get_max_threads() : 1" in facts or "mkl" not in facts


@pytest.mark.slow
def test_a_trial_and_its_evaluation_in_a_ray_worker_have_the_trials_threads(prepared: Prepared, tmp_path: Path) -> None:
    class Watched(GanTrainable):
        def setup(self, config: dict[str, Any], prepared: Prepared | None = prepared) -> None:
            super().setup(config, prepared)

        def step(self) -> dict[str, Any]:
            seen: set[int] = set()
            assert self._trial is not None
            session = self._trial.session
            evaluate = session.evaluate

            def watched(**asked: Any) -> dict[str, float]:
                seen.update(pool["num_threads"] for pool in threadpool_info())
                seen.add(torch.get_num_threads())
                return evaluate(**asked)

            session.evaluate = watched  # type: ignore[method-assign,assignment]
            super().step()
            after = {pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}
            pools = {pool["user_api"] for pool in threadpool_info()}
            return {"evaluating": sorted(seen), "after": sorted(after), "openmp": "openmp" in pools}

    config = {"trial": small().to_dict(), "folder": str(tmp_path / "trial"), "report_kimg": 1, "threads": 1}
    config |= {"device": "cpu", "attempt": 1, "reported": 0, "deadline_seconds": None, "full_count_at": []}
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        actor = ray.remote(num_cpus=2)(Watched).remote(config)  # left to itself Ray gives two threads to two CPUs
        assert ray.get(actor.step.remote()) == {"evaluating": [1], "after": [1], "openmp": True}
    finally:
        ray.shutdown()
