"""What a study would do, without doing it: `ganstudy launch --dry-run`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.table import Table

from study.board import summary
from study.config import StudyConfig
from study.sampling import Sampling
from study.tables import duration, plain_table
from trainables.config import TrialConfig
from trainables.data import Dataset
from trainables.models import ImageShape
from trainables.networks import assemble
from trainables.speed import images_per_second

_SAMPLES = 200


def parameter_count(config: TrialConfig, shape: ImageShape, classes: int) -> tuple[int, int]:
    """Return the number of parameters of G and of D, without allocating them."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        networks = assemble(config, shape, classes)
    g, d = (sum(p.numel() for p in module.parameters()) for module in networks)
    return g, d


def show_plan(config: StudyConfig, dataset: Dataset, slots: int, console: Console) -> None:
    """Print the resolved study, the rung plan, the sizes of the networks and what it will cost.

    Args:
        config: the study.
        dataset: its data.
        slots: trials at a time.
        console: where to print.
    """
    console.rule("study", align="left")
    console.print(yaml.safe_dump(config.to_dict(), sort_keys=False), highlight=False, markup=False, end="")
    console.rule("rungs", align="left")
    for bracket in range(config.schedule.brackets):
        console.print(_rungs(config, bracket), highlight=False)
    console.rule("networks", align="left")
    space = config.space.resolve()
    fixed: dict[str, Any] = {
        "data": config.data.model_dump(mode="json"),
        "evaluation": config.evaluation.model_dump(mode="json"),
        "seed": 0,
    }
    sampling = Sampling(replace(space, baselines=()), "random", seed=0, startup=1, ceiling=0.0)
    draws = [space.build(sampling.propose(number).params, **fixed) for number in range(_SAMPLES)]
    baselines = {b.name: space.build(b.params, **fixed) for b in space.baselines}
    shape, classes = ImageShape(dataset.channels, dataset.size), dataset.classes or 0
    console.print(_sizes(baselines, draws, partial(parameter_count, shape=shape, classes=classes)))
    console.rule("cost", align="left")
    for line in _costs(config, [*baselines.values(), *draws], dataset, slots):
        console.print(line, highlight=False)


def _sizes(
    baselines: Mapping[str, TrialConfig],
    draws: Sequence[TrialConfig],
    size_of: Callable[[TrialConfig], tuple[int, int]],
) -> Table:
    found = {f"baseline {name}": size_of(trial) for name, trial in baselines.items()}
    sizes = [size_of(draw) for draw in draws]
    for label, pick in (("smallest", min), ("median", median), ("largest", max)):
        found[f"{label} of {_SAMPLES} samples"] = (int(pick(g for g, _ in sizes)), int(pick(d for _, d in sizes)))
    rows = [[name, f"{g:,}", f"{d:,}"] for name, (g, d) in found.items()]
    return plain_table([("", "left"), ("parameters of G", "right"), ("of D", "right")], rows)


def _costs(config: StudyConfig, trials: Sequence[TrialConfig], dataset: Dataset, slots: int) -> Iterator[str]:
    kimg = config.schedule.expected_kimg(config.trials)
    everything = config.trials * config.schedule.max_kimg
    yield (
        f"about {kimg:,.0f} kimg in {config.trials} trials ({kimg / everything:.0%} of the {everything:,} kimg "
        "that running every trial to the end would take)"
    )
    first = {trial.model.name: trial for trial in reversed(trials)}
    for trial in reversed(first.values()):
        speed = images_per_second(trial, dataset)
        yield (
            f"  {duration(kimg * 1000 / speed / slots)} of training if all were {summary(trial.to_dict())}: "
            f"{speed:,.0f} images/s on one thread here, {slots} at a time"
        )


def _rungs(config: StudyConfig, bracket: int) -> str:
    schedule = config.schedule
    rungs = ", ".join(str(rung) for rung in schedule.rungs(bracket))
    stops = (
        f"rungs at {rungs} kimg (about 1 in {schedule.reduction_factor} goes on)" if rungs else "no trial is stopped"
    )
    return (
        f"bracket {bracket}: {stops}, the end at {schedule.max_kimg} kimg, a report every {schedule.report_every} kimg"
    )
