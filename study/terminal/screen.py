"""The console that all commands print to: it escapes what a terminal would obey, and leaves secrets out."""

import json
import logging
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.highlighter import JSONHighlighter
from rich.segment import Segment
from rich.text import Text

from trainables.display import printable, redacted, shown, within


class Screen(Console):
    """A rich console for which text is text: no markup, no emoji codes, controls escaped, secrets left out."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return plain text, with secrets hidden before it is cut: a part of a secret would not be recognised."""
        return super().render_str(shown(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape control characters, here where they can still be told from rich's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, keep="\n"), segment.style)

    def print_json(self, *, data: Any) -> None:  # type: ignore[override]
        """Print plain data for scripts, in ASCII with JSON's own escapes, so that it reads back."""
        text = json.dumps(within(data, redacted), indent=2).replace("\x7f", "\\u007f")
        self.print(JSONHighlighter()(text), soft_wrap=True)


class ShownFormatter(logging.Formatter):
    """Formats log records, tracebacks too, as `display.shown` does."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return shown(super().format(record))
