"""For error messages: the known name that a word was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name most like `word`, the first of them in order; None where none is like it."""
    return next(iter(get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Ask for the known name most like `word`: `did you mean 'best'?`, or nothing where none is like it."""
    near = nearest(word, known)
    return f"did you mean {near!r}?" if near else ""
