"""A data set as tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from study.terminal.say import say
from study.views.tables import folded_table
from trainables.display import printable
from trainables.nested import flatten

_MOST = 50  # classes

_Row = list[str]


def print_data(facts: Mapping[str, Any], console: Console) -> None:
    """Print what `trainables.data.described` tells: splits, classes, files that are not read."""
    size = " x ".join(map(str, facts["shape"]))
    total = (
        f"{sum(facts['images'].values()):,} images" if not facts["shared"] else f"{facts['images']['train']:,} images"
    )
    say(console, f"{facts['name']}: {total}, {size}, digest {facts['digest'][:16]}")
    heads = ["split", "images", *(["from"] if "splits_from" in facts else [])]
    _print_table("splits", heads, _splits(facts), console)
    if facts["classes"]:
        rows = _classes(facts)
        title = f"classes: {facts['classes']}{_from(facts)}"
        _print_table(title, ["class", *facts["images"]], rows[:_MOST], console)
        if len(rows) > _MOST:
            say(console, f"and {len(rows) - _MOST} more; --json has them all", "dim")
    else:
        say(console, f"\nclasses: {facts.get('classes_from', 'none')}")
    if "formats_read" in facts:
        say(console, f"\nread: {', '.join(facts['formats_read'])}")
        rows = [
            [one["suffix"], f"{one['count']:,}", one["why"], printable(one["example"])] for one in facts["passed_over"]
        ]
        _print_table("passed over", ["files", "number", "why", "the first"], rows, console)


def print_fid(facts: Mapping[str, Any], console: Console) -> None:
    """Print what `trainables.evaluation.prepare.describe` tells of the FID."""
    console.print()
    rows = [[key, str(value)] for key, value in flatten(facts).items()]
    console.print(folded_table([("FID", "left"), ("", "left")], rows))


def _from(facts: Mapping[str, Any]) -> str:
    return f", from {facts['classes_from']}" if "classes_from" in facts else ""


def _splits(facts: Mapping[str, Any]) -> list[_Row]:
    origins = facts.get("splits_from")
    return [[split, f"{count:,}", *([origins[split]] if origins else [])] for split, count in facts["images"].items()]


def _classes(facts: Mapping[str, Any]) -> list[_Row]:
    names = facts.get("class_names") or [str(number) for number in range(facts["classes"])]
    columns = [facts["class_counts"][split] for split in facts["images"]]
    return [
        [printable(name), *(f"{count:,}" for count in counts)] for name, *counts in zip(names, *columns, strict=True)
    ]


def _print_table(title: str, heads: list[str], rows: list[_Row], console: Console) -> None:
    if rows:
        say(console, f"\n{title}")
        number = ("images", "number", "train", "validation", "test")
        console.print(folded_table([(head, "right" if head in number else "left") for head in heads], rows))
