"""Turns pydantic's errors into one line for people: the key, the value, the rule, the nearest known key."""

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, Union, get_origin

import pydantic
from pydantic_core import ErrorDetails

from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.nearest import did_you_mean, nearest
from trainables.variants import OneOf, SettingsOf

M = TypeVar("M", bound=pydantic.BaseModel)

_SUGGESTED = 3  # keys at most

_SYNONYMS = {
    **dict.fromkeys(("epochs", "steps", "iterations", "max_t"), "max_kimg"),
    **dict.fromkeys(("learning_rate", "lr_g", "lr_d"), "lr"),
    **dict.fromkeys(("z_dim", "latent_dim", "nz"), "dimension"),
    **dict.fromkeys(("n_trials", "num_samples"), "trials"),
    **dict.fromkeys(("workers", "n_jobs", "max_concurrent_trials"), "concurrency"),
    **dict.fromkeys(("optimizer", "optimiser"), "generator_optimiser"),
    **{"dataset": "data", "search_space": "space", "objective": "loss"},
}
"""What other tools call a key, by the last part of ours."""


def validated(model: type[M], data: Any, where: str) -> M:
    """Build `model` from untrusted `data`.

    Args:
        model: the pydantic model to build.
        data: what was read, normally a mapping.
        where: what is being read, for the message ("study file quickstart.yaml").

    Raises:
        InvalidInput: naming the first error.
    """
    if not isinstance(data, Mapping):
        raise InvalidInput(f"{where}: expected keys and values, got {type(data).__name__}")
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise InvalidInput(f"{where}: {first_problem(error.errors(include_url=False), model)}") from None


def first_problem(errors: Iterable[ErrorDetails], model: type) -> str:
    """Return the first of pydantic's errors on `model` in words, in one line, and how many more there are."""
    # An unknown key first: if another is missing, it is usually that one, mistyped.
    found = sorted(errors, key=lambda one: one["type"] != "extra_forbidden")
    keys = [_key_of(one["loc"], model) for one in found]
    first, (key, registry) = found[0], keys[0]
    more = f" (and {others} more)" if (others := len({key for key, _ in keys}) - 1) else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key {quoted(key)}{_nearest(key, first['loc'], model)}{more}"
    if first["type"] in ("union_tag_not_found", "union_tag_invalid") and isinstance(first["input"], Mapping):
        meant = _meant(first["input"].get("name"), registry or ())
        return f"{_kind(first['input'], key)}: {meant}choose one of {', '.join(registry or ())}{more}"
    if first["type"] == "missing":
        return f"{quoted(key)} is missing; give it a value{more}"
    if first["type"] == "unknown_name":
        meant = _meant(first["input"], first["ctx"]["known"].split(", "))
        return f"{key} = {quoted(first['input'])}: {meant}{first['msg']}{more}"
    if first["type"] == "secret":
        return f"{key} {first['msg']}{more}"
    same = [one for one, (other, _) in zip(found, keys, strict=True) if other == key]  # each way of a union
    rule = _advice(first, registry) or ", or ".join(dict.fromkeys(_rule(one["msg"]) for one in same))
    return f"{key} = {quoted(first['input'])}: {rule}{more}" if key else f"{rule}{more}"


def _kind(value: Mapping[str, Any], key: str) -> str:
    """The value of a variant as an error shows it: its name if it has one."""
    where = f"{key}.name" if key else "name"
    return f"{where} = {quoted(value['name'])}" if "name" in value else f"{where!r} is missing"


def _meant(value: object, known: Iterable[str]) -> str:
    """Ask for the nearest, with a blank for what comes next."""
    return f"{did_you_mean(str(value), known)} ".lstrip()


def _rule(message: str) -> str:
    return message.removeprefix("Value error, ").replace("\n", " ")


def _advice(found: ErrorDetails, registry: Mapping[str, object] | None) -> str | None:
    """What to write instead of a bare name for a variant, or of a single value for a list."""
    value = found["input"]
    if registry is not None and not isinstance(value, Mapping):
        known = ", ".join(registry)
        return f"write it as {{name: {value}}}" if value in list(registry) else f"write it as {{name: ...}}: {known}"
    if found["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "expected keys and values below it"
    if found["type"] in ("tuple_type", "list_type"):
        return f"write it as a list: [{quoted(value)[1:-1]}]" if isinstance(value, str) else "write it as a list: [...]"
    return None


def _key_of(loc: tuple[int | str, ...], model: type) -> tuple[str, Mapping[str, Any] | None]:
    """Where an error is, as the user wrote it, and the registry of what goes there, if there is one.

    Pydantic's own location also names which variant of a union it tried.
    """
    parts, registry, _ = _walk(loc, model)
    return ".".join(parts), registry


def _walk(loc: tuple[int | str, ...], model: type) -> tuple[list[str], Any, Any]:
    """Follow a location: its parts as the user wrote them, the registry of what goes there, the model there."""
    parts: list[str] = []
    current: Any = model
    registry: Mapping[str, Any] | None = None
    for part in loc:
        if registry is not None and part in registry:  # the name of a variant
            current, registry = registry[str(part)], None
            continue
        if get_origin(current) in (Union, types.UnionType) and isinstance(part, str):  # one of several plain types
            continue
        parts.append(str(part))
        field = getattr(current, "model_fields", {}).get(part)
        registry = next((m.registry for m in field.metadata if isinstance(m, OneOf)), None) if field else None
        current = field.annotation if field else None
    return parts, registry, current


def _nearest(key: str, loc: tuple[int | str, ...], model: type) -> str:
    """Say where a key belongs: one of its name elsewhere, else what looks most like it, there or anywhere."""
    wrong = str(loc[-1])
    elsewhere = list(dict.fromkeys(_paths(model)))
    if key in elsewhere:  # of another variant
        return "; remove it"
    if found := [path for path in elsewhere if path.rpartition(".")[2] in (wrong, _SYNONYMS.get(wrong))]:
        return f"; it belongs at {' or '.join(found[:_SUGGESTED])}"
    here = getattr(_walk(loc[:-1], model)[2], "model_fields", {})
    if meant := did_you_mean(wrong, sorted(here)):
        return f"; {meant}"
    by_name = {path.rpartition(".")[2]: path for path in reversed(elsewhere)}
    if near := nearest(wrong, sorted(by_name)):
        return f"; did you mean {by_name[near]!r}?"
    return "; remove it"


def _paths(model: Any, prefix: str = "", but: Iterable[str] = ()) -> Iterator[str]:
    """The dotted names of all keys of a model, those of all variants too."""
    for name, field in getattr(model, "model_fields", {}).items():
        if name in but:
            continue
        yield (path := f"{prefix}{name}")
        settings = next((mark for mark in field.metadata if isinstance(mark, SettingsOf)), None)
        registry = next((mark.registry for mark in field.metadata if isinstance(mark, OneOf)), {})
        for below in (*registry.values(), field.annotation):
            yield from _paths(below, f"{path}.")
        if settings:
            yield from _paths(settings.model, f"{path}.", settings.but)
