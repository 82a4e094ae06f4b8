"""Checks before Ray starts that a study's space fits its data: shapes, labels, classes, batches.

Every value that the space can choose is tried in some configuration (`Space.probes`), and so are the baselines.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import yaml

from search_spaces.space import Space, Value
from search_spaces.structure import possible
from study.study_file.config import StudyConfig
from trainables.data import Dataset
from trainables.errors import InvalidInput
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape

Rule = Callable[[TrialConfig, Dataset], str | None]  # why a trial does not fit the data, or None


def check_fit(config: StudyConfig, dataset: Dataset) -> None:
    """Refuse a study whose space can choose what its data does not allow.

    Raises:
        InvalidInput: naming the parameter, its values that do not fit, why, and how to narrow the space.
    """
    space = config.space.resolve()
    params = [*space.probes(), *(baseline.params for baseline in space.baselines)]
    data, evaluation = config.data.model_dump(mode="json"), config.evaluation.model_dump(mode="json")
    trials = [space.build(p, data=data, evaluation=evaluation, seed=0) for p in params]
    for key, rule in _RULES.items():
        problems: dict[Value, str | None] = dict.fromkeys(possible(space.parameters, space.constants, key))
        for trial in trials:
            value: Value = attrgetter(key)(trial)
            problems[value] = problems.get(value) or rule(trial, dataset)
        bad = [value for value, problem in problems.items() if problem]
        if bad:
            fitting = [value for value in problems if value not in bad]
            why = f"{key} {', '.join(map(str, bad))}: {problems[bad[0]]}"
            raise InvalidInput(f"{why}; {_advice(space, key, fitting, dataset)}")


def _advice(space: Space, key: str, fitting: list[Value], dataset: Dataset) -> str:
    """Return what to write in the study file, or what else to do."""
    filling = [p for p in space.parameters if key in p.paths]
    if not filling:
        return f"set another one with space.fix: {{{key}: ..}}, or use other data"
    if all(p.choices for p in filling):
        spec: Any = fitting
    else:
        spec = {"low": dataset.classes} if fitting and key == "latent.dimension" else None
    if not spec:
        return "no value that the study allows fits; loosen space.narrow, choose another space.base, or use other data"
    name = filling[0].name if len(filling) == 1 and filling[0].expands is None else key
    narrowed = yaml.safe_dump({name: spec}, default_flow_style=True, width=10_000).strip()
    return f"write space.narrow: {narrowed}, or use other data"


def _shape(trial: TrialConfig, dataset: Dataset) -> str | None:
    try:
        trial.model.check_shape(ImageShape(dataset.channels, dataset.size))
    except ValueError as error:
        return str(error)
    return None


def _labels(needs: Callable[[TrialConfig], bool]) -> Rule:
    return lambda trial, dataset: (
        f"needs labels, and {dataset.name} has none" if needs(trial) and dataset.classes is None else None
    )


def _classes(trial: TrialConfig, dataset: Dataset) -> str | None:
    try:
        trial.latent.check_classes(dataset.classes or 0)
    except ValueError as error:
        return str(error).removeprefix(f"latent.dimension {trial.latent.dimension}: ").removesuffix("; raise it")
    return None


def _batch(trial: TrialConfig, dataset: Dataset) -> str | None:
    count = len(dataset.train)
    return f"{dataset.name} has only {count} training images" if trial.batch_size > count else None


_RULES: dict[str, Rule] = {
    "model.name": _shape,
    "conditioning.name": _labels(lambda trial: trial.conditioning.uses_labels),
    "latent.name": _labels(lambda trial: trial.latent.uses_labels),
    "latent.dimension": _classes,
    "batch_size": _batch,
}
