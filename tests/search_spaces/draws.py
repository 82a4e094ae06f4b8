"""A `suggest` without Optuna, for tests."""

import math
import random
from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.space import Suggest

DATA: dict[str, Any] = {"name": "digits"}
EDGE = 0.2
"""Share of draws that are a bound of the range."""


def _float(rng: random.Random, d: FloatDistribution) -> float:
    if rng.random() < EDGE:
        return rng.choice([d.low, d.high])
    if d.log:
        return min(d.high, max(d.low, math.exp(rng.uniform(math.log(d.low), math.log(d.high)))))
    return rng.uniform(d.low, d.high)


def _int(rng: random.Random, d: IntDistribution) -> int:
    return rng.randrange(d.low, d.high + 1, d.step)


def _choice(rng: random.Random, d: CategoricalDistribution) -> Any:
    return rng.choice(d.choices)


_DRAW: dict[type[BaseDistribution], Callable[[random.Random, Any], Any]] = {
    FloatDistribution: _float,
    IntDistribution: _int,
    CategoricalDistribution: _choice,
}


def drawing(seed: int) -> Suggest:
    """A `suggest` that draws uniformly, and often the bounds, from its own generator."""
    rng = random.Random(seed)
    return lambda _, distribution: _DRAW[type(distribution)](rng, distribution)
