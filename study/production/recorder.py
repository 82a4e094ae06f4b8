"""A production training in MLflow: one run, tagged with the study and trial that its configuration came from.

The store may be away: nothing of the training waits for it or is lost, for each sending sends all that is missing.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from study.analysis.export import Origin
from study.folder import StudyFolder
from study.mlflow.database import ready_database
from study.mlflow.experiment import holding_experiment, made_experiment
from study.mlflow.images import PROBABILITIES, SAMPLES
from study.mlflow.runs import RUNNING, ProjectedRun, find_run
from study.mlflow.store import (
    display_uri,
    experiment_name,
    is_server,
    one_line,
    open_client,
    resolve_uri,
)
from study.mlflow.values import finite, flatten, milliseconds
from study.production.champion_registry import Entry
from study.production.champion_registry import register as register_generator
from study.production.champion_text import about, description, tell
from study.production.folder import ProductionFolder, TrainingMetrics
from study.study_file.addresses import database_file
from study.terminal.say import Say
from trainables.data import DataFacts
from trainables.errors import GanStudyError
from trainables.gan.config import TrialConfig
from trainables.generator import Generator

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "ganstudy-train"
"""The experiment of all production trainings; a study's own is made from its ledger alone."""

FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"


def checked_uri(uri: str) -> str:
    """Return the address as MLflow takes it.

    Raises:
        InvalidInput: if it is of an unsupported kind.
    """
    return resolve_uri(uri, StudyFolder(Path(), "train"))  # the folder matters only where there is no address


class Recorder:
    """Sends what was measured to MLflow, if there is an address; an error is told once and tried again at the end."""

    def __init__(
        self,
        uri: str | None,
        folder: ProductionFolder,
        config: TrialConfig,
        origin: Origin,
        say: Say,
    ) -> None:
        self._uri, self._folder, self._config, self._origin, self._say = uri, folder, config, origin, say
        self._away = False

    def report(self, measured: TrainingMetrics) -> None:
        """Send the reports that are not there yet."""
        if not self._away:
            self._try(measured, RUNNING)

    def end(self, measured: TrainingMetrics, diverged: bool = False) -> None:
        """Send all that is missing, the files too, and close the run: as finished, or as failed if it `diverged`."""
        if measured.reports:
            self._try(measured, FAILED if diverged else FINISHED, files=True)

    def stop(self, measured: TrainingMetrics | None, error: BaseException) -> None:
        """Close the run of a training that `error` ended early; the same command opens it again."""
        if measured is not None and measured.reports and not self._away:
            self._try(measured, KILLED if isinstance(error, KeyboardInterrupt) else FAILED)

    def _try(self, measured: TrainingMetrics, status: str, files: bool = False) -> None:
        if self._uri is None:
            return
        try:
            self._send(self._uri, measured, status, files)
        except Exception as error:  # of whatever MLflow is built on
            self._away = True
            again = "tried again at the end" if status == RUNNING else "the same command sends it"
            self._say(f"MLflow at {display_uri(self._uri)}: {one_line(error)}; {again}", True)

    def _send(self, uri: str, measured: TrainingMetrics, status: str, files: bool) -> None:
        client = _client(uri, self._folder)
        experiment = made_experiment(client, EXPERIMENT, measured.uid, _artifacts(uri, self._folder))
        found = find_run(client, experiment, measured.uid)
        run = ProjectedRun.found(found) if found else ProjectedRun(measured.uid)
        if run.sent_seq < 0:  # new, or made by a sending that then failed
            run.params = flatten(self._config.to_dict())
        run.tags = self._tags(client)
        run.name, run.started = self._folder.path.resolve().name, measured.reports[0]["written_at"]
        run.folders = {SAMPLES: self._folder.training / "samples", PROBABILITIES: self._folder.training / "histograms"}
        for report in measured.reports:
            kimg, at = int(report["kimg"]), report["written_at"]
            run.images |= {(key, kimg): at for key in run.folders}
            if run.is_news(kimg):
                values = {name: value for name, value in report.items() if name != "written_at"}
                run.metrics += [(name, value, milliseconds(at), kimg) for name, value in finite(values)]
        run.status, run.ended = status, measured.reports[-1]["written_at"]
        run.flush(client, experiment, {"mlflow.source.name": "ganstudy train", "ganstudy.kind": "train"})
        if files:
            for file in (
                self._folder.generator,
                self._folder.config,
                self._folder.metrics,
                self._folder.card,
                self._folder.grid,
            ):
                client.log_artifact(run.run_id, str(file))

    def _tags(self, client: "MlflowClient") -> dict[str, str]:
        """Where the configuration is from, with a link if that trial is in the same store."""
        origin = self._origin
        if origin.study is None:
            return {}
        tags = _origin_tags(origin)
        text = f"Production training of trial {origin.trial} of study {origin.study}."
        experiment = None
        if origin.study_uid:
            experiment = holding_experiment(client, experiment_name(origin.study), origin.study_uid)
        uid = f"{origin.study_uid}/{origin.trial}"
        run = find_run(client, experiment.experiment_id, uid) if experiment else None
        if run:
            tags["ganstudy.trial_run"] = run.info.run_id
            link = f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
            text = f"Production training of [trial {origin.trial} of study {origin.study}]({link})."
        return tags | {"mlflow.note.content": text}


def register(uri: str, model: str, folder: ProductionFolder, data: DataFacts, origin: Origin, console: Console) -> None:
    """Register the training's generator as `model` and make it the champion: it is what a study is done for.

    Raises:
        InvalidInput: if there is a registered model of that name that is not ganstudy's.
        GanStudyError: if MLflow cannot be reached.
    """
    generator, measured = Generator.read(folder.generator), folder.read_measured()
    name = folder.path.resolve().name
    found, tags = f"Generator of the production training `{name}`.", {"ganstudy.training": name}
    if origin.study is not None:
        found = f"{found[:-1]}, whose configuration is that of trial {origin.trial} of the study `{origin.study}`."
        tags |= _origin_tags(origin)
    try:
        client = _client(uri, folder)
        experiment = holding_experiment(client, EXPERIMENT, measured.uid) if measured else None
        run = find_run(client, experiment.experiment_id, measured.uid) if experiment and measured else None
        if run is None:
            raise GanStudyError(f"MLflow at {display_uri(uri)} has not this training; give the same command again")
        text = description(generator.facts, data, found, model, uri)
        params = flatten(generator.facts.trial.to_dict())
        entry = Entry(model, about(model), run.info.experiment_id, run.info.run_id, tags, text, params)
        registered = register_generator(client, generator, entry)
    except GanStudyError:
        raise
    except Exception as error:  # of whatever MLflow is built on
        raise GanStudyError(
            f"the generator is trained, but not registered: MLflow at {display_uri(uri)}: {one_line(error)}; the same "
            "command registers it"
        ) from error
    tell(registered, generator.facts, uri, f"training {name}", console)


def _origin_tags(origin: Origin) -> dict[str, str]:
    return {
        "ganstudy.study_name": origin.study or "",
        "ganstudy.study": origin.study_uid or "",
        "ganstudy.trial": str(origin.trial),
    }


def _client(uri: str, folder: ProductionFolder) -> "MlflowClient":
    ready_database(uri, _artifacts(uri, folder) or "", ours=False)
    return open_client(uri)


def _artifacts(uri: str, folder: ProductionFolder) -> str | None:
    """Where a new experiment keeps its artifacts: beside the database; None where the server decides."""
    beside = (database_file(uri) or folder.metrics).absolute().parent / "mlartifacts"
    return None if is_server(uri) else beside.as_uri()
