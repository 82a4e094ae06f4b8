"""The one door by which text enters the page: templates that escape whatever is not markup already."""

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from study.report.words import numbers, so_many, state, words
from study.views.tables import duration, number
from trainables.display import printable


def _shown(value: Any) -> Any:
    """What a template writes for a value: nothing for None, controls made visible. Jinja calls this for every `{{ }}`
    and then escapes.
    """
    if value is None or isinstance(value, Markup):
        return value or ""
    return printable(str(value), keep="\n")


def _columns(head: str) -> list[tuple[str, str]]:
    """Return titles and sides from `"trial: | state"`; as in Markdown, `:` at the end means right-aligned."""
    titles = [title.strip() for title in head.split("|")]
    return [(title.removesuffix(":"), "right" if title.endswith(":") else "left") for title in titles]


_TEMPLATES = Environment(
    loader=PackageLoader("study.report"),
    autoescape=True,
    finalize=_shown,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_FILTERS: tuple[Callable[..., Any], ...] = (duration, number, numbers, so_many, state, words)
_TEMPLATES.filters |= {filter_.__name__: filter_ for filter_ in _FILTERS} | {"columns": _columns}


def render(template: str, **values: Any) -> Markup:
    """Return a template of `templates/` filled with values."""
    return Markup(_TEMPLATES.get_template(template).render(values))
