"""Turns pydantic's errors into one line for people: the place, the value, the rule, the nearest known key."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic

from trainables.errors import InvalidInput

M = TypeVar("M", bound=pydantic.BaseModel)


def validated(model: type[M], data: Any, where: str) -> M:
    """Build `model` from untrusted `data`.

    Args:
        model: the pydantic model to build.
        data: what was read, normally a mapping.
        where: what is being read, for the message ("study file quickstart.yaml").

    Raises:
        InvalidInput: naming the first thing that is wrong.
    """
    if not isinstance(data, Mapping):
        raise InvalidInput(f"{where}: expected keys and values, got {type(data).__name__}")
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        raise InvalidInput(f"{where}: {_first(error, model)}") from None


def _first(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> str:
    # An unknown key first: where another is missing, it is most often that one, mistyped.
    first, *others = sorted(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "extra_forbidden":
        return f"unknown key {place!r}{_nearest(place, model)}{more}"
    if first["type"] == "missing":
        return f"{place!r} is missing; give it a value{more}"
    if first["type"] == "secret":
        return f"{place} {first['msg']}{more}"
    rule = first["msg"].removeprefix("Value error, ").replace("\n", " ")
    shown = repr(first["input"])
    value = f" = {shown}" if place and len(shown) <= 80 else ""
    return f"{place}{value}: {rule}{more}" if place else f"{rule}{more}"


def _nearest(place: str, model: type[pydantic.BaseModel]) -> str:
    """Suggest the known key that looks most like the last part of `place`."""
    known = {name for found in _models(model) for name in found.model_fields}
    near = difflib.get_close_matches(place.rsplit(".", 1)[-1], sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "; remove it"


def _models(model: type[pydantic.BaseModel]) -> set[type[pydantic.BaseModel]]:
    """Return `model` and the models of its direct fields."""
    fields = (field.annotation for field in model.model_fields.values())
    return {model} | {f for f in fields if isinstance(f, type) and issubclass(f, pydantic.BaseModel)}
