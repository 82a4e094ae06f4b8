"""What every event in a study's ledger is: a frozen, strict pydantic dataclass of plain fields."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, dataclass_transform

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, StringConstraints, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails

from trainables.validation import first_problem


def _with_fid(metrics: dict[str, float]) -> dict[str, float]:
    if "fid" not in metrics:
        raise ValueError("there is no 'fid'")
    return metrics


STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]
"""What is counted from 1."""
if TYPE_CHECKING:
    Object = dict[str, Any]
else:
    Object = dict[str, JsonValue]
Metrics = Annotated[dict[str, float], AfterValidator(_with_fid)]
"""Numbers by name, the FID among them: by it everything downstream evaluates a trial."""


def one_of(*words: str) -> StringConstraints:
    """Annotate a text that is one of these."""
    return StringConstraints(pattern=f"^({'|'.join(words)})$")


class Event:
    """Anything that happened in a study, of a `kind`; what makes up its key is named in `key_of`."""

    kind: ClassVar[str]
    key_of: ClassVar[str]

    @property
    def key(self) -> str:
        """The event's identity: it is unique in a ledger, where the first event of a key wins."""
        return self.key_of.format(self)


E = TypeVar("E", bound=Event)


@dataclass_transform(frozen_default=True)
def event(cls: type[E]) -> type[E]:
    """Make a class of fields an event, which checks them when it is built.

    So a mistake in the driver shows up before it is in the append-only ledger.

    Raises:
        ValueError: when one is built: names the event, the field, its value and the rule, in one line.
    """
    made: Any = dataclass(frozen=True, config=STRICT)(cls)
    build = made.__init__

    def checked(self: E, *values: Any, **named: Any) -> None:
        try:
            build(self, *values, **named)
        except ValidationError as error:
            raise ValueError(problem(made, error)) from None

    made.__init__ = checked
    return made  # type: ignore[no-any-return]


def problem(cls: type[Event], error: ValidationError) -> str:
    """Return the first thing that is wrong with an event, in one line."""
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]

    def named(found: ErrorDetails) -> ErrorDetails:
        first, *below = found["loc"] or [""]
        name = names[first] if isinstance(first, int) else first  # a number if it was given by its position
        parts = [part for depth, part in enumerate(below) if depth % 2 == 0 or part not in _JSON_TAGS]
        return {**found, "loc": (name, *parts) if found["loc"] else ()}

    return f"{cls.kind}: {first_problem([named(one) for one in error.errors(include_url=False)], cls)}"


_JSON_TAGS = ("list", "dict", "str", "bool", "int", "float", "[key]")
"""What pydantic puts between the parts of a location in plain data."""
