"""What a space is made of: parameters, the conditions under which they are active, baselines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from optuna.distributions import BaseDistribution, CategoricalDistribution

from search_spaces.distributions import choice, kind_of
from search_spaces.hints import Value, is_one_of, same
from trainables.display import quoted
from trainables.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


@dataclass(frozen=True)
class Condition:
    """Holds when the setting at `parent`, a dotted path such as "penalty.name", is one of `values`.

    It does not matter which of several parameters, or a constant, fills that path.
    """

    parent: str
    values: tuple[Value, ...]

    def holds(self, filled: Mapping[str, Value]) -> bool:
        """Tell whether the settings that are filled so far, by path, meet the condition."""
        return self.parent in filled and is_one_of(filled[self.parent], self.values)

    def __str__(self) -> str:
        """For people: `penalty.name is a or b`."""
        return f"{self.parent} is {' or '.join(str(value) for value in self.values)}"


@dataclass(frozen=True)
class Parameter:
    """One thing that varies.

    Attributes:
        name: the name that the sampler, the ledger and the study file know it by; unique in a space.
        distribution: float, int or categorical.
        when: conditions that must all hold for it to be active.
        path: the path or paths of `TrialConfig` that its value fills; its name if None. Several paths
            share one value (the same learning rate for G and D); several parameters with different ranges may
            fill one path under conditions that exclude each other.
        expands: for a choice, what each of its values fills instead ("wgan" sets a loss and a penalty).
    """

    name: str
    distribution: BaseDistribution
    when: tuple[Condition, ...] = ()
    path: str | tuple[str, ...] | None = None
    expands: Mapping[Value, Mapping[str, Value]] | None = None

    def __post_init__(self) -> None:
        """Refuse what no space could use."""
        for name in (self.name, *self.paths):
            if _NAME.fullmatch(name) is None:
                raise InvalidInput(f"parameter {quoted(name)}: names are words joined by dots; rename it")
        if (problem := kind_of(self.distribution).problem(self.distribution)) is not None:
            raise InvalidInput(f"parameter {self.name!r}: {problem}")
        if len(set(self.paths)) < len(self.paths) or not self.paths:
            raise InvalidInput(f"parameter {self.name!r}: path must name settings, none of them twice; correct it")
        if self.expands is not None:
            self._check_expands(self.expands)

    def _check_expands(self, expands: Mapping[Value, Mapping[str, Value]]) -> None:
        if not isinstance(self.distribution, CategoricalDistribution):
            raise InvalidInput(f"parameter {self.name!r}: only a choice can expand; leave expands out")
        if self.path is not None:
            raise InvalidInput(f"parameter {self.name!r}: has a path and expands; leave one out")
        for value in self.choices:
            if value not in expands:
                raise InvalidInput(f"parameter {self.name!r}: expands lacks the choice {quoted(value)}; add it")
            if set(expands[value]) != set(self.paths):
                raise InvalidInput(
                    f"parameter {self.name!r}: choice {quoted(value)} fills {', '.join(expands[value])}; "
                    f"all choices must fill the same settings ({', '.join(self.paths)})"
                )

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that it fills."""
        if self.expands is not None:
            return tuple(next(iter(self.expands.values()), {}))
        if self.path is None:
            return (self.name,)
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def choices(self) -> tuple[Value, ...]:
        """Its possible values if it is a choice, else none."""
        is_choice = isinstance(self.distribution, CategoricalDistribution)
        return kind_of(self.distribution).probes(self.distribution) if is_choice else ()

    def fills(self, value: Value) -> Mapping[str, Value]:
        """Return the settings that `value` stands for, by path."""
        return dict.fromkeys(self.paths, value) if self.expands is None else self.expands[value]

    def reads(self, filled: Mapping[str, object]) -> Value | None:
        """Return the value whose `fills` is in `filled`, or None; not checked for range unless a choice."""
        if isinstance(self.distribution, CategoricalDistribution):
            matches = (
                value
                for value in self.choices
                if all(path in filled and same(filled[path], at) for path, at in self.fills(value).items())
            )
            return next(matches, None)
        first, *others = (filled.get(path) for path in self.paths)
        return first if isinstance(first, int | float) and all(same(first, o) for o in others) else None

    def offers(self, path: str) -> tuple[Value, ...]:
        """Return what a choice can put at `path`; nothing for a range."""
        return tuple(self.fills(value)[path] for value in self.choices)

    def active(self, filled: Mapping[str, Value]) -> bool:
        """Tell whether all conditions hold, given what earlier parameters filled."""
        return all(condition.holds(filled) for condition in self.when)

    def keeping(self, path: str, values: tuple[Value, ...]) -> "Parameter | None":
        """Return it with only the choices that put one of `values` at `path`; None if there are none."""
        kept = [value for value in self.choices if is_one_of(self.fills(value)[path], values)]
        return replace(self, distribution=choice(*kept)) if kept else None


@dataclass(frozen=True)
class Baseline:
    """A configuration known to work, to try first: values of exactly the active parameters."""

    name: str
    source: str
    params: Mapping[str, Value]
