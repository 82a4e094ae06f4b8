"""What a space needs to know about Optuna's three distributions: one row of functions for each.

`real`, `integer` and `choice` make new ones: they refuse, in one line, what Optuna would silently accept (NaN,
infinite bounds, a step wider than the range, equal choices).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import BaseTrial

from search_spaces.hints import Value, as_number, is_one_of, nearest, same
from trainables.display import quoted
from trainables.errors import InvalidInput

_ROUNDING = 1e-12
"""Relative slack at a float's bounds: samplers compute exp(log(low))."""


def real(low: float, high: float, *, log: bool = False, step: float | None = None) -> FloatDistribution:
    """Return floats in [low, high], uniform in the value or in its logarithm, or on a grid from `low`.

    Raises:
        InvalidInput: if the bounds, `log` and `step` do not fit together.
    """
    _raise(_problem_of_range(low, high, log, step))
    return FloatDistribution(low, high, log=log, step=step)


def integer(low: int, high: int, *, log: bool = False, step: int = 1) -> IntDistribution:
    """Return integers in [low, high], uniform in the value or in its logarithm, or on a grid from `low`.

    Raises:
        InvalidInput: if the bounds, `log` and `step` do not fit together.
    """
    for bound in (low, high, step):
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise InvalidInput(f"integer {quoted(bound)}: bounds and step must be integers; correct it or use real")
    _raise(_problem_of_range(low, high, log, None if step == 1 else step))
    return IntDistribution(low, high, log=log, step=step)


def choice(*values: Value) -> CategoricalDistribution:
    """Return a choice among `values`.

    Raises:
        InvalidInput: if there are none, two are equal, or one is not a finite str, int, float or bool.
    """
    _raise(_problem_of_choices(values))
    return CategoricalDistribution(values)


@dataclass(frozen=True)
class Kind:
    """What one class of distributions `d` can do for a space."""

    label: str
    problem: Callable[[Any], str | None]
    """d -> what is wrong with it, or None."""
    contains: Callable[[Any, object], bool]
    read: Callable[[Any, object], Value | None]
    """(d, value written by a person) -> the value in the right type, not yet checked for range, or None."""
    single: Callable[[Any, Any], BaseDistribution]
    """(d, value in d) -> the distribution of that value alone."""
    narrowed: Callable[[Any, object], BaseDistribution]
    """(d, what a study file says) -> a part of d; InvalidInput without the parameter's name."""
    probes: Callable[[Any], tuple[Value, ...]]
    """d -> values to try: bounds, or every choice."""
    describe: Callable[[Any], str]
    to_dict: Callable[[Any], dict[str, Any]]
    suggest: Callable[[BaseTrial, str, Any], Value]


def kind_of(distribution: BaseDistribution) -> Kind:
    """Return the row for `distribution`.

    Raises:
        InvalidInput: if it is not one of Optuna's three current classes.
    """
    if (kind := KINDS.get(type(distribution))) is None:
        raise InvalidInput(
            f"{type(distribution).__name__} is not a distribution of a space; use real, integer or choice"
        )
    return kind


def suggest_with(trial: BaseTrial) -> Callable[[str, BaseDistribution], Value]:
    """Return the `suggest` that `Space.sample` wants, asking an Optuna trial."""
    return lambda name, distribution: kind_of(distribution).suggest(trial, name, distribution)


def _raise(problem: str | None) -> None:
    if problem is not None:
        raise InvalidInput(problem)


def _problem_of_range(low: float, high: float, log: bool, step: float | None) -> str | None:
    if not _is_number(low) or not _is_number(high):
        return f"range {quoted(low)} .. {quoted(high)}: bounds must be finite numbers; correct them"
    shown = f"range {low:g} .. {high:g}"
    if low > high:
        return f"{shown}: low must not be above high; swap them"
    if log and low <= 0:
        return f"{shown}: a log range needs low > 0; raise low or leave log out"
    if step is None:
        return None
    if log:
        return f"{shown}: a log range takes no step; leave one out"
    if not _is_number(step) or step <= 0:
        return f"step {quoted(step)}: must be a finite number above 0; correct it"
    if step > high - low:
        return f"step {step:g}: is wider than the {shown}; make it smaller"
    return None


def _is_number(value: object) -> bool:
    return not isinstance(value, str) and as_number(value) is not None


def _problem_of_choices(choices: tuple[object, ...]) -> str | None:
    if not choices:
        return "choices: there are none; give at least one"
    for index, value in enumerate(choices):
        if not isinstance(value, str | int | float | bool):
            return f"choice {quoted(value)}: must be a str, int, float or bool; replace it"
        if isinstance(value, float) and not math.isfinite(value):
            return f"choice {quoted(value)}: must be finite; replace it"
        # Plain equality is intended: Optuna cannot tell True from 1 or 1 from 1.0.
        if value in choices[:index]:
            return f"choice {quoted(value)}: is listed twice; leave one out"
    return None


def _problem_of_adjusted(d: FloatDistribution | IntDistribution, step: float | None) -> str | None:
    """As `_problem_of_range`, after Optuna has lowered `high` to the grid, down to `low` for a wide step."""
    return _problem_of_range(d.low, d.high, d.log, step)


