"""Plots as inline SVG: scales, axes, lines and dots. Colours come from the page's style sheet, by class."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from study.report.markup import Html, el, join

Point = tuple[float, float]

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


@dataclass
class Plot:
    """One plot: axes at the left and at the bottom; later parts are drawn over earlier ones. Sizes in user units."""

    x: Scale
    y: Scale
    x_label: str
    y_label: str
    x_ticks: Sequence[tuple[float, str]] | None = None
    width: int = 520
    height: int = 320
    top: int = 16
    parts: list[Html] = field(default_factory=list)

    left, right, bottom = 58, 14, 46

    def place(self, point: Point) -> tuple[float, float]:
        """Return where a point of the data lies in user units."""
        across, up = self.x.at(point[0]), self.y.at(point[1])
        return (
            self.left + across * (self.width - self.left - self.right),
            self.top + (1 - up) * (self.height - self.top - self.bottom),
        )

    def line(self, points: Iterable[Point], class_: str, title: str | None = None, steps: bool = False) -> None:
        """Add a line through the points; `steps` keeps each value until the next point."""
        placed = [self.place(point) for point in points]
        if not placed:
            return
        first = f"M{placed[0][0]:.1f} {placed[0][1]:.1f}"
        rest = (f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}" for x, y in placed[1:])
        shape = "".join([first, *rest]) + ("h0" if len(placed) == 1 else "")
        self.parts.append(el("path", el("title", title) if title else None, d=shape, class_=f"line {class_}"))

    def dots(self, points: Iterable[Point], class_: str) -> None:
        """Add dots, all in one element: a page of a thousand trials stays light."""
        shape = "".join("M{:.1f} {:.1f}h0".format(*self.place(point)) for point in points)
        if shape:
            self.parts.append(el("path", d=shape, class_=f"dots {class_}"))

    def crosses(self, across: Iterable[float], class_: str) -> None:
        """Add crosses at the upper edge, for what has no value."""
        y = self.top + 1
        places = [self.place((x, self.y.high))[0] for x in across]
        shape = "".join(f"M{x - 3:.1f} {y - 3}l6 6m0 -6l-6 6" for x in places)
        if shape:
            self.parts.append(el("path", d=shape, class_=f"cross {class_}"))

    def upright(self, x: float, label: str) -> None:
        """Add a vertical line over the whole height, named at its upper end."""
        across, _ = self.place((x, self.y.low))
        self.parts.append(el("path", d=f"M{across:.1f} {self.top}V{self.height - self.bottom}", class_="rung"))
        if label:
            self.parts.append(el("text", label, x=f"{across:.1f}", y=self.top - 4, class_="middle small"))

    def render(self, label: str, class_: str = "") -> Html:
        """Return the plot; `label` says what it shows to those who cannot see it."""
        return svg(self.width, self.height, [*self._axes(), *self.parts], label, class_)

    def _axes(self) -> Iterable[Html]:
        base, end = self.height - self.bottom, self.width - self.right
        for value in self.y.ticks():
            _, y = self.place((self.x.low, value))
            yield el("path", d=f"M{self.left} {y:.1f}H{end}", class_="grid")
            yield el("text", shown(value), x=self.left - 6, y=f"{y + 4:.1f}", class_="end")
        yield el("path", d=f"M{self.left} {self.top}V{base}H{end}", class_="axis")
        ticks = [(value, shown(value)) for value in self.x.ticks()] if self.x_ticks is None else self.x_ticks
        for value, text in ticks:
            x, _ = self.place((value, self.y.low))
            yield el("path", d=f"M{x:.1f} {base}v4", class_="axis")
            yield el("text", text, x=f"{x:.1f}", y=base + 18, class_="middle")
        yield el("text", self.x_label, x=(self.left + end) // 2, y=self.height - 6, class_="middle name")
        if self.y_label:
            middle = (self.top + base) // 2
            yield el(
                *("text", self.y_label), x=14, y=middle, class_="middle name", transform=f"rotate(-90 14 {middle})"
            )


def svg(width: int, height: int, parts: Iterable[Html], label: str, class_: str = "") -> Html:
    """Return a drawing that grows and shrinks with its place."""
    return el(
        *("svg", join(parts)), viewBox=f"0 0 {width} {height}", class_=class_ or None, role="img", aria_label=label
    )
