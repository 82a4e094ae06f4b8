"""Registries of variants: how a field of a configuration holds one of several kinds.

A variant is a frozen pydantic model with the knobs of one kind (one penalty, one optimiser, ...) that also
does its work. A registry is a plain dict from the variant's `name` to its class. A field annotated
`Annotated[Base, OneOf(REGISTRY)]` is the union of the registry's classes, told apart by `name`: an unknown
name, a missing knob and a knob of another variant are all errors.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Variant(BaseModel):
    """Base of all configuration models: immutable, no unknown keys, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OneOf:
    """Annotation for a field that holds one of `registry`'s variants."""

    def __init__(self, registry: Mapping[str, type[Variant]]) -> None:
        self.registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build the tagged union from the registry, so that a new row needs no second edit."""
        return core_schema.tagged_union_schema(
            {name: handler.generate_schema(variant) for name, variant in self.registry.items()},
            discriminator="name",
            from_attributes=True,
        )


class KeyOf:
    """Annotation for a string field that names a row of `registry` (rows without knobs)."""

    def __init__(self, registry: Mapping[str, object]) -> None:
        self.registry = registry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate a string and look it up."""
        return core_schema.no_info_after_validator_function(self._check, core_schema.str_schema())

    def _check(self, value: str) -> str:
        if value not in self.registry:
            raise PydanticCustomError("unknown_name", "choose one of {known}", {"known": ", ".join(self.registry)})
        return value


class SettingsOf:
    """Annotation for a mapping whose keys are the dotted settings of `model`, but for some: errors can name them."""

    def __init__(self, model: type[BaseModel], but: Collection[str] = ()) -> None:
        self.model, self.but = model, but