def _float_contains(d: FloatDistribution, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    slack = _ROUNDING * max(abs(d.low), abs(d.high))
    if not d.low - slack <= value <= d.high + slack:  # also False for NaN
        return False
    if d.step is None:
        return True
    steps = (value - d.low) / d.step
    return abs(steps - round(steps)) < 1e-8


def _int_contains(d: IntDistribution, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return d.low <= value <= d.high and (value - d.low) % d.step == 0


def _read_float(_: FloatDistribution, value: object) -> float | None:
    number = as_number(value)
    return None if number is None else float(number)


def _read_int(_: IntDistribution, value: object) -> int | None:
    number = as_number(value)
    return int(number) if number is not None and number == int(number) else None


def _read_choice(d: CategoricalDistribution, value: object) -> Value | None:
    wanted = [value, as_number(value)] if isinstance(value, str) else [value]
    found = (known for one in wanted for known in _plain_choices(d) if same(one, known))
    return next(found, None)


def _narrowed_range(kind: str, d: Any, spec: object) -> tuple[Any, Any]:
    """Return the bounds that `spec` asks for; they lie in `d` and on its grid."""
    row, old = KINDS[type(d)], KINDS[type(d)].describe(d)
    if not isinstance(spec, Mapping):
        raise InvalidInput(f"{quoted(spec)}: {kind} range {old} is narrowed by low and high; give one or both")
    if unknown := [key for key in spec if key not in ("low", "high")]:
        raise InvalidInput(f"unknown key {quoted(unknown[0])}: {nearest(str(unknown[0]), ('low', 'high'))}")
    bounds: list[Any] = []
    for key, default in (("low", d.low), ("high", d.high)):
        given = spec.get(key, default)
        value = row.read(d, given)
        if value is None:
            raise InvalidInput(f"{key} {quoted(given)}: must be a finite {kind}; correct it")
        if not row.contains(d, value):
            raise InvalidInput(f"{key} {quoted(given)}: must stay within {old}; choose a part of that")
        bounds.append(value)
    low, high = bounds
    if low > high:
        raise InvalidInput(f"range {quoted(low)} .. {quoted(high)}: low must not be above high; swap them")
    return low, high


def _narrowed_float(d: FloatDistribution, spec: object) -> FloatDistribution:
    low, high = _narrowed_range("number", d, spec)
    return FloatDistribution(low, high, log=d.log, step=d.step if low < high else None)


def _narrowed_int(d: IntDistribution, spec: object) -> IntDistribution:
    low, high = _narrowed_range("integer", d, spec)
    return IntDistribution(low, high, log=d.log, step=d.step if low < high else 1)


def _narrowed_choice(d: CategoricalDistribution, spec: object) -> CategoricalDistribution:
    old = _describe_choice(d)
    if not isinstance(spec, list | tuple) or not spec:
        raise InvalidInput(f"{quoted(spec)}: a choice among {old} is narrowed by a list of at least one of them")
    kept: list[Any] = []
    for given in spec:
        value = _read_choice(d, given)
        if value is None:
            raise InvalidInput(f"{quoted(given)}: must be one of {old}; choose among these")
        if is_one_of(value, kept):
            raise InvalidInput(f"{quoted(given)}: is listed twice; leave one out")
        kept.append(value)
    return CategoricalDistribution([known for known in d.choices if is_one_of(known, kept)])


def _describe_range(d: FloatDistribution | IntDistribution, step: float | None) -> str:
    if d.low == d.high:
        return f"{d.low:g}"
    return f"{d.low:g} .. {d.high:g}" + (" log" if d.log else "") + (f" step {step:g}" if step else "")


def _describe_choice(d: CategoricalDistribution) -> str:
    return ", ".join(str(value) for value in d.choices)


def _step(d: IntDistribution) -> int | None:
    return None if d.step == 1 else d.step


def _plain_choices(d: CategoricalDistribution) -> tuple[Value, ...]:
    return tuple(value for value in d.choices if value is not None)  # None was refused by `problem`


def _suggest_float(trial: BaseTrial, name: str, d: FloatDistribution) -> Value:
    return trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)


def _suggest_int(trial: BaseTrial, name: str, d: IntDistribution) -> Value:
    return trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)


def _suggest_choice(trial: BaseTrial, name: str, d: CategoricalDistribution) -> Value:
    value: Any = trial.suggest_categorical(name, d.choices)
    return cast(Value, value)


KINDS: dict[type[BaseDistribution], Kind] = {
    FloatDistribution: Kind(
        label="float",
        problem=lambda d: _problem_of_adjusted(d, d.step),
        contains=_float_contains,
        read=_read_float,
        single=lambda d, value: FloatDistribution(value, value, log=d.log),
        narrowed=_narrowed_float,
        probes=lambda d: (d.low, d.high),
        describe=lambda d: _describe_range(d, d.step),
        to_dict=lambda d: {"low": d.low, "high": d.high, "log": d.log, "step": d.step},
        suggest=_suggest_float,
    ),
    IntDistribution: Kind(
        label="int",
        problem=lambda d: _problem_of_adjusted(d, _step(d)),
        contains=_int_contains,
        read=_read_int,
        single=lambda d, value: IntDistribution(value, value, log=d.log),
        narrowed=_narrowed_int,
        probes=lambda d: (d.low, d.high),
        describe=lambda d: _describe_range(d, _step(d)),
        to_dict=lambda d: {"low": d.low, "high": d.high, "log": d.log, "step": d.step},
        suggest=_suggest_int,
    ),
    CategoricalDistribution: Kind(
        label="choice",
        problem=lambda d: _problem_of_choices(d.choices),
        contains=lambda d, value: is_one_of(value, d.choices),
        read=_read_choice,
        single=lambda _, value: CategoricalDistribution((value,)),
        narrowed=_narrowed_choice,
        probes=_plain_choices,
        describe=_describe_choice,
        to_dict=lambda d: {"choices": list(d.choices)},
        suggest=_suggest_choice,
    ),
}
