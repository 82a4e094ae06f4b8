"""Whether the sampler learned of earlier studies what the ledger has of them: worked out anew, not with `lesson`."""

from collections import Counter
from collections.abc import Sequence

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from study.ledger.records import StudyRecord
from study.study_file.config import StudyConfig
from study.verify.check import Discrepancy


def check_named(named: Sequence[str], written: Sequence[str]) -> None:
    """Compare the studies that the study file names with those that the ledger begins with.

    Raises:
        Discrepancy: if they are not the same, in the same order.
    """
    if list(named) != list(written):
        raise Discrepancy(
            f"the study was to begin with the results of {_names(named)}, and has those of {_names(written)}"
        )


def check_earlier(
    study: StudyRecord, config: StudyConfig, rebuilt: Sequence[FrozenTrial], counts: Counter[str]
) -> None:
    """Compare Optuna's first trials with the results of the earlier studies.

    Raises:
        Discrepancy: at the first trial that Optuna would know otherwise.
    """
    end, step = config.schedule.max_kimg, config.schedule.report_every
    full, rung = config.evaluation.count, config.evaluation.rung_count or config.evaluation.count
    space = config.space.resolve()
    trials = [(one.name, trial) for one in study.earlier for trial in one.trials]
    if len(trials) != len(rebuilt):
        raise Discrepancy(f"of {len(trials)} trials of earlier studies {len(rebuilt)} came to Optuna")
    for (name, trial), found in zip(trials, rebuilt, strict=True):
        asked = {kimg: full if kimg in study.full_count_at else rung for kimg in range(step, end + 1, step)}
        curve = {k: trial.curve[k] for k in asked if k in trial.curve and trial.images.get(k, full) == asked[k]}
        state, value = OptunaState.PRUNED, curve[max(curve)] if curve else None
        diverged = trial.state == "diverged" and not any(kimg >= end for kimg in trial.curve)
        if end in curve:
            most = max(asked[kimg] for kimg in curve)
            state, value = OptunaState.COMPLETE, min(fid for kimg, fid in curve.items() if asked[kimg] == most)
        elif diverged:
            state, value = OptunaState.COMPLETE, study.fid_ceiling
        known = {
            "params": (dict(trial.params), found.params),
            "distributions": (space.distributions(trial.params), found.distributions),
            "FIDs": (curve, found.intermediate_values),
            "state": (state, found.state),
            "value": (value, found.value),
            "infeasible": (diverged, bool(found.constraints)),
        }
        for what, (recorded, told) in known.items():
            if recorded != told:
                raise Discrepancy(f"trial {trial.number} of {name}: its {what} {recorded!r} came to Optuna as {told!r}")
        counts["earlier trials"] += 1


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "no other"
