"""Whether a study's space fits its data, found before Ray starts: shapes, labels, classes, batches.

Every value that the space can choose is tried in some configuration (`Space.probes`), and the baselines are.
"""

from collections.abc import Callable, Iterable
from typing import Any

import yaml

from search_spaces.space import Space, Value
from search_spaces.structure import possible
from study.study_file.config import StudyConfig
from trainables.data import Dataset
from trainables.errors import InvalidInput
from trainables.gan.config import TrialConfig
from trainables.gan.models import ImageShape

Rule = Callable[[TrialConfig, Dataset], str | None]
"""(a trial, the data) -> why it does not fit, or None."""


def check_fit(config: StudyConfig, dataset: Dataset) -> None:
    """Refuse a study whose space can choose what its data does not allow.

    Args:
        config: the study.
        dataset: the data that it names.

    Raises:
        InvalidInput: naming the parameter, its values that do not fit, why, and how to narrow the space.
    """
    space = config.space.resolve()
    params = [*space.probes(), *(baseline.params for baseline in space.baselines)]
    data, evaluation = config.data.model_dump(mode="json"), config.evaluation.model_dump(mode="json")
    trials = [space.build(p, data=data, evaluation=evaluation, seed=0) for p in params]
    for place, rule in _RULES.items():
        _check(space, place, rule, trials, dataset)


def _check(space: Space, place: str, rule: Rule, trials: Iterable[TrialConfig], dataset: Dataset) -> None:
    problems: dict[Value, str | None] = dict.fromkeys(possible(space.parameters, space.constants, place))
    for trial in trials:
        value = _at(trial, place)
        problems[value] = problems.get(value) or rule(trial, dataset)
    bad = [value for value, problem in problems.items() if problem]
    if bad:
        fitting = [value for value in problems if value not in bad]
        why = f"{place} {', '.join(map(str, bad))}: {problems[bad[0]]}"
        raise InvalidInput(f"{why}; {_advice(space, place, fitting, dataset)}")


def _advice(space: Space, place: str, fitting: list[Value], dataset: Dataset) -> str:
    """Say what to write in the study file, or what else there is to do."""
    filling = [p for p in space.parameters if place in p.paths]
    if not filling:
        return f"set another one with space.fix: {{{place}: ..}}, or give other data"
    key = filling[0].name if len(filling) == 1 and filling[0].expands is None else place
    if all(p.choices for p in filling):
        spec: Any = fitting
    else:
        spec = {"low": dataset.classes} if fitting and place == "latent.dimension" else None
    if not spec:
        return "none that the study leaves does; loosen space.narrow, choose another space.base, or give other data"
    narrowed = yaml.safe_dump({key: spec}, default_flow_style=True, width=10_000).strip()
    return f"write space.narrow: {narrowed}, or give other data"


def _at(trial: TrialConfig, place: str) -> Value:
    found: Any = trial
    for name in place.split("."):
        found = getattr(found, name)
    value: Value = found
    return value


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
