"""Optuna's part of a study: an in-memory history, rebuilt from the ledger, that proposes configurations."""

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from search_spaces.space import Space, suggest_with
from study.ledger.records import TrialRecord, TrialState
from trainables.evaluation.image_counts import FidEstimate, best_of
from trainables.faults import OUT_OF_MEMORY
from trainables.streams import derive_seed

optuna.logging.set_verbosity(logging.WARNING)

SamplerFactory = Callable[[int, int], optuna.samplers.BaseSampler]


def _tpe(seed: int, startup: int) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimator, conditional spaces in groups, running trials counted as bad.

    Bergstra et al. 2011; Watanabe 2023 for multivariate and group.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=startup, multivariate=True, group=True, constant_liar=True
        )


def _random(seed: int, startup: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=seed)


SAMPLERS: dict[str, SamplerFactory] = {"tpe": _tpe, "random": _random}


@dataclass(frozen=True)
class Proposal:
    """A configuration to try: flat parameter values, and who thought of it."""

    params: dict[str, Any]
    origin: str
    sampler_attrs: dict[str, Any]


class Sampling:
    """Proposes trial 0, 1, 2, ... of a study and learns from what became of them.

    The sampler is made anew for each proposal from (study seed, trial number): what it proposes is a function of
    these and of the history, so a resumed study does not ask the same points again.

    FIDs are minimised. A completed trial is told its best FID, a stopped one is PRUNED with every FID it reported,
    a diverged one is told the ceiling (the FID of uniform noise), and so is one that did not fit in memory; one that
    failed otherwise teaches nothing. What is told the ceiling is infeasible too: TPE ranks pruned trials behind all
    complete ones, so where most are stopped a bare value would count these among the best.
    """

    def __init__(self, space: Space, sampler: str, seed: int, startup: int, ceiling: float) -> None:
        self._space = space
        self._make = SAMPLERS[sampler]
        self._seed = seed
        self._startup = startup
        self._ceiling = ceiling
        self._open: dict[int, optuna.Trial] = {}
        self._earlier = 0
        self.history = optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=0))

    def learn(self, lessons: Iterable[FrozenTrial]) -> None:
        """Begin with the results of earlier studies: they come before trial 0 and count as startup trials."""
        for lesson in lessons:
            self.history.add_trial(lesson)
        self._earlier = len(self.history.trials)

    @property
    def trials(self) -> list[FrozenTrial]:
        """The study's own trials as Optuna knows them, in the order of their numbers."""
        return self.history.trials[self._earlier :]

    def propose(self, number: int) -> Proposal:
        """Return what trial `number` should try: the space's baselines first, then the sampler's choice."""
        baselines = self._space.baselines
        origin = "sampler"
        if number < len(baselines):
            self.history.enqueue_trial(dict(baselines[number].params))
            origin = f"baseline:{baselines[number].name}"
        self.history.sampler = self._make(derive_seed(self._seed, "sampler", number) % 2**32, self._startup)
        trial = self.history.ask()
        assert trial.number == self._earlier + number, f"proposal {number} came as {trial.number - self._earlier}"
        params = self._space.sample(suggest_with(trial))
        self._open[number] = trial
        return Proposal(params, origin, dict(self.trials[number].system_attrs))

    def restore(self, record: TrialRecord, finished: bool) -> None:
        """Add a trial of the ledger to the history; trials come in the order of their numbers."""
        if finished:
            reports = [report.estimate for report in record.reports]
            self.history.add_trial(
                told_trial(self._space, record.params, reports, record.state, record.cause, self._ceiling)
            )
            return
        # As `enqueue_trial` would; but TPE reads a running trial's attributes too, so they have to come back.
        attrs = {**record.sampler_attrs, "fixed_params": dict(record.params)}
        self.history.add_trial(optuna.trial.create_trial(state=OptunaState.WAITING, system_attrs=attrs))
        self.history.sampler = optuna.samplers.RandomSampler(seed=0)  # every value is fixed: nothing is drawn
        trial = self.history.ask()
        self._space.sample(suggest_with(trial))
        self._open[record.number] = trial
        for kimg, fid in record.curve.items():
            trial.report(fid, kimg)

    def report(self, number: int, kimg: int, fid: float) -> None:
        """Note an FID on the way."""
        self._open[number].report(fid, kimg)

    def end(self, number: int, state: TrialState, fid_best: float | None, fid: float | None, cause: str | None) -> None:
        """Tell what became of a trial."""
        value, told = verdict(state, fid_best, fid, cause, self._ceiling)
        for name, by in infeasible(state, told).items():
            self._open[number].set_constraint(name, by)
        self.history.tell(self._open.pop(number), value if told == OptunaState.COMPLETE else None, told)


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
