"""Plots as inline SVG: axes, lines and dots. Colours come from the page's style sheet, by class."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from markupsafe import Markup

from study.analysis.scales import Scale
from study.report.html import render

Point = tuple[float, float]


class Path(NamedTuple):
    """A shape: SVG's path data, a class, and what is told where the pointer rests on it."""

    d: str
    class_: str
    title: str | None = None


class Label(NamedTuple):
    """Text at a point; `turned` upwards or not."""

    text: str
    x: float
    y: float
    class_: str
    turned: bool = False


Part = Path | Label


def svg(width: int, height: int, parts: Iterable[Part], label: str, class_: str = "") -> Markup:
    """Return a drawing that grows and shrinks with the page; `label` says what it shows to those who cannot see it."""
    return render("svg.html", width=width, height=height, parts=parts, label=label, class_=class_)


@dataclass
class Plot:
    """One plot: axes at the left and at the bottom; later parts are drawn over earlier ones. Sizes in user units.

    With `y_ticks` the rows have names and the grid is upright.
    """

    x: Scale
    y: Scale
    x_label: str
    y_label: str = ""
    x_ticks: Sequence[tuple[float, str]] | None = None
    y_ticks: Sequence[tuple[float, str]] | None = None
    width: int = 520
    height: int = 320
    left: int = 58
    parts: list[Part] = field(default_factory=list)

    top, right, bottom = 16, 14, 46

    def at(self, point: Point) -> tuple[float, float]:
        """Return where a point of the data lies in user units."""
        across, up = self.x.at(point[0]), self.y.at(point[1])
        return (
            self.left + across * (self.width - self.left - self.right),
            self.top + (1 - up) * (self.height - self.top - self.bottom),
        )

    def line(self, points: Iterable[Point], class_: str, title: str | None = None, steps: bool = False) -> None:
        """Add a line through the points; `steps` keeps each value until the next point."""
        pixels = [self.at(point) for point in points]
        if not pixels:
            return
        first = f"M{pixels[0][0]:.1f} {pixels[0][1]:.1f}"
        rest = (f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}" for x, y in pixels[1:])
        shape = "".join([first, *rest]) + ("h0" if len(pixels) == 1 else "")
        self.parts.append(Path(shape, f"line {class_}", title))

    def dots(self, points: Iterable[Point], class_: str) -> None:
        """Add dots, all in one element: a page of a thousand trials stays light."""
        shape = "".join("M{:.1f} {:.1f}h0".format(*self.at(point)) for point in points)
        if shape:
            self.parts.append(Path(shape, f"dots {class_}"))

    def crosses(self, across: Iterable[float], class_: str) -> None:
        """Add crosses at the upper edge, for what has no value."""
        y = self.top + 1
        shape = "".join(f"M{self.at((x, self.y.high))[0] - 3:.1f} {y - 3}l6 6m0 -6l-6 6" for x in across)
        if shape:
            self.parts.append(Path(shape, f"cross {class_}"))

    def upright(self, x: float, label: str) -> None:
        """Add a vertical line over the whole height, named at its upper end."""
        across, _ = self.at((x, self.y.low))
        self.parts.append(Path(f"M{across:.1f} {self.top}V{self.height - self.bottom}", "rung"))
        self.parts.append(Label(label, across, self.top - 4, "middle small"))

    def render(self, label: str, class_: str = "") -> Markup:
        """Return the plot; see `svg`."""
        return svg(self.width, self.height, [*self._axes(), *self.parts], label, class_)

    def _axes(self) -> Iterable[Part]:
        base, end, rows = self.height - self.bottom, self.width - self.right, self.y_ticks is not None
        for value, text in self.y.labelled_ticks() if self.y_ticks is None else self.y_ticks:
            _, y = self.at((self.x.low, value))
            if not rows:
                yield Path(f"M{self.left} {y:.1f}H{end}", "grid")
            yield Label(text, self.left - 6, y + 4, "end")
        yield Path(f"M{self.left} {base if rows else self.top}V{base}H{end}", "axis")
        for value, text in self.x.labelled_ticks() if self.x_ticks is None else self.x_ticks:
            x, _ = self.at((value, self.y.low))
            yield Path(f"M{x:.1f} {self.top}V{base + 4}", "grid") if rows else Path(f"M{x:.1f} {base}v4", "axis")
            yield Label(text, x, base + 18, "middle")
        yield Label(self.x_label, (self.left + end) // 2, self.height - 6, "middle name")
        if self.y_label:
            yield Label(self.y_label, 14, (self.top + base) // 2, "middle name", turned=True)


class StripRow(NamedTuple):
    """A row of `strips`: its name, dots by class, a bar from one value to another, and an upright mark."""

    name: str
    dots: dict[str, Sequence[float]]
    bar: tuple[float, float] | None
    mark: float | None


def strips(rows: Sequence[StripRow], x_label: str, label: str, row_height: int, log: bool | None = None) -> Markup:
    """Values in rows, one above another."""
    upwards = list(enumerate(reversed(rows)))
    plot = Plot(
        Scale.of([value for row in rows for values in row.dots.values() for value in values], log),
        Scale(-0.5, len(rows) - 0.5, False),
        x_label,
        y_ticks=[(y, shortened(row.name, 15)) for y, row in upwards],
        height=70 + row_height * len(rows),
        left=118,
    )
    for y, row in upwards:
        if row.bar is not None:
            plot.line([(value, y) for value in row.bar], "quartiles")
        if row.mark is not None:
            plot.line([(row.mark, y - 0.3), (row.mark, y + 0.3)], "median")
        for class_, values in row.dots.items():
            plot.dots([(value, y) for value in values], class_)
    return plot.render(label)


def shortened(text: str, most: int, at_end: bool = True) -> str:
    """Return at most so many characters of a text, which is cut at its end or at its beginning."""
    if len(text) <= most:
        return text
    return text[: most - 1] + "…" if at_end else "…" + text[1 - most :]
