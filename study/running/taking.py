"""What a worker's result means, before anything is decided from it: a report, or the end of its training."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from study.ledger.outcomes import TrialState
from trainables.errors import GanStudyError
from trainables.faults import ERROR, HALT


@dataclass(frozen=True)
class Reached:
    """A report at `kimg`: all metrics asked for, finite."""

    kimg: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Over:
    """The end of a training, short of its budget."""

    state: TrialState
    cause: str


def take(
    command: str, what: str, result: Mapping[str, Any], names: Sequence[str], known: Collection[int], end: int
) -> Reached | Over:
    """Read a result of a training in hand.

    A report without sense (a metric missing or no number, a time that runs backward) fails its training, one with a
    number that is not finite has diverged.

    Args:
        command: what goes on with it, for an error.
        what: whose result it is, for an error.
        result: what the worker reported.
        names: the metrics that a report has.
        known: the kimg of its reports so far.
        end: the last kimg that it may report.

    Raises:
        GanStudyError: if the worker's disk takes no more, or its code is not the driver's; the training goes on when
            the command is given again.
    """
    if result.get("ended") == HALT:
        raise GanStudyError(f"{what} cannot go on: {result['cause']}, then {command} again")
    if ended := result.get("ended"):
        return Over(TrialState(ended), str(result["cause"]))
    try:
        kimg, metrics = _read_report(result, names, known, end)
    except BadReport as error:
        return Over(TrialState.FAILED, f"{ERROR}: {error}")
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if bad:
        return Over(TrialState.DIVERGED, f"{bad[0]} is {metrics[bad[0]]} at {kimg} kimg")
    return Reached(kimg, metrics)


class BadReport(Exception):
    """What was reported makes no sense; says why."""


def _read_report(
    result: Mapping[str, Any], names: Sequence[str], known: Collection[int], end: int
) -> tuple[int, dict[str, float]]:
    """Return the kimg and the metrics (all of `names`) of a report, the latter perhaps not finite.

    Raises:
        BadReport: if a metric is missing or no number, or the time is neither new (at most `end`) nor `known`.
    """
    metrics = read_metrics(result, names)
    kimg, newest = metrics["kimg"], max(known, default=0)
    if not (math.isfinite(kimg) and kimg.is_integer()):
        raise BadReport(f"metric kimg is {kimg}; it counts in whole thousands of images")
    if kimg <= newest and kimg not in known:
        raise BadReport(f"metric kimg went backward: {kimg:g} after {newest}")
    if kimg > end:
        raise BadReport(f"metric kimg is {kimg:g}, past the end at {end}")
    return int(kimg), metrics


def read_metrics(result: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Return the numbers of those names.

    Raises:
        BadReport: if one is missing or no number.
    """
    return {name: _number(name, result) for name in names}


def _number(name: str, result: Mapping[str, Any]) -> float:
    if name not in result:
        raise BadReport(f"metric {name} is missing")
    value = result[name]
    if isinstance(value, bool) or not isinstance(value, Real):
        raise BadReport(f"metric {name} is {value!r:.80}, which is no number")
    try:
        return float(value)
    except OverflowError:
        raise BadReport(f"metric {name} is too large a number") from None
