"""Which parameters are active together: a walk over the choices that conditions look at.

Only the given parameters and their ancestors are walked, so the cost does not grow with the whole space.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from search_spaces.hints import Value, is_one_of
from search_spaces.parameter import Condition, Parameter

Situation = dict[str, Value | None]
"""The active parameters, in order, with the value of those that conditions look at, None for others."""


def situations(
    parameters: Sequence[Parameter], constants: Mapping[str, Value], names: Iterable[str]
) -> Iterator[Situation]:
    """Yield every combination of the parameters `names` and their ancestors (others are left out)."""
    related = _with_ancestors(parameters, names)
    parents = {condition.parent for parameter in related for condition in parameter.when}

    def walk(index: int, filled: Mapping[str, Value], active: Situation) -> Iterator[Situation]:
        if index == len(related):
            yield active
            return
        parameter = related[index]
        if not parameter.active(filled):
            yield from walk(index + 1, filled, active)
        elif parents.isdisjoint(parameter.paths):
            yield from walk(index + 1, filled, {**active, parameter.name: None})
        else:
            for value in parameter.choices:
                more = {**filled, **parameter.fills(value)}
                yield from walk(index + 1, more, {**active, parameter.name: value})

    return walk(0, constants, {})


def possible(parameters: Iterable[Parameter], constants: Mapping[str, Value], path: str) -> tuple[Value, ...]:
    """Return every value that a constant or a choice may put at `path`."""
    constant = (constants[path],) if path in constants else ()
    return constant + tuple(v for p in parameters if path in p.paths for v in p.offers(path))


def simplified(parameters: Sequence[Parameter], constants: Mapping[str, Value]) -> tuple[Parameter, ...]:
    """Drop parameters that can never be active, and conditions (or their values) that say nothing."""
    kept: list[Parameter] = []
    for parameter in parameters:
        found = [parameter.name in s for s in situations([*kept, parameter], constants, [parameter.name])]
        if not any(found):
            continue
        when: list[Condition] = []
        if not all(found):
            for condition in parameter.when:
                if condition.parent in constants:  # holds, else the parameter would never be active
                    continue
                can = possible(kept, constants, condition.parent)
                values = tuple(value for value in condition.values if is_one_of(value, can))
                when.append(Condition(condition.parent, values))
        kept.append(replace(parameter, when=tuple(when)))
    return tuple(kept)


def _with_ancestors(parameters: Sequence[Parameter], names: Iterable[str]) -> list[Parameter]:
    """Return the named parameters and all that fill a path that one of them depends on, in order."""
    wanted, parents = set(names), set[str]()
    related: list[Parameter] = []
    for parameter in reversed(parameters):  # a parent comes before its dependents
        if parameter.name in wanted or not parents.isdisjoint(parameter.paths):
            related.append(parameter)
            parents.update(condition.parent for condition in parameter.when)
    return related[::-1]
