"""HTML and SVG from Python, with one rule: what is not `Html` already is escaped, and controls are made visible."""

from collections.abc import Iterable
from html import escape

from trainables.display import printable

_VOID = frozenset({"img", "meta", "br"})


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


Part = str | int | Html | None


def join(parts: Iterable[Part], between: str = "") -> Html:
    """Return the parts one after the other; plain text is escaped, None is left out."""
    return Html(between.join(_html(part) for part in parts if part is not None))


def el(tag: str, *children: Part, **attributes: str | int | float | None) -> Html:
    """Return an element; an attribute's trailing `_` falls away and the others become `-`, None leaves it out."""
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    start = "".join(f' {name}="{escape(printable(str(value)))}"' for name, value in given.items())
    return Html(f"<{tag}{start}>" if tag in _VOID else f"<{tag}{start}>{join(children)}</{tag}>")


def table(head: Iterable[tuple[str, str]], rows: Iterable[Iterable[Part]], class_: str | None = None) -> Html:
    """Return a table that scrolls sideways where it is too wide; `head` is (title, "left" or "right")."""
    columns = list(head)
    titles = join(el("th", title, class_=side) for title, side in columns)
    body = join(
        el("tr", *(el("td", cell, class_=side) for cell, (_, side) in zip(row, columns, strict=True))) for row in rows
    )
    whole = el("table", el("thead", el("tr", titles)), el("tbody", body))
    return el("div", whole, class_=" ".join(filter(None, ("scroll", class_))))


def _html(part: Part) -> str:
    return part if isinstance(part, Html) else escape(printable(str(part), keep="\n"))
