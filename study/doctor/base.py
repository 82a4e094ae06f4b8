"""What a check of `ganstudy doctor` is given, and what it finds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rich.filesize import decimal


class Level(StrEnum):
    """How good a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One line: what was checked, what was found, and what to do about it, if anything."""

    what: str
    level: Level
    value: str
    advice: str = ""


@dataclass(frozen=True)
class Patient:
    """What is examined: this machine, and what a study would use.

    Attributes:
        storage: the folder of studies; it may not exist.
        address: of a Ray cluster, None for a local Ray.
        mlflow: the MLflow store's address, None for the default, SQLite in a study's folder.
        quick: start no Ray and open no MLflow store.
    """

    storage: Path
    address: str | None
    mlflow: str | None
    quick: bool


Check = Callable[[Patient], Iterator[Finding]]


def ok(what: str, value: str, advice: str = "") -> Finding:
    """All is well; `advice` is what could still be done."""
    return Finding(what, Level.OK, value, advice)


def warn(what: str, value: str, advice: str) -> Finding:
    """A study will run, but not as well as it could."""
    return Finding(what, Level.WARN, value, advice)


def fail(what: str, value: str, advice: str = "") -> Finding:
    """A study would not run, or give wrong results."""
    return Finding(what, Level.FAIL, value, advice)


def size(count: float) -> str:
    """Return bytes as people read them: `1.5 GB`."""
    return decimal(int(count))
