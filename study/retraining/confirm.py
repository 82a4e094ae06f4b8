"""`ganstudy confirm`: retrains a study's best configurations from fresh seeds and evaluates them on test images."""

from dataclasses import dataclass

from rich.console import Console

from study.analysis.confirmation import candidates
from study.data_paths import BY_LAUNCH, saying
from study.exit_codes import NO_COMPLETED_TRIAL
from study.folder import StudyFolder
from study.ledger.catalogue import open_ledger
from study.ledger.events import CONFIRM, RetrainingPlanned
from study.ledger.records import Fold, StudyRecord, TrialState
from study.older.check import check_not_older
from study.retraining.run import check_fingerprint, config_of, is_new, retrain
from study.running.launch import Launched
from study.terminal.say import say
from trainables.data import Split
from trainables.errors import GanStudyError, InvalidInput
from trainables.evaluation.prepare import prepare
from trainables.files import check_writable

TOP, SEEDS = 3, 5
"""What a study's first confirmation retrains if nothing else is asked for."""


class NothingToConfirm(GanStudyError):
    """No trial of the study has completed."""

    exit_code = NO_COMPLETED_TRIAL


@dataclass(frozen=True)
class ConfirmRequest:
    """How many of the best configurations, with how many fresh seeds each; None: as many as in the newest plan."""

    top: int | None = None
    seeds: int | None = None

    def __post_init__(self) -> None:
        """Refuse what asks for nothing.

        Raises:
            InvalidInput: naming the option.
        """
        for option, count in (("--top", self.top), ("--seeds", self.seeds)):
            if count is not None and count < 1:
                raise InvalidInput(f"{option} {count}: give at least 1")

    def plan(self, study: StudyRecord, test_fingerprint: str) -> RetrainingPlanned:
        """What that means for the study as it stands."""
        before = study.confirmation.plan
        top = self.top or (len(before.trials) if before else TOP)
        seeds = self.seeds or (before.seeds if before else SEEDS)
        trials = [ranked.trial.number for ranked in candidates(study, top)]
        number, budget = len(study.confirmation.plans) + 1, study.config["schedule"]["max_kimg"]
        return RetrainingPlanned(CONFIRM, number, trials, seeds, budget, study.fingerprint, test_fingerprint)


def confirm(folder: StudyFolder, wanted: ConfirmRequest, address: str | None, console: Console) -> Launched:
    """Retrain what is missing, and evaluate what was not evaluated yet; return how it ended, with the study.

    Args:
        folder: the study's.
        wanted: how much.
        address: of a Ray cluster, None for a local Ray.
        console: where progress is shown.

    Raises:
        InvalidInput: before any training, if the study's data has changed.
        NothingToConfirm: if no trial has completed.
        GanStudyError: if a driver runs this study, or the ledger or Ray fails.
    """
    with open_ledger(folder) as ledger:
        fold = Fold().follow(ledger.read)
        study = fold.record(live=False)
        if not any(trial.state == TrialState.COMPLETED for trial in study.trials):
            raise NothingToConfirm(
                f"no trial of {folder.name} has completed, so there is nothing to confirm; launch it"
            )
        if owner := ledger.live_owner():
            raise GanStudyError(f"study {folder.name!r} is being run by {owner}: wait for its end, then confirm it")
        check_not_older(folder, ledger, study)
    check_writable(folder.path, "study", "confirm it where it can be written to")
    asked = study.confirmation
    before = asked.plan.test_fingerprint if asked.plan else ""
    if asked.plan and not asked.due and not is_new(study, wanted.plan(study, before)):
        return Launched(study)
    config = config_of(folder, study)
    say(console, f"preparing {config.data.name}: data, extractor, statistics of validation and test images")
    with saying(BY_LAUNCH):
        prepared = prepare(config.data, config.evaluation, cached=True)
    test = prepared.on(Split.TEST)
    check_fingerprint("FID fingerprint", study.fingerprint, prepared.fingerprint, study.config)
    check_fingerprint("test fingerprint", before or test.fingerprint, test.fingerprint, study.config)
    return retrain(config, fold, lambda now: wanted.plan(now, test.fingerprint), prepared, address, console, test)
