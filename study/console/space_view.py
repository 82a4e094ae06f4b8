"""Search spaces as people read them: parameters in groups that are active together, baselines with their sources."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from search_spaces.space import Space, SpaceRow


def print_spaces(spaces: Iterable[Space], console: Console) -> None:
    """Print the spaces' names and what they are for."""
    rows = [(space.name, str(len(space.parameters)), space.description) for space in spaces]
    _print(console, rows, titles=("space", "parameters", ""), right=1)


def print_space(space: Space, console: Console) -> None:
    """Print one space: its parameters in order, what is the same in every trial, the baselines."""
    console.print(f"{space.name}: {space.description}")
    rows, count = space.rows(), len(space.parameters)
    widths = [max(map(len, column)) for column in zip(*((row.name, row.kind) for row in rows), strict=True)]

    def show(title: str, group: Iterable[SpaceRow]) -> None:
        console.print(f"\n{title}", style="bold")
        _print(console, [(f"  {row.name}", row.kind, row.range) for row in group], widths=[2 + widths[0], widths[1]])

    for when, group in groupby(rows[:count], key=lambda row: row.when):
        show(f"where {when}" if when else "in every trial", group)
    if rows[count:]:
        show("the same in every trial", rows[count:])
    if space.baselines:
        console.print("\nbaselines, tried first", style="bold")
        _print(console, [(f"  {baseline.name}", baseline.source) for baseline in space.baselines])


def _print(
    console: Console,
    rows: Sequence[Sequence[str]],
    titles: Sequence[str] = (),
    right: int | None = None,
    widths: Sequence[int] = (),
) -> None:
    """Print a table whose last column is broken over lines where it is too long."""
    table = Table(box=None, pad_edge=False, show_header=bool(titles), header_style="bold")
    last = len(rows[0]) - 1
    for index, column in enumerate(zip(*rows, strict=True)):
        title = titles[index] if titles else ""
        width = max(len(title), *map(len, column), *widths[index : index + 1])
        shown: dict[str, Any] = {"no_wrap": True, "min_width": width} if index < last else {}
        table.add_column(title, justify="right" if index == right else "left", **shown)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
