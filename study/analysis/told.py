"""What Optuna is told of an ended trial: its value, its state, and whether it is feasible."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from search_spaces.space import Space
from study.ledger.records import TrialState
from trainables.evaluation.image_counts import FidEstimate, best_of
from trainables.faults import OUT_OF_MEMORY


def told_trial(
    space: Space,
    params: Mapping[str, Any],
    reports: Sequence[FidEstimate],
    state: TrialState,
    cause: str | None,
    ceiling: float,
) -> FrozenTrial:
    """Return an ended trial as the sampler is told of it.

    Args:
        space: the study's.
        params: its values by parameter name.
        reports: its FIDs, in order of budget.
        state: how it ended.
        cause: why it failed.
        ceiling: what a diverged one is told.

    Raises:
        InvalidInput: if `params` are not in the space.
        ValueError: if Optuna does not take it.
    """
    best, last = best_of(reports), reports[-1].fid if reports else None
    value, told = verdict(state, best.fid if best else None, last, cause, ceiling)
    return optuna.trial.create_trial(
        state=told,
        value=value,
        params=dict(params),
        distributions=space.distributions(params),
        intermediate_values={report.kimg: report.fid for report in reports},
        constraints=infeasible(state, told),
    )


def infeasible(state: TrialState, told: OptunaState) -> dict[str, float]:
    """Return Optuna's constraints that an ended trial violates, by name: one if it is told the ceiling, else none."""
    return {"trains": 1.0} if told == OptunaState.COMPLETE and state != TrialState.COMPLETED else {}


def verdict(
    state: TrialState, fid_best: float | None, fid: float | None, cause: str | None, ceiling: float
) -> tuple[float | None, OptunaState]:
    """Return what Optuna is told of an ended trial: its value and state."""
    too_large = state == TrialState.FAILED and (cause or "").startswith(f"{OUT_OF_MEMORY}:")
    if too_large:
        return ceiling, OptunaState.COMPLETE
    return {
        TrialState.COMPLETED: (fid_best, OptunaState.COMPLETE),
        TrialState.STOPPED: (fid, OptunaState.PRUNED),
        TrialState.DIVERGED: (ceiling, OptunaState.COMPLETE),
        TrialState.FAILED: (None, OptunaState.FAIL),
    }[state]
