"""Trials in a few words, for the report and for MLflow."""

from collections.abc import Sequence

from study.analysis.summary import summary
from study.ledger.events import TrialProposed
from study.ledger.records import TrialRecord

_NAMED = 40  # trials named one by one before "and N more"


def words(trial: TrialRecord | TrialProposed) -> str:
    """Return a trial's configuration in a few words; of one that has no known shape, its parameters."""
    try:
        return summary(trial.config)
    except (KeyError, TypeError):
        return ", ".join(f"{name} {value}" for name, value in trial.params.items())


def so_many(count: int) -> str:
    """Return a number of trials in words."""
    return f"{count} trial{'s' * (count != 1)}"


def state(trial: TrialRecord) -> str:
    """Return a trial's state, with the rung that stopped it."""
    return f"{trial.state} at {trial.rung}" if trial.rung else str(trial.state)


def numbers(trials: Sequence[int]) -> str:
    """Return trial numbers as a list of bounded length."""
    more = f" and {len(trials) - _NAMED} more" if len(trials) > _NAMED else ""
    return ", ".join(map(str, trials[:_NAMED])) + more
