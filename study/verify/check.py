"""What `ganstudy verify` says of one promise: what was checked, and the first thing that is not as promised."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from study.terminal.hints import counted
from trainables.errors import GanStudyError


class Discrepancy(GanStudyError):
    """Something is not as promised; the message says where."""


@dataclass(frozen=True)
class Check:
    """One promise: how much was checked, the first `problem` if there is one, and a `note` on what was left out."""

    name: str
    counts: dict[str, int]
    problem: str | None
    note: str | None

    @property
    def checked(self) -> str:
        """For people: `1,234 reports, 57 checkpoints`."""
        return counted(self.counts) or "nothing to check"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"check": self.name, "checked": self.counts, "problem": self.problem, "note": self.note}


def run_check(name: str, work: Callable[[Counter[str]], str | None]) -> Check:
    """Do `work`, which counts what it checks, returns a note, and raises a `GanStudyError` at the first problem."""
    counts = Counter[str]()
    try:
        note = work(counts)
    except GanStudyError as error:
        return Check(name, dict(counts), str(error), None)
    return Check(name, dict(counts), None, note)
