"""`ganstudy promote`: the best trial's generator as a model in MLflow's registry, under the alias `champion`."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from study.analysis.best_checkpoint import best_checkpoint, read_best_checkpoint
from study.analysis.export import threads_per_trial, winner
from study.analysis.ranking import chosen_trial
from study.data_paths import BY_LAUNCH, DataPaths, saying
from study.folder import StudyFolder
from study.ledger.catalogue import find_study, load_study, open_ledger
from study.ledger.records import StudyRecord, TrialRecord
from study.mlflow.data import known_data
from study.mlflow.database import check_database, check_database_folder
from study.mlflow.store import display_uri, experiment_name, open_client, resolve_uri
from study.older.check import check_not_older
from study.production.champion_registry import held_run, reaching, register, registered_name
from study.production.champion_text import ALIAS, Candidate, model_uri, tell
from study.study_file.addresses import database_file
from study.terminal.hints import typed
from study.terminal.say import say
from study.views.tables import counts_line
from trainables.data import DataFacts
from trainables.errors import GanStudyError
from trainables.gan.config import TrialConfig
from trainables.generator import Generator, from_checkpoint


@dataclass(frozen=True)
class Promote:
    """What `ganstudy promote` was asked for; None as its help says."""

    name: str
    storage: Path | None
    trial: int | None
    model: str | None
    as_json: bool


def promote(options: Promote, console: Console) -> bool:
    """Register a trial's generator, and make it the champion; return whether there was a trial to take.

    Raises:
        InvalidInput: if the study has no such trial, or the registered model is not ganstudy's.
        GanStudyError: if the checkpoint is gone or damaged, or MLflow cannot be reached or does not know the study.
    """
    name = options.name
    folder = find_study(name, options.storage)
    study = load_study(folder)
    with open_ledger(folder) as ledger:
        if not ledger.live_owner():
            check_not_older(folder, ledger, study)
    chosen = winner(study) if options.trial is None else chosen_trial(study, options.trial)
    if chosen is None:
        say(console, f"no trial of {name} has reported yet; {counts_line(study)}")
        return False
    model, uri = registered_name(options.model or name), resolve_uri(study.config["mlflow"]["uri"], folder)
    sync = typed("sync", name, folder=folder)
    unknown = GanStudyError(f"study {name!r} is not in MLflow at {display_uri(uri)} yet: run `{sync}`")
    file = database_file(uri)
    if file is not None and not file.exists():
        raise unknown
    check_database_folder(uri)
    check_database(uri, f"`{sync}` makes it anew")
    generator, data = _generator(folder, study, chosen)
    facts = generator.facts
    tags = {"ganstudy.study": study.uid, "ganstudy.study_name": name, "ganstudy.trial": str(chosen.number)}
    origin = f"trial {chosen.number} of {name}"
    found = f"Generator of trial {chosen.number} of the study `{name}`."
    candidate = Candidate(facts, data, model, uri, origin, found, tags)
    with reaching(uri, "nothing was promoted; run the same command again when MLflow is up"):
        client, trial_uid = open_client(uri), f"{study.uid}/{chosen.number}"
        run = held_run(client, experiment_name(name), study.uid, trial_uid, study.uid)  # somebody may have deleted one
        if run is None:
            raise unknown
        version, new = register(client, generator, candidate, run)
    if not options.as_json:
        tell(candidate, version, new, console)
        return True
    console.print_json(
        data={
            "model": model,
            "version": int(version),
            "alias": ALIAS,
            "uri": model_uri(model),
            "registry": display_uri(uri),
            "new": new,
            "from": origin,
            "kimg": facts.kimg,
            "fid": facts.fid,
            "fid_fingerprint": facts.fid_fingerprint,
            "fid_images": facts.images_judged,
            "weights": facts.weights,
        }
    )
    return True


def _generator(folder: StudyFolder, study: StudyRecord, trial: TrialRecord) -> tuple[Generator, DataFacts]:
    """The generator of the trial's best FID, and what is known of the data."""
    if trial.kimg_best is None:
        raise GanStudyError(f"trial {trial.number} has not reported yet, so it has no generator; choose another")
    checkpoint = read_best_checkpoint(best_checkpoint(folder, trial, "choose another trial"), trial)
    config = TrialConfig.from_dict(trial.config, f"trial {trial.number}")
    data = known_data(study.versions)
    if data is None:
        with saying(BY_LAUNCH):
            data = DataPaths.of(study.config).applied(config)[0].load().facts
    return Generator(
        *from_checkpoint(checkpoint, config, data, study.fingerprint, threads_per_trial(study.config))
    ), data
