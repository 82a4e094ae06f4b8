"""Makes a space smaller: what the study file's `narrowed` and `fixed` do to parameters and constants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.distributions import BaseDistribution

from search_spaces.distributions import choice, kind_of
from search_spaces.dotted import GIVEN_BY_STUDY, check_settable, full_path
from search_spaces.hints import Value, as_number, is_one_of, nearest
from search_spaces.parameter import Parameter
from search_spaces.structure import simplified, situations
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.gan.config import TrialConfig
from trainables.nested import flatten

Reduce = Callable[[BaseDistribution, object], BaseDistribution]


@dataclass(frozen=True)
class _Target:
    """What a key of the study file means: one parameter, or all choices that fill one path."""

    key: str
    names: tuple[str, ...]
    path: str | None = None


def narrow(
    parameters: Sequence[Parameter], constants: Mapping[str, Value], changes: Mapping[str, Any]
) -> tuple[Parameter, ...]:
    """Return the parameters with the ranges of `changes`.

    Args:
        parameters: of the space.
        constants: of the space.
        changes: by parameter name or path: {"low": .., "high": ..} (either may be left out) or a list of
            choices. A path that several choices fill under different conditions is narrowed in all of them;
            one that has nothing left also removes the values of its conditions.

    Raises:
        InvalidInput: for an unknown key, or a range or choice that is no part of what it was.
    """
    left, targets = list(parameters), list[_Target]()
    for key, spec in changes.items():
        target = _find(parameters, key)
        if target is None:
            raise InvalidInput(f"{quoted(key)}: no such parameter; {nearest(key, _keys(parameters))}")
        left, _ = _reduced(left, target, _narrowed, spec)
        targets.append(target)
    done = simplified(left, constants)
    _check_still_active(done, targets, parameters)
    return done


def fix(
    parameters: Sequence[Parameter], constants: Mapping[str, Value], changes: Mapping[str, Any]
) -> tuple[tuple[Parameter, ...], dict[str, Value], dict[str, Value]]:
    """Return (parameters that still vary, constants, the settings that `changes` mean, by path).

    Args:
        parameters: of the space.
        constants: of the space.
        changes: values by parameter name or path, which must be possible; or by a path that no
            parameter fills, which makes a constant. Nested mappings are read as dotted paths.

    Raises:
        InvalidInput: for an unknown key, a value out of the parameter's range, or a parameter that the other
            changes make inactive.
    """
    left, targets = list(parameters), list[_Target]()
    constant, filled = dict(constants), dict[str, Mapping[str, Value]]()
    found = [(key, value, _find(parameters, key)) for key, value in flatten(changes).items() if value != {}]
    order = [p.name for p in parameters]
    # Parents first, so that a refusal names the condition of the dependent.
    for key, value, target in sorted(found, key=lambda each: order.index(each[2].names[0]) if each[2] else -1):
        if target is None:
            new: Mapping[str, Value] = {_constant_path(parameters, constants, key): _constant(key, value)}
            constant |= new
        else:
            try:
                left, new = _reduced(left, target, _only, value)
            except InvalidInput as error:
                raise _with_rule(error, parameters, target, value) from None
            targets.append(target)
        filled[key] = new
    done = simplified(left, constant)
    _check_still_active(done, targets, parameters)
    while settled := _settle(done, constant, targets):
        names, values = settled
        constant |= values
        done = simplified([p for p in done if p.name not in names], constant)
    return done, constant, {path: value for key, _, _ in found for path, value in filled[key].items()}


def _keys(parameters: Sequence[Parameter]) -> set[str]:
    return {p.name for p in parameters} | {path for p in parameters for path in p.paths}


def _find(parameters: Sequence[Parameter], key: str) -> _Target | None:
    path = full_path(key)
    at = tuple(p for p in parameters if path in p.paths)
    if not at:
        return _Target(key, (key,)) if any(p.name == key for p in parameters) else None
    if len(at) == 1 and key == at[0].name:
        return _Target(key, (key,))
    for parameter in at:
        if len(parameter.paths) > 1 and parameter.expands is None:
            raise InvalidInput(
                f"{quoted(key)}: is filled by {parameter.name!r} together with others; name {parameter.name!r}"
            )
    if len(at) > 1 and not all(p.choices for p in at):
        names = " or ".join(repr(p.name) for p in at)
        raise InvalidInput(f"{quoted(key)}: several parameters fill it; name {names}")
    return _Target(key, tuple(p.name for p in at), path if at[0].choices else None)


def _members(parameters: Sequence[Parameter], target: _Target | None) -> list[Parameter]:
    return [] if target is None else [p for p in parameters if p.name in target.names]


def _offers(parameters: Sequence[Parameter], path: str) -> list[Value]:
    return [value for p in parameters for value in p.offers(path)]


def _reduced(
    parameters: list[Parameter], target: _Target, reduce: Reduce, spec: object
) -> tuple[list[Parameter], Mapping[str, Value]]:
    """Return `parameters` with the target's range reduced, and the settings of the first value left."""
    members = _members(parameters, target)
    if not members:  # an earlier change removed it; `_check_still_active` reports that at the end
        return parameters, {}
    path, member = target.path, members[0]
    whole = member.distribution if path is None else choice(*dict.fromkeys(_offers(members, path)))
    try:
        part = reduce(whole, spec)
    except InvalidInput as error:
        raise InvalidInput(f"{target.key}: {error}") from None
    values = kind_of(part).probes(part)
    if path is None:
        return _swap(parameters, replace(member, distribution=part)), member.fills(values[0])
    return _keeping(parameters, members, path, values, target.key), {path: values[0]}


