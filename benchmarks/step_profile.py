"""Where the time of a training step goes: `python benchmarks/step_profile.py`.

One core, one thread, the networks of benchmarks/step.py. Torch's profiler gives each operation its own time, without
what it calls; operations are put into a few groups. What is left of the wall time is Python and the handing over of
operations to torch (torch's own bookkeeping of autograd is with "dispatch"). The profiler makes small operations look
larger than they are, so the shares of products are lower bounds. Results go to benchmarks/results/step_profile.json.
About a minute.
"""

import argparse
import re
import time
from collections import defaultdict
from typing import Any

from measuring import Step, machine, pin, write
from step import NETWORKS, ours
from torch.profiler import ProfilerActivity, profile

from trainables.data import FashionMnist

GROUPS: dict[str, str] = {
    "products": r"aten::(mm|addmm|bmm|baddbmm|mv|linear|convolution.*|_convolution|mkldnn_.*|.*col2im|im2col)$|mkldnn",
    "normalisation": r"aten::.*batch_norm.*|aten::.*layer_norm.*",
    "optimisers": r"aten::_fused_.*|aten::_foreach_.*|Optimizer",
    "copies and casts": r"aten::(copy_|_to_copy|to|contiguous|clone|cat)$",
    "dispatch": r"autograd::|torch::autograd|.*Backward\d*$",
}
"""The first pattern that an operation's name begins with; others are elementwise operations and sums."""
REST, PYTHON = "elementwise", "Python"


def group_of(operation: str) -> str:
    """Return an operation's group."""
    return next((name for name, pattern in GROUPS.items() if re.match(pattern, operation)), REST)


def shares(step: Step, seconds: float) -> dict[str, Any]:
    """Return each group's share of the profiled wall time, and milliseconds per step without and with the profiler."""
    for _ in range(20):
        step()
    plain = _ms(step, seconds)
    spent: dict[str, float] = defaultdict(float)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        began, steps = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            step()
            steps += 1
        wall = time.perf_counter() - began
    for event in profiler.key_averages():
        spent[group_of(event.key)] += event.self_cpu_time_total / 1e6
    spent[PYTHON] = max(0.0, wall - sum(spent.values()))
    names = (*GROUPS, REST, PYTHON)
    return {
        "share": {name: spent[name] / wall for name in names},
        "ms_per_step": plain,
        "ms_per_step_profiled": 1000 * wall / steps,
    }


def _ms(step: Step, seconds: float) -> float:
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        step()
        steps += 1
    return 1000 * (time.perf_counter() - began) / steps


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each case, with and without the profiler")
    parser.add_argument("--core", type=int, default=0)
    options = parser.parse_args()
    before = machine()["load_average"]
    pin(options.core)
    dataset, found = FashionMnist().load(), {}
    for network, changes in NETWORKS.items():
        for precision in ("float32", "bf16"):
            case = f"{network}, {precision}"
            found[case] = shares(ours(dataset, {**changes, "precision": precision}), options.seconds)
            parts = ", ".join(f"{name} {share:.0%}" for name, share in found[case]["share"].items())
            print(f"{case:18} {found[case]['ms_per_step']:6.2f} ms a step: {parts}", flush=True)
    write("step_profile", {"load_before": before, "seconds": options.seconds, "cases": found})


if __name__ == "__main__":
    main()
