"""The keys of a study file, read off the pydantic model: what `ganstudy init` comments on and the reference lists."""

import enum
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from study.ledger.catalogue import DEFAULT_STORAGE
from study.study_file.config import StudyConfig, is_changeable
from trainables.data.source import DataSource
from trainables.variants import KeyOf, OneOf

_PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path", Any: "any value"}
_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        place: where it stands, as `schedule.max_kimg`.
        type: what it takes, in words.
        required: whether it must be given.
        default: as a plain value; None too where it is required.
        range: limits, in words.
        description: what it means.
        change: whether it may differ when the study is launched again, in words.
        variants: of a key that holds one of many kinds of thing: their keys, by the kind's name.
        keys: of a key that holds keys: these.
    """

    place: str
    type: str
    required: bool
    default: Any
    range: str
    description: str
    change: str
    variants: Mapping[str, "tuple[str, tuple[Key, ...]]"]
    keys: "tuple[Key, ...]"

    @property
    def name(self) -> str:
        """The last part of its place."""
        return self.place.rpartition(".")[2]


def study_keys() -> tuple[Key, ...]:
    """All keys of a study file, in order."""
    return tuple(_keys(StudyConfig, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        yield _key(f"{prefix}{name}", field)


def _key(place: str, field: FieldInfo) -> Key:
    annotation = field.annotation
    registry = next((m.registry for m in field.metadata if isinstance(m, OneOf)), None)
    inner = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    default: Any = str(DEFAULT_STORAGE) if field.default_factory else field.get_default()  # the one that is made
    if isinstance(default, BaseModel):
        default = default.model_dump(mode="json")
    elif default is PydanticUndefined:
        default = None
    kinds = (registry or {}).items()
    variants = {name: (_first_paragraph(kind), tuple(_keys(kind, f"{place}."))) for name, kind in kinds}
    keys = tuple(_keys(inner, f"{place}.")) if inner and not registry else ()
    description = field.description or (_first_paragraph(inner) if inner else "")
    of = _in_words(annotation, field.metadata, inner is not None or registry is not None)
    return Key(
        place, of, field.is_required(), _plain(default), _range(field), description, _change(place), variants, keys
    )


def _in_words(annotation: Any, metadata: list[Any], keys: bool) -> str:
    for mark in metadata:
        if isinstance(mark, KeyOf):
            return " or ".join(f"`{name}`" for name in mark.registry) if len(mark.registry) < 4 else _choices(mark)
    if keys:
        return "keys"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _in_words(arguments[0], list(arguments[1:]), False)
    if origin in (Union, types.UnionType):
        return " or ".join(_in_words(a, [], False) for a in arguments if a is not type(None)) + (
            ", or null" if type(None) in arguments else ""
        )
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (list, tuple):
        return f"list of {_in_words(arguments[0], [], False)}"
    if origin is dict:
        return "keys and values"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{member.value}`" for member in annotation)
    return _PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _choices(mark: KeyOf) -> str:
    return "one of " + ", ".join(f"`{name}`" for name in mark.registry)


def _range(field: FieldInfo) -> str:
    found = []
    for mark in field.metadata:
        found += [f"{words} {getattr(mark, sign):,}" for sign, words in _SIGNS.items() if hasattr(mark, sign)]
    return ", ".join(found)


def _change(place: str) -> str:
    if place == "schedule.max_kimg":
        return "may grow"
    return "yes" if is_changeable(place) else "no"


def _first_paragraph(model: type[BaseModel]) -> str:
    if model is DataSource:
        return ""
    return " ".join((model.__doc__ or "").split("\n\n")[0].split()).rstrip(".")


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value
