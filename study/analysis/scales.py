"""Axes: where numbers lie on them, their ticks, and how a tick is written."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_LOG_FROM = 20.0  # a range of positive numbers this wide is shown on a logarithmic axis
_LOG_WITHIN = (1e-100, 1e100)  # beyond, the ratio of two values may be no float


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high` (low < high), logarithmic or not."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, values: Iterable[float], log: bool | None = None, pad: float = 0.05) -> "Scale":
        """Return the axis that shows all finite `values`, with `pad` of its length to spare at both ends.

        `log`: None decides by the range; one that is not all positive, or absurdly wide, is never logarithmic.
        """
        known = [value for value in values if math.isfinite(value)] or [1.0]
        low, high = min(known), max(known)
        fits = low >= _LOG_WITHIN[0] and high <= _LOG_WITHIN[1]
        log = fits and (spans_decades(low, high) if log is None else log)
        if log:
            spare = (high / low) ** pad if high > low else 1.5
            return cls(low / spare, high * spare, True)
        spare = (high - low) * pad if high > low else abs(high) * 0.5 or 1.0
        return cls(low - spare, high + spare, False)

    def at(self, value: float) -> float:
        """Return where `value` lies, 0 at `low` and 1 at `high`."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return up to eight round numbers on the axis."""
        if not self.log:
            return _linear_ticks(self.low, self.high)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            found = [s * 10.0**d for d in decades for s in steps if self.low <= s * 10.0**d <= self.high]
            if len(found) <= 8:
                break
        return found if len(found) > 1 else _linear_ticks(self.low, self.high)

    def labelled_ticks(self) -> list[tuple[float, str]]:
        """Return the ticks, each with its text."""
        return [(value, shown(value)) for value in self.ticks()]


def spans_decades(low: float, high: float) -> bool:
    """Tell whether a range is better shown on a logarithmic axis."""
    return low > 0 and high / low >= _LOG_FROM


def _linear_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    step = 10.0 ** math.floor(math.log10(rough))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= rough)
    first = math.ceil(low / step)
    return [float(f"{step * i:.12g}") for i in range(first, math.floor(high / step) + 1)]


def shown(value: float) -> str:
    """Return a number as a tick shows it."""
    if value and (abs(value) < 0.01 or abs(value) >= 1e6):
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:,.4g}" if abs(value) < 10000 else f"{value:,.0f}"
