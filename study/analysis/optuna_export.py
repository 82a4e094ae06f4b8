"""A study as an Optuna study in a file or database: for optuna-dashboard, or for Optuna's own tools.

It is a copy for looking at: the ledger stays the truth, and nothing is read back from it.
"""

import warnings
from datetime import datetime
from pathlib import Path

import optuna
import sqlalchemy as sa
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from study.analysis.results import trial_facts
from study.analysis.told import infeasible, verdict
from study.ledger.records import StudyRecord, TrialRecord, TrialState
from study.study_file.addresses import database_file, located_uri
from study.study_file.config import SpaceChoice
from trainables.display import quoted
from trainables.errors import InvalidInput, reason_of
from trainables.files import check_file, check_writable
from trainables.paths import absolute
from trainables.validation import validated


def export_optuna(study: StudyRecord, target: str) -> int:
    """Write all trials, as the sampler was told of them, to an Optuna storage; return how many.

    Completed trials have their best FID as value and stopped ones are pruned, both with every FID on the way; diverged
    ones have the study's ceiling and are infeasible. The attribute `state` tells what each truly is. `target` is a
    database's URL (`sqlite:///x.db`), or the path of a journal file.

    Raises:
        InvalidInput: if the storage cannot be opened, or has a study of this name.
    """
    name = str(study.config["name"])
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        made = optuna.create_study(study_name=name, storage=_storage(target), direction="minimize")
    except InvalidInput:
        raise
    except optuna.exceptions.DuplicatedStudyError:
        raise InvalidInput(
            f"{quoted(target)}: has a study {name!r} already; remove it, or choose another storage"
        ) from None
    except Exception as error:  # SQLAlchemy's, the driver's, the file system's
        raise InvalidInput(
            f"{quoted(target)}: cannot be opened as an Optuna storage: {reason_of(error, 200)}"
        ) from None
    space = validated(SpaceChoice, study.config["space"], "space").resolve()
    made.set_user_attr("fid_fingerprint", study.fingerprint)
    made.set_user_attr("fid_floor", study.fid_floor)
    made.set_user_attr("fid_ceiling", study.fid_ceiling)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        made.set_metric_names(["FID"])
    for trial in study.trials:
        distributions = space.distributions(trial.params)
        made.add_trial(_frozen(trial, distributions, study.fid_ceiling))
    return len(study.trials)


def _storage(target: str) -> BaseStorage:
    """Open the storage, unless its URL might be read in another way: errors would then show parts of a password."""
    uri = located_uri(_checked_url(target)) if "://" in target else None
    file = absolute(Path(target)) if uri is None else database_file(uri)
    if file is not None:
        check_file(file, "Optuna storage")
        check_writable(file.parent, "Optuna storage", "choose another folder")
    return JournalStorage(JournalFileBackend(str(file))) if uri is None else RDBStorage(uri)


def _checked_url(target: str) -> str:
    try:
        malformed = "@" in (sa.make_url(target).host or "")
    except (sa.exc.ArgumentError, ValueError):
        malformed = True
    if malformed:
        raise InvalidInput(
            f"{quoted(target)}: not a database's URL; write @, : and / in a password as %40, %3A and %2F"
        )
    return target


def _frozen(
    trial: TrialRecord, distributions: dict[str, optuna.distributions.BaseDistribution], ceiling: float
) -> FrozenTrial:
    state, value = OptunaState.RUNNING, None
    if not trial.unfinished:
        value, state = verdict(trial.state, trial.fid_best, trial.fid, trial.cause, ceiling)
    elif trial.state == TrialState.INTERRUPTED:
        state = OptunaState.FAIL
    broken = {} if trial.unfinished else infeasible(trial.state, state)
    started, ended = trial.started_at, trial.ended_at or max((r.written_at for r in trial.reports), default=0.0)
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=value,
        datetime_start=datetime.fromtimestamp(started),
        datetime_complete=datetime.fromtimestamp(max(started, ended)) if state.is_finished() else None,
        params=dict(trial.params),
        distributions=distributions,
        user_attrs={key: value for key, value in trial_facts(trial).items() if value is not None},
        system_attrs=optuna.trial.create_trial(state=OptunaState.FAIL, constraints=broken).system_attrs,
        intermediate_values=dict(trial.curve),
    )
