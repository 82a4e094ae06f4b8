"""`ganstudy promote`: the best trial's generator as a model in MLflow's registry, under the alias `champion`."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from study.analysis.confirmation import confirmed
from study.analysis.export import winner
from study.analysis.ranking import chosen_trial
from study.ledger.catalogue import find_study, load_study, open_ledger
from study.mlflow.database import check_database, check_database_folder
from study.mlflow.store import display_uri, experiment_name, open_client, resolve_uri
from study.older.check import check_not_older
from study.production import onnx_file
from study.production.champion_registry import held_run, reaching, register, registered_name
from study.production.champion_rules import check_better
from study.production.champion_text import ALIAS, Candidate, model_uri, tell
from study.production.found import trial_generator
from study.study_file.addresses import database_file
from study.terminal.hints import typed
from study.terminal.say import say
from study.views.tables import counts_line, number
from trainables.errors import GanStudyError, InvalidInput
from trainables.files import is_standard_output, write_named


@dataclass(frozen=True)
class Promote:
    """What `ganstudy promote` was asked for; None as its help says."""

    name: str
    storage: Path | None
    trial: int | None
    model: str | None
    onnx: Path | None
    force: bool
    as_json: bool


def promote(options: Promote, console: Console) -> bool:
    """Register a trial's generator, and make it the champion; return whether there was a trial to take.

    Raises:
        InvalidInput: if the study has no such trial, its FID is worse than the champion's or noise's, the registered
            model is not ganstudy's, or the ONNX file cannot be written.
        GanStudyError: if the checkpoint is gone or damaged, or MLflow cannot be reached or does not know the study.
    """
    if options.onnx is not None:
        onnx_file.check(options.onnx, "--onnx")
        if options.as_json and is_standard_output(options.onnx):
            raise InvalidInput("--onnx - and --json both write to standard output; name a file")
        console = onnx_file.beside(options.onnx, console)
    name = options.name
    folder = find_study(name, options.storage)
    study = load_study(folder)
    with open_ledger(folder) as ledger:
        if not ledger.live_owner():
            check_not_older(folder, ledger, study)
    best = winner(study)
    chosen = best if options.trial is None else chosen_trial(study, options.trial)
    if best is None or chosen is None:
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
    generator, data = trial_generator(folder, study, chosen)
    facts, sure = generator.facts, confirmed(study)
    candidate = Candidate(
        facts,
        data,
        model,
        uri,
        origin=f"trial {chosen.number} of {name}",
        found=f"Generator of trial {chosen.number} of the study `{name}`.",
        tags={"ganstudy.study": study.uid, "ganstudy.study_name": name, "ganstudy.trial": str(chosen.number)},
        ceiling=study.fid_ceiling,
        confirmed=sure is not None and sure.trial.number == chosen.number,
    )
    with reaching(uri, "nothing was promoted; run the same command again when MLflow is up"):
        client, trial_uid = open_client(uri), f"{study.uid}/{chosen.number}"
        run = held_run(client, experiment_name(name), study.uid, trial_uid, study.uid)  # somebody may have deleted one
        if run is None:
            raise unknown
        notes = check_better(client, candidate, options.force)
        made = onnx_file.converted(generator) if options.onnx else None
        version, new = register(client, generator, candidate, run)
    if chosen.number != best.number:
        notes.append(f"the study's best is trial {best.number}, FID {number(best.fid_best)} at {best.kimg_best} kimg")
    if options.onnx and made:
        write_named(options.onnx, made.content)
    if not options.as_json:
        tell(candidate, version, new, notes, console)
        if options.onnx and made:
            onnx_file.tell(facts, options.onnx, made, candidate.origin, console)
        return True
    console.print_json(
        data={
            "model": model,
            "version": int(version),
            "alias": ALIAS,
            "uri": model_uri(model),
            "registry": display_uri(uri),
            "new": new,
            "from": candidate.origin,
            "kimg": facts.kimg,
            "fid": facts.fid,
            "fid_fingerprint": facts.fid_fingerprint,
            "fid_images": facts.images_judged,
            "weights": facts.weights,
            "notes": notes,
            **({"onnx": str(options.onnx), "onnx_difference": made.difference} if made else {}),
        }
    )
    return True
