"""A table that leaves out its least important columns on a narrow terminal, and never cuts a number."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Self, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from trainables.display import shown

T = TypeVar("T")
Column = tuple[str, str, Callable[[T], str | Text]]
"""A column's title, "left" or "right", and what makes a thing's cell."""

_GAP = 2
_LEAST = 24  # width that the last column keeps if it has that much to say
_LINES = 3  # that a cell of the last column may take
_SHORTEST = 4  # least width of a last column that says anything


class Fitted:
    """A borderless table.

    Columns are (title, "left" or "right"); the last one, prose, is broken between words into up to `lines` lines, and
    then cut with an ellipsis. If there is not enough room the columns titled as in `optional` are left out, in that
    order.
    """

    def __init__(
        self,
        columns: Sequence[tuple[str, str]],
        rows: Iterable[Sequence[str | Text]],
        optional: Sequence[str] = (),
        lines: int = _LINES,
    ) -> None:
        self.columns = list(columns)
        self.rows = [[shown(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        self.optional, self._lines = list(optional), lines
        self._widths = [
            max(max(map(len, str(cell).split("\n"))) for cell in (title, *(row[index] for row in self.rows)))
            for index, (title, _) in enumerate(self.columns)
        ]

    @classmethod
    def of(
        cls, things: Iterable[T], columns: Sequence[Column[T]], optional: Sequence[str] = (), lines: int = _LINES
    ) -> Self:
        """Return a table with a row for each thing."""
        heads = [(title, justify) for title, justify, _ in columns]
        return cls(heads, ([cell(thing) for _, _, cell in columns] for thing in things), optional, lines)

    def shown(self, width: int) -> list[int]:
        """Return which columns fit into `width`, by index."""
        kept, left_out = list(range(len(self.columns))), iter(self.optional)
        while self._needs(kept) > width:
            title = next(left_out, None)
            if title is None:
                break
            kept = [index for index in kept if self.columns[index][0] != title]
        return kept

    def _needs(self, kept: Sequence[int]) -> int:
        *numbers, last = kept
        prose = last == len(self.columns) - 1
        end = min(self._widths[last], _LEAST) if prose else self._widths[last]
        return sum(self._widths[index] for index in numbers) + _GAP * len(numbers) + end

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw what fits."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        kept = self.shown(options.max_width)
        widths = {index: self._widths[index] for index in kept}
        prose = len(self.columns) - 1
        if prose in widths:
            others = sum(width + _GAP for index, width in widths.items() if index != prose)
            widths[prose] = min(widths[prose], max(0, options.max_width - others))
            if widths[prose] < _SHORTEST < self._widths[prose]:
                del widths[prose]
        for index, width in widths.items():
            title, justify = self.columns[index]
            table.add_column(title, justify=justify, no_wrap=True, width=width)  # type: ignore[arg-type]
        for row in self.rows:
            table.add_row(*(self._cell(row[index], index, width) for index, width in widths.items()))
        yield table

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width of all columns, or of the terminal if that is less."""
        width = min(sum(self._widths) + _GAP * (len(self._widths) - 1), options.max_width)
        return Measurement(width, width)

    def _cell(self, cell: str | Text, index: int, width: int) -> Text:
        text = cell.copy() if isinstance(cell, Text) else Text(cell)
        if index < len(self.columns) - 1 or self._lines == 1 or len(text) <= width:
            text.truncate(width, overflow="ellipsis")
            return text
        lines = [
            line
            for part in text.plain.split("\n")
            for line in textwrap.wrap(part, width, break_on_hyphens=False, max_lines=self._lines, placeholder="…")
        ]
        return Text("\n".join(lines), text.style)
