"""Which parameters matter, by Optuna's evaluator on trials at one budget."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from study.analysis.common_rung import Axis, CommonRung, axes
from study.analysis.scales import spans_decades
from study.ledger.records import TrialRecord

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST = 10
"""Trials below which importances are not shown: they would be noise."""

_TOP, _FEWEST_IN_TOP = 0.1, 5  # the evaluator's own quantile, and the trials that it wants above it


def top_quantile(count: int) -> float:
    """Return the part of `count` trials that counts as good: a tenth, but at least 5 trials and at most half."""
    return min(0.5, max(_TOP, _FEWEST_IN_TOP / count))


def importances(trials: Sequence[TrialRecord], common: CommonRung) -> dict[str, float]:
    """Return each parameter's importance for being among the good trials at the common rung; they sum to 1.

    Optuna's conditional PED-ANOVA (Watanabe et al. 2023, "PED-ANOVA"), which takes parameters that only some trials
    have. It gets every trial at the same budget, as completed: Optuna itself would rank the FIDs of finished trials
    only, or worse those of different budgets together. Ranges are those of the values tried. Empty for fewer than
    `FEWEST` trials.
    """
    there = [trial for trial in trials if trial.number in common.fids]
    if len(there) < FEWEST or len(set(common.fids.values())) < 2:
        return {}
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    shapes = {axis.name: _distribution(axis, there) for axis in axes(there)}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=0))
    for trial in there:
        params = {name: value for name, value in trial.params.items() if name in shapes}
        distributions = {name: shapes[name] for name in params}
        fid = common.fids[trial.number]
        study.add_trial(optuna.trial.create_trial(value=fid, params=params, distributions=distributions))
    evaluator = PedAnovaImportanceEvaluator(target_quantile=top_quantile(len(there)))
    with warnings.catch_warnings(action="ignore"):  # of few trials, which the page says itself
        return dict(get_param_importances(study, evaluator=evaluator)) if shapes else {}


def _distribution(axis: Axis, trials: Sequence[TrialRecord]) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.choices is not None:
        return CategoricalDistribution(axis.choices)
    values: list[Any] = [trial.params[axis.name] for trial in trials if axis.name in trial.params]
    whole = all(isinstance(value, int) for value in values)
    kind = IntDistribution if whole else FloatDistribution
    return kind(min(values), max(values), log=spans_decades(min(values), max(values)))
