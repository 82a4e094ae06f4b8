"""What a study would do, without doing it: `ganstudy launch --dry-run`."""

from dataclasses import replace
from statistics import median
from typing import Any

import torch
import yaml
from rich.console import Console

from study.config import StudyConfig
from study.sampling import Sampling
from study.tables import duration, plain_table
from trainables.config import TrialConfig
from trainables.models import ImageShape
from trainables.models.normalisation import NORMALISATIONS

_SAMPLES = 200
_TYPICAL_SPEEDS = {"mlp": 4500, "dcgan": 600}
"""Images per second of one thread of a server CPU at the default widths; a GPU is faster. For the forecast only."""


def parameter_count(config: TrialConfig, shape: ImageShape) -> tuple[int, int]:
    """Return the number of parameters of G and of D, without allocating them."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        generator = config.model.generator(config.latent.dimension, shape)
        discriminator = config.model.discriminator(shape, NORMALISATIONS[config.normalisation])
    g, d = (sum(p.numel() for p in module.parameters()) for module in (generator, discriminator))
    return g, d


def show_plan(config: StudyConfig, shape: ImageShape, slots: int, console: Console) -> None:
    """Print the resolved study, the rung plan, the sizes of the networks and what it will cost.

    Args:
        config: the study.
        shape: of the data's images.
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
    rows = [
        [name, f"{g:,}", f"{d:,}"]
        for name, (g, d) in (
            (f"baseline {b.name}", parameter_count(space.build(b.params, **fixed), shape)) for b in space.baselines
        )
    ]
    sampling = Sampling(replace(space, baselines=()), "random", seed=0, startup=1, ceiling=0.0)
    draws = (space.build(sampling.propose(number).params, **fixed) for number in range(_SAMPLES))
    sizes = [parameter_count(draw, shape) for draw in draws]
    for label, pick in (("smallest", min), ("median", median), ("largest", max)):
        g, d = (int(pick([size[i] for size in sizes])) for i in (0, 1))
        rows.append([f"{label} of {_SAMPLES} samples", f"{g:,}", f"{d:,}"])
    console.print(plain_table([("", "left"), ("parameters of G", "right"), ("of D", "right")], rows))
    console.rule("cost", align="left")
    kimg = config.schedule.expected_kimg(config.trials)
    everything = config.trials * config.schedule.max_kimg
    console.print(
        f"about {kimg:,.0f} kimg in {config.trials} trials ({kimg / everything:.0%} of the {everything:,} kimg "
        "that running every trial to the end would take)",
        highlight=False,
    )
    for model, speed in _TYPICAL_SPEEDS.items():
        seconds = kimg * 1000 / speed / slots
        console.print(
            f"  {duration(seconds)} if all were {model} at {speed} images/s on each of {slots} slots",
            highlight=False,
        )


def _rungs(config: StudyConfig, bracket: int) -> str:
    schedule = config.schedule
    rungs = ", ".join(str(rung) for rung in schedule.rungs(bracket)) or "none"
    return (
        f"bracket {bracket}: rungs at {rungs} kimg (about 1 in {schedule.reduction_factor} goes on), "
        f"the end at {schedule.max_kimg} kimg, a report every {schedule.report_every} kimg"
    )
