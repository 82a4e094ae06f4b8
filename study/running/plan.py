"""What a study would do and cost: `ganstudy launch --dry-run`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import torch
import yaml
from rich.console import Console

from study.analysis.summary import summary
from study.ledger.earlier import Earlier
from study.running.sampling import Sampling
from study.study_file.config import StudyConfig
from study.terminal.fitted import Fitted
from study.terminal.say import say
from study.views.tables import duration
from trainables.data import Dataset
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape
from trainables.gan.networks import assemble
from trainables.gan.speed import images_per_second

_SAMPLES = 200


@dataclass(frozen=True)
class Estimate:
    """What the study would take if all trials were like `trial` (in a few words)."""

    trial: str
    images_per_second: float
    seconds: float


@dataclass(frozen=True)
class StudyPlan:
    """What a study would do.

    Attributes:
        config: the resolved study.
        slots: trials at a time.
        sizes: parameters of G and of D, of each baseline and of the smallest, median and largest sample.
        kimg: expected training over all trials.
        costs: one for each kind of network, measured on one thread here.
        earlier: what the sampler learns from earlier studies; a launch also compares the fingerprints of their FIDs.
    """

    config: StudyConfig
    slots: int
    sizes: dict[str, tuple[int, int]]
    kimg: float
    costs: tuple[Estimate, ...]
    earlier: tuple[Earlier, ...] = ()

    @property
    def kimg_of_all(self) -> int:
        """The kimg of running every trial to the end."""
        return self.config.trials * self.config.schedule.max_kimg

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for scripts."""
        schedule = self.config.schedule
        return {
            "study": self.config.to_dict(),
            "rungs": [schedule.rungs(bracket) for bracket in range(schedule.brackets)],
            "report_kimg": schedule.report_every,
            "parameters": {name: {"generator": g, "discriminator": d} for name, (g, d) in self.sizes.items()},
            "concurrency": self.slots,
            "kimg": self.kimg,
            "kimg_without_stopping": self.kimg_of_all,
            "costs": [asdict(cost) for cost in self.costs],
            "warm_start": [
                {"study": one.name, "finished": one.finished, "fitting": len(one.trials)} for one in self.earlier
            ],
        }


def make_plan(config: StudyConfig, dataset: Dataset, slots: int, earlier: tuple[Earlier, ...] = ()) -> StudyPlan:
    """Work out what the study would do on `dataset`, `slots` trials at a time."""
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
    sizes = {f"baseline {name}": _parameter_count(trial, shape, classes) for name, trial in baselines.items()}
    counts = [_parameter_count(draw, shape, classes) for draw in draws]
    for label, pick in (("smallest", min), ("median", median), ("largest", max)):
        sizes[f"{label} of {_SAMPLES} samples"] = (int(pick(g for g, _ in counts)), int(pick(d for _, d in counts)))
    kimg = config.schedule.expected_kimg(config.trials)
    costs: dict[str, Estimate] = {}
    for trial in (*baselines.values(), *draws):
        if trial.model.name not in costs:
            speed = images_per_second(trial, dataset)
            costs[trial.model.name] = Estimate(summary(trial.to_dict()), speed, kimg * 1000 / speed / slots)
    return StudyPlan(config, slots, sizes, kimg, tuple(costs.values()), earlier)


def show_plan(plan: StudyPlan, console: Console) -> None:
    """Print the resolved study, the rung plan, the sizes of the networks and what it will cost."""
    config = plan.config
    console.rule("study", align="left")
    console.print(yaml.safe_dump(config.to_dict(), sort_keys=False), end="")
    console.rule("rungs", align="left")
    for bracket in range(config.schedule.brackets):
        console.print(_rungs(config, bracket))
    if plan.earlier:
        console.rule("warm start", align="left")
        for one in plan.earlier:
            say(console, f"{one} fit this study; a launch also compares the fingerprints of the FIDs")
    console.rule("networks", align="left")
    rows = [[name, f"{g:,}", f"{d:,}"] for name, (g, d) in plan.sizes.items()]
    console.print(Fitted([("", "left"), ("parameters of G", "right"), ("of D", "right")], rows))
    console.rule("cost", align="left")
    console.print(
        f"about {plan.kimg:,.0f} kimg in {config.trials} trials ({plan.kimg / plan.kimg_of_all:.0%} of the "
        f"{plan.kimg_of_all:,} kimg that running every trial to the end would take)"
    )
    for cost in plan.costs:
        console.print(
            f"  {duration(cost.seconds)} of training if all were {cost.trial}: "
            f"{cost.images_per_second:,.0f} images/s on one thread here, {plan.slots} at a time"
        )


def _parameter_count(config: TrialConfig, shape: ImageShape, classes: int) -> tuple[int, int]:
    """Return the number of parameters of G and of D, without allocating them."""
    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        networks = assemble(config, shape, classes)
    g, d = (sum(p.numel() for p in module.parameters()) for module in networks)
    return g, d


def _rungs(config: StudyConfig, bracket: int) -> str:
    schedule = config.schedule
    rungs = schedule.rungs(bracket)
    stops = f"rungs at {', '.join(map(str, rungs))} kimg{_passing(config, rungs)}" if rungs else "no trial is stopped"
    return (
        f"bracket {bracket}: {stops}, the end at {schedule.max_kimg} kimg, a report every {schedule.report_every} kimg"
    )


def _passing(config: StudyConfig, rungs: Sequence[int]) -> str:
    """How many trials go on at each rung; not of several brackets, among which the trials are drawn."""
    schedule, left, told = config.schedule, float(config.trials), []
    rule = f"a trial passes if it is among the best 1 in {schedule.reduction_factor} of those before it"
    if schedule.brackets > 1:
        return f" ({rule})"
    for _ in rungs:
        left = schedule.passing(left)
        told.append(f"{left:.0f}")
    return f" ({rule}: of {config.trials} about {', '.join(told)}, and more while the sampler finds better ones)"
