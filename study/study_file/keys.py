"""The keys of a study file, read off the pydantic model: what `ganstudy init` comments on and the reference lists."""

import enum
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from study.folder import DEFAULT_STORAGE
from study.study_file.config import StudyConfig, is_changeable
from trainables.data.source import DataSource
from trainables.variants import KeyOf, OneOf

_PLAIN = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path", Any: "any value"}
_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        path: its dotted name, as `schedule.max_kimg`.
        type: what it takes, in words.
        required: whether it must be given.
        default: as a plain value; None too where it is required.
        range: limits, in words.
        description: what it means.
        change: whether it may differ when the study is launched again, in words.
        variants: of a key that holds one of many kinds of thing: their keys, by the kind's name.
        keys: of a key that holds keys: these.
    """

    path: str
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
        """The last part of its path."""
        return self.path.rpartition(".")[2]


def study_keys() -> tuple[Key, ...]:
    """All keys of a study file, in order."""
    return _keys(StudyConfig, "")


def _keys(model: type[BaseModel], prefix: str) -> tuple[Key, ...]:
    return tuple(_key(f"{prefix}{name}", field) for name, field in model.model_fields.items())


def _key(path: str, field: FieldInfo) -> Key:
    annotation, required = field.annotation, field.is_required()
    registry = next((m.registry for m in field.metadata if isinstance(m, OneOf)), None)
    inner = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    # A factory's default depends on the environment: told is the one without.
    made = str(DEFAULT_STORAGE) if field.default_factory else field.get_default()
    limits = [
        f"{words} {getattr(mark, sign):,}"
        for mark in field.metadata
        for sign, words in _SIGNS.items()
        if hasattr(mark, sign)
    ]
    return Key(
        path=path,
        type=_in_words(annotation, field.metadata, inner is not None or registry is not None),
        required=required,
        default=None if required else to_jsonable_python(made),
        range=", ".join(limits),
        description=field.description or (_first_paragraph(inner) if inner else ""),
        change="may grow" if path == "schedule.max_kimg" else "yes" if is_changeable(path) else "no",
        variants={name: (_first_paragraph(kind), _keys(kind, f"{path}.")) for name, kind in (registry or {}).items()},
        keys=_keys(inner, f"{path}.") if inner and not registry else (),
    )


def _in_words(annotation: Any, metadata: list[Any], keys: bool) -> str:
    for mark in metadata:
        if isinstance(mark, KeyOf):
            names = [f"`{name}`" for name in mark.registry]
            return " or ".join(names) if len(names) < 4 else f"one of {', '.join(names)}"
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


def _first_paragraph(model: type[BaseModel]) -> str:
    if model is DataSource:
        return ""
    return " ".join((model.__doc__ or "").split("\n\n")[0].split()).rstrip(".")
