"""What every event in a study's ledger is: a frozen dataclass of plain fields, checked when it is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: object) -> bool:
    return isinstance(value, float) or _is_int(value)


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value)


def _is_metrics(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and _is_real(v) for k, v in value.items())


# The types that a field of an event may have, each with its check and its name in an error message.
_FIELD_TYPES: Mapping[Any, tuple[Callable[[object], bool], str]] = {
    int: (_is_int, "an integer"),
    float: (_is_real, "a number"),
    str: (lambda value: isinstance(value, str), "a text"),
    dict[str, Any]: (_is_object, "an object with text keys"),
    dict[str, float]: (_is_metrics, "an object of numbers"),
    int | None: (lambda value: value is None or _is_int(value), "an integer or null"),
    float | None: (lambda value: value is None or _is_real(value), "a number or null"),
    list[int]: (lambda value: isinstance(value, list) and all(map(_is_int, value)), "a list of integers"),
    dict[str, float] | None: (lambda value: value is None or _is_metrics(value), "an object of numbers or null"),
    str | None: (lambda value: value is None or isinstance(value, str), "a text or null"),
}


@dataclass(frozen=True)
class Event:
    """Anything that happened in a study. `key` is unique in a ledger: the first event of a key wins."""

    kind: ClassVar[str]

    @property
    def key(self) -> str:
        """The event's identity, by which writing it twice is harmless."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        """Check every field's type, and that no integer is negative.

        Raises:
            ValueError: names the event, the field and the rule.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            check, rule = _FIELD_TYPES[field.type]
            if not check(value):
                raise ValueError(f"{self.kind}.{field.name} = {value!r:.80} must be {rule}")
            if _is_int(value) and value < 0:
                raise ValueError(f"{self.kind}.{field.name} = {value} must not be negative")


def from_one(event: Event, name: str) -> None:
    """Refuse a number below 1.

    Raises:
        ValueError: names the event and the field.
    """
    if getattr(event, name) < 1:
        raise ValueError(f"{event.kind}.{name} = {getattr(event, name)}: numbers begin at 1")
