"""For error messages: the nearest known name, and numbers as people write them in YAML."""

import math
import re
from collections.abc import Iterable

from trainables.nearest import did_you_mean

Value = str | int | float | bool
"""What a parameter may hold: plain JSON types."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_LARGEST = 2**63
"""No setting takes a larger integer, and floats of larger ones overflow."""
_INTEGER = re.compile(r"[+-]?\d+")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a clause to end a message with: known names that end in `word`, else that most like it, else all."""
    names = sorted(set(known))
    if ends := [repr(name) for name in names if name.rpartition(".")[2] == word]:
        return f"did you mean {' or '.join(ends)}?"
    return did_you_mean(word, names) or f"known are {', '.join(names) or 'none'}"


def same(a: object, b: object) -> bool:
    """Equality that tells True from 1, unlike Python's."""
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def is_one_of(value: object, values: Iterable[object]) -> bool:
    """Whether `value` is among `values` in the sense of `same`."""
    return any(same(value, other) for other in values)


def as_number(value: object) -> int | float | None:
    """Return `value` as a finite number, or None if it is not one.

    Text such as "1e-4" counts: YAML 1.1 reads it as text because it has no point.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = int(value) if _INTEGER.fullmatch(value.strip()) else float(value)
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else None
    return value if isinstance(value, float) and math.isfinite(value) else None
