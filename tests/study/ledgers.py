"""Ledgers to test on: the same tests run on an SQLite file and on a PostgreSQL server."""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from study.ledger.events import (
    CONFIRM,
    AttemptStarted,
    Ended,
    Event,
    NoiseMeasured,
    Reported,
    RetrainingPlanned,
    StudyChanged,
    StudyOpened,
    TrialProposed,
    WarmStarted,
)
from study.ledger.ledger import Ledger

_numbers = itertools.count(1)


class Place(Protocol):
    """Where one ledger is, and a way to it past `Ledger`."""

    @property
    def url(self) -> str | Path: ...

    @property
    def schema(self) -> str: ...

    def raw(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run SQL (parameters as `?`) in a transaction of its own."""


@dataclass(frozen=True)
class SqlitePlace:
    url: Path
    schema: str

    def raw(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.url)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()


@dataclass(frozen=True)
class PostgresqlPlace:
    url: str
    schema: str

    def raw(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
            cursor = connection.execute(statement.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class Backend:
    """Makes places; a fresh one for every example of a property."""

    folder: Path
    server_url: str | None

    def fresh(self) -> Place:
        number = next(_numbers)
        if self.server_url is None:
            return SqlitePlace(self.folder / f"{number}" / "ledger.db", f"study-{number}")
        return PostgresqlPlace(self.server_url, f"Study-{number}.x")


@contextmanager
def opened(place: Place) -> Iterator[Ledger]:
    with Ledger.open(place.url, schema=place.schema, create=True) as ledger:
        yield ledger


def write(place: Place, *events: Event) -> list[bool]:
    with opened(place) as ledger, ledger.own("here", 1) as writer:
        return writer.append(*events)


OPENED = StudyOpened(
    uid="u1", config={"name": "s"}, fingerprint="f", fid_floor=1.5, fid_ceiling=300.0, versions={"torch": "2"}
)
METRICS = {"fid": 50.0, "loss_g": -0.25}


def proposed(trial: int) -> TrialProposed:
    return TrialProposed(trial, {"seed": trial}, {"g.lr": 2e-4, "loss": "hinge"}, "sampler", {})


def reported(trial: int, kimg: int, fid: float = 50.0, attempt: int = 1) -> Reported:
    return Reported(trial, kimg, attempt, {**METRICS, "fid": fid})


def planned(number: int, trials: list[int], seeds: int, budget: int, fid: str, test: str) -> RetrainingPlanned:
    """A plan of a confirmation."""
    return RetrainingPlanned(CONFIRM, number, trials, seeds, budget, fid, test)


def retraining_started(trial: int, seed: int, budget: int, attempt: int) -> AttemptStarted:
    return AttemptStarted(trial, attempt, seed, budget)


def retraining_reported(
    trial: int, seed: int, budget: int, attempt: int, kimg: int, metrics: dict[str, float]
) -> Reported:
    return Reported(trial, kimg, attempt, metrics, seed, budget)


def retraining_ended(
    trial: int,
    seed: int,
    budget: int,
    attempt: int,
    kimg: int,
    state: str,
    cause: str | None,
    chosen: int | None,
    test: dict[str, float] | None,
) -> Ended:
    return Ended(trial, attempt, kimg, state, None, cause, seed, budget, chosen, test)


# One of every kind, in a possible order.
STORY: tuple[Event, ...] = (
    OPENED,
    WarmStarted("other", "u0", 2, {"1": {"params": {"loss": "hinge"}, "state": "stopped", "curve": {"10": 60.0}}}),
    proposed(0),
    AttemptStarted(0, 1),
    reported(0, 10),
    Ended(0, 1, 10, "stopped", 10, None),
    StudyChanged(1, {"name": "s", "trials": 9}),
    proposed(1),
    AttemptStarted(1, 1),
    Ended(1, 1, 0, "failed", None, "no memory"),
    planned(1, [0], 2, 20, "f", "t"),
    retraining_started(0, 1, 20, 1),
    retraining_reported(0, 1, 20, 1, 20, METRICS),
    retraining_ended(0, 1, 20, 1, 20, "completed", None, 20, {"fid": 51.0}),
    NoiseMeasured(0, 10, "evaluation", 1, 50.5, None),
)
