"""benchmarks/gpu.py without a GPU: it says so, and can be tried out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "gpu.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, timeout=500, check=False
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_ends_in_one_line_with_code_2() -> None:
    ended = run()
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "gpu.py: torch finds no GPU; run it where there is one (--device cpu only tries it out)"
    ]


@pytest.mark.slow
def test_tried_out_on_a_cpu_it_writes_every_case_and_is_marked_as_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--rounds", "1", "--seconds", "0.02", "--trials", "1", "--networks", "mlp", "--data", "digits"]
    ended = run("--device", "cpu", *options, "--name", str(tmp_path / "gpu"))
    assert ended.returncode == 0, ended.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    (of,) = result["compared"].values()
    kinds = [f"{precision}, {how}" for precision in ("float32", "bf16") for how in ("eager, 1", "graphs, 1", "floor")]
    assert sorted(of["rates"]) == sorted(kinds)
    for pair, ratio in of["ratios"].items():
        one, other = (of["rates"][name]["images_per_second"] for name in pair.split(" / "))
        assert ratio["median"] == pytest.approx(one / other, rel=2e-3)  # of numbers rounded to four digits
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import plot

    page = plot.gpu(result)
    assert page.startswith("Not of a GPU")
    assert f"| bf16, graphs | {of['rates']['bf16, graphs, 1']['images_per_second']:,.0f} |" in page