def _narrowed(distribution: BaseDistribution, spec: object) -> BaseDistribution:
    return kind_of(distribution).narrowed(distribution, spec)


def _only(distribution: BaseDistribution, value: object) -> BaseDistribution:
    kind = kind_of(distribution)
    read = kind.read(distribution, value)
    if read is None or not kind.contains(distribution, read):
        raise InvalidInput(f"{quoted(value)}: must be within {kind.describe(distribution)}; choose one of these")
    return kind.single(distribution, read)


def _swap(parameters: list[Parameter], changed: Parameter) -> list[Parameter]:
    return [changed if p.name == changed.name else p for p in parameters]


def _keeping(
    parameters: list[Parameter],
    members: Sequence[Parameter],
    path: str,
    wanted: tuple[Value, ...],
    key: str,
) -> list[Parameter]:
    """Keep only the choices that put one of `wanted` at `path`; what loses all choices loses its branch."""
    for member in members:
        changed = member.keeping(path, wanted)
        if changed is not None:
            parameters = _swap(parameters, changed)
        elif any(p.name == member.name for p in parameters):
            parameters = _without_branch(parameters, member, key)
    return parameters


def _without_branch(parameters: list[Parameter], lost: Parameter, key: str) -> list[Parameter]:
    """Make it impossible that `lost` is active: remove its condition's values where they are chosen."""
    if len(lost.when) != 1:
        where = "".join(f" where {condition}" for condition in lost.when)
        raise InvalidInput(
            f"{quoted(key)}: leaves nothing for {lost.name!r}{where}; loosen it or what else is narrowed or fixed"
        )
    (condition,) = lost.when
    rest = [p for p in parameters if p.name != lost.name]
    parents = [p for p in rest if condition.parent in p.paths]
    if not parents:
        raise InvalidInput(f"{quoted(key)}: leaves nothing for {lost.name!r}, and {condition}; choose another value")
    others = tuple(v for v in _offers(parents, condition.parent) if not is_one_of(v, condition.values))
    return _keeping(rest, parents, condition.parent, others, key)


def _check_still_active(left: Sequence[Parameter], targets: Sequence[_Target], whole: Sequence[Parameter]) -> None:
    for target in targets:
        if not _members(left, target):
            rule = _where(_members(whole, target))
            needs = f" (it is only where {rule})" if rule else ""
            raise InvalidInput(
                f"{quoted(target.key)}: is never active with the rest that is narrowed or fixed{needs}; "
                "leave one of them out"
            )


def _with_rule(error: InvalidInput, whole: Sequence[Parameter], target: _Target, value: object) -> InvalidInput:
    """Return the refusal of a value that the space has, with the conditions under which it has it."""
    having = [p for p in _members(whole, target) if target.path and is_one_of(value, p.offers(target.path))]
    rule = _where(having)
    if not rule:
        return error
    return InvalidInput(
        f"{target.key} {value}: is possible only where {rule}, and what else is narrowed or fixed forbids that; "
        "change one of them"
    )


def _where(parameters: Sequence[Parameter]) -> str:
    """The conditions under which one of the parameters is active, in words; empty if one always is."""
    rules = [" and ".join(str(condition) for condition in p.when) for p in parameters]
    return " or where ".join(dict.fromkeys(rules)) if all(rules) else ""


def _settle(
    parameters: Sequence[Parameter], constants: Mapping[str, Value], targets: Sequence[_Target]
) -> tuple[set[str], Mapping[str, Value]] | None:
    """Find a target that always has the same value: return the names to drop and what they fill."""
    for target in targets:
        members = _members(parameters, target)
        values = [set(kind_of(p.distribution).probes(p.distribution)) for p in members]
        if not members or any(len(one) > 1 for one in values):
            continue
        fills = [dict(p.fills(*one)) for p, one in zip(members, values, strict=True)]
        names = {p.name for p in members}
        always = all(names & s.keys() for s in situations(parameters, constants, names))
        if always and all(one == fills[0] for one in fills):
            return names, fills[0]
    return None


def _constant_path(parameters: Sequence[Parameter], constants: Mapping[str, Value], key: str) -> str:
    path = full_path(key)
    field = path.split(".")[0]
    if field not in TrialConfig.model_fields:
        known = {*_keys(parameters), *constants, *TrialConfig.model_fields} - {*GIVEN_BY_STUDY}
        raise InvalidInput(f"{quoted(key)}: no such parameter or setting; {nearest(key, known)}")
    return check_settable(path)


def _constant(key: str, value: object) -> Value:
    number = as_number(value)
    if number is not None:
        return number
    if isinstance(value, bool | str):
        return value
    raise InvalidInput(f"{key} = {quoted(value)}: must be text, a finite number or a bool; correct it")
