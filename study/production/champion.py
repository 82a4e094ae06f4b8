"""`ganstudy promote`: the best trial's generator as a model in MLflow's registry, under the alias `champion`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from study.analysis.best_checkpoint import best_checkpoint, read_best_checkpoint
from study.analysis.export import threads_per_trial, winner
from study.catalogue import find_study, load_study, open_ledger
from study.console.hints import typed
from study.console.reading import chosen_trial
from study.console.say import say
from study.console.tables import counts_line
from study.folder import StudyFolder
from study.ledger.records import StudyRecord, TrialRecord
from study.mlflow.data import known_data
from study.mlflow.database import check_database, check_database_folder, database_file
from study.mlflow.experiment import holding_experiment
from study.mlflow.runs import find_run
from study.mlflow.store import display_uri, experiment_name, one_line, open_client, resolve_uri
from study.mlflow.values import flatten
from study.older.check import check_not_older
from study.places import BY_LAUNCH, Places, saying
from study.production.champion_registry import Entry, register, registered_name
from study.production.champion_text import ALIAS, Registered, about, description, model_uri, tell
from trainables.data import DataFacts
from trainables.errors import GanStudyError
from trainables.gan.config import TrialConfig
from trainables.generator import Generator, GeneratorFacts, from_checkpoint

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


def promote(
    name: str, storage: Path | None, trial: int | None, model: str | None, as_json: bool, console: Console
) -> bool:
    """Register a trial's generator as `model`, and make it the champion; return whether there was a trial to take.

    Args:
        name: the study's.
        storage: the folder of studies; None for the default.
        trial: its number; None for the confirmed winner, or the best.
        model: the registered model's name; None for the study's.
        as_json: print for scripts.
        console: where to.

    Raises:
        InvalidInput: if the study has no such trial, or the registered model is not ganstudy's.
        GanStudyError: if the checkpoint is gone or damaged, or MLflow cannot be reached or does not know the study.
    """
    folder = find_study(name, storage)
    study = load_study(folder)
    with open_ledger(folder) as ledger:
        if not ledger.live_owner():
            check_not_older(folder, ledger, study)
    chosen = winner(study) if trial is None else chosen_trial(study, trial)
    if chosen is None:
        say(console, f"no trial of {name} has reported yet; {counts_line(study)}")
        return False
    called = registered_name(model or name)
    uri = _store(folder, study)
    generator, data = _generator(folder, study, chosen)
    found = f"Generator of trial {chosen.number} of the study `{name}`."
    tags = {"ganstudy.study": study.uid, "ganstudy.study_name": name, "ganstudy.trial": str(chosen.number)}
    text = description(generator.facts, data, found, called, uri)
    try:
        client = open_client(uri)
        experiment_id, run_id = _run(client, folder, study, chosen)
        params = flatten(chosen.config)
        registered = register(
            client, generator, Entry(called, about(called), experiment_id, run_id, tags, text, params)
        )
    except GanStudyError:
        raise
    except Exception as error:  # of whatever MLflow is built on
        raise GanStudyError(
            f"MLflow at {display_uri(uri)}: {one_line(error)}; nothing was promoted, try the same again when it is up"
        ) from error
    _print(registered, generator.facts, uri, f"trial {chosen.number} of {name}", as_json, console)
    return True


def _store(folder: StudyFolder, study: StudyRecord) -> str:
    uri = resolve_uri(study.config["mlflow"]["uri"], folder)
    file = database_file(uri)
    if file is not None and not file.exists():
        raise _unknown(folder, uri)
    check_database_folder(uri)
    check_database(uri, f"`{typed('sync', folder.name, folder=folder)}` makes it anew")
    return uri


def _unknown(folder: StudyFolder, uri: str) -> GanStudyError:
    sync = typed("sync", folder.name, folder=folder)
    return GanStudyError(f"study {folder.name!r} is not in MLflow at {display_uri(uri)} yet: run `{sync}`")


def _generator(folder: StudyFolder, study: StudyRecord, trial: TrialRecord) -> tuple[Generator, DataFacts]:
    """The judged generator of the trial's best FID, and what is known of the data."""
    if trial.kimg_best is None or trial.fid_best is None:
        raise GanStudyError(f"trial {trial.number} has not reported: it has no generator yet; choose another")
    checkpoint = read_best_checkpoint(best_checkpoint(folder, trial, "choose another trial"), trial)
    config = TrialConfig.from_dict(trial.config, f"trial {trial.number}")
    data = known_data(study.versions)
    if data is None:
        with saying(BY_LAUNCH):
            data = Places.of(study.config).found(config)[0].load().facts
    return Generator(
        *from_checkpoint(checkpoint, config, data, study.fingerprint, threads_per_trial(study.config))
    ), data


def _run(client: "MlflowClient", folder: StudyFolder, study: StudyRecord, trial: TrialRecord) -> tuple[str, str]:
    """MLflow's ids of the experiment and of the trial's run, or of the study's where somebody deleted that."""
    experiment = holding_experiment(client, experiment_name(folder.name), study.uid)
    for uid in (f"{study.uid}/{trial.number}", study.uid):
        if experiment is None:
            break
        if run := find_run(client, experiment.experiment_id, uid):
            return experiment.experiment_id, run.info.run_id
    raise _unknown(folder, resolve_uri(study.config["mlflow"]["uri"], folder))


def _print(
    registered: Registered, facts: GeneratorFacts, uri: str, origin: str, as_json: bool, console: Console
) -> None:
    if as_json:
        plain: dict[str, Any] = {
            "model": registered.name,
            "version": int(registered.version),
            "alias": ALIAS,
            "uri": model_uri(registered.name),
            "registry": display_uri(uri),
            "new": registered.new,
            "from": origin,
            "kimg": facts.kimg,
            "fid": facts.fid,
            "fid_fingerprint": facts.fid_fingerprint,
            "fid_images": facts.images_judged,
            "weights": facts.weights,
        }
        console.print_json(data=plain)
        return
    tell(registered, facts, uri, origin, console)
