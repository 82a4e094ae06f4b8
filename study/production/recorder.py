"""A production training in MLflow: one run, tagged with the study and trial that its configuration came from.

The store may be away: nothing of the training waits for it or is lost, for each sending sends all that is missing.
"""

from typing import TYPE_CHECKING

from rich.console import Console

from study.analysis.export import Origin
from study.mlflow.database import ready_database
from study.mlflow.experiment import made_experiment
from study.mlflow.images import PROBABILITIES, SAMPLES
from study.mlflow.runs import RUNNING, ProjectedRun, find_run
from study.mlflow.store import display_uri, experiment_name, is_server, one_line, open_client
from study.mlflow.tags import KIND, NOTE
from study.mlflow.values import finite, flatten, milliseconds
from study.production.champion_registry import held_run, reaching
from study.production.champion_registry import register as register_generator
from study.production.champion_text import Candidate, tell
from study.production.folder import ProductionFolder, TrainingMetrics
from study.production.plan import TrainingPlan
from study.study_file.addresses import database_file
from study.terminal.say import Say
from trainables.data import DataFacts
from trainables.errors import GanStudyError
from trainables.generator import Generator

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "ganstudy-train"
"""The experiment of all production trainings; a study's own is made from its ledger alone."""

FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"


class TrainingRun:
    """Sends what was measured to MLflow, if the plan has an address.

    An error is told once, and sending is tried again at the end.
    """

    def __init__(self, plan: TrainingPlan, say: Say) -> None:
        self._plan, self._say = plan, say
        self._away = False

    def report(self, measured: TrainingMetrics) -> None:
        """Send the reports that are not there yet."""
        if not self._away:
            self._try(measured, RUNNING)

    def end(self, measured: TrainingMetrics, diverged: bool = False) -> None:
        """Send all that is missing, the files too, and close the run: as finished, or as failed if it `diverged`."""
        self._try(measured, FAILED if diverged else FINISHED, files=True)

    def stop(self, measured: TrainingMetrics | None, error: BaseException) -> None:
        """Close the run of a training that `error` ended early; the same command opens it again."""
        if measured is not None and not self._away:
            self._try(measured, KILLED if isinstance(error, KeyboardInterrupt) else FAILED)

    def _try(self, measured: TrainingMetrics, status: str, files: bool = False) -> None:
        uri = self._plan.mlflow
        if uri is None or not measured.reports:
            return
        try:
            self._send(uri, measured, status, files)
        except Exception as error:  # of whatever MLflow is built on
            self._away = True
            again = "tried again at the end" if status == RUNNING else "the same command sends it"
            self._say(f"MLflow at {display_uri(uri)}: {one_line(error)}; {again}", True)

    def _send(self, uri: str, measured: TrainingMetrics, status: str, files: bool) -> None:
        folder = self._plan.folder
        client = _client(uri, folder)
        experiment = made_experiment(client, EXPERIMENT, measured.uid, _artifacts(uri, folder))
        found = find_run(client, experiment, measured.uid)
        run = ProjectedRun.found(found) if found else ProjectedRun(measured.uid)
        if run.sent_seq < 0:  # new, or made by a sending that then failed
            run.params = flatten(self._plan.config.to_dict())
        run.tags = _tags(client, self._plan.origin)
        run.name, run.started = folder.path.resolve().name, measured.reports[0]["written_at"]
        run.folders = {SAMPLES: folder.training / "samples", PROBABILITIES: folder.training / "histograms"}
        for report in measured.reports:
            kimg, at = int(report["kimg"]), report["written_at"]
            run.images |= {(key, kimg): at for key in run.folders}
            if run.is_news(kimg):
                values = {name: value for name, value in report.items() if name != "written_at"}
                run.metrics += [(name, value, milliseconds(at), kimg) for name, value in finite(values)]
        run.status, run.ended = status, measured.reports[-1]["written_at"]
        run.flush(client, experiment, {"mlflow.source.name": "ganstudy train", KIND: "train"})
        if files:
            for file in (folder.generator, folder.config, folder.metrics, folder.card, folder.grid):
                client.log_artifact(run.run_id, str(file))


def register(plan: TrainingPlan, data: DataFacts, console: Console) -> None:
    """Register the training's generator as `plan.model` in `plan.mlflow` and make it the champion.

    Raises:
        InvalidInput: if there is a registered model of that name that is not ganstudy's.
        GanStudyError: if MLflow cannot be reached.
    """
    folder, origin, uri, model = plan.folder, plan.origin, plan.mlflow, plan.model
    generator, measured = Generator.read(folder.generator), folder.read_measured()
    assert uri is not None
    assert model is not None
    assert measured is not None
    name = folder.path.resolve().name
    whose = (
        f", whose configuration is that of trial {origin.trial} of the study `{origin.study}`" if origin.study else ""
    )
    found = f"Generator of the production training `{name}`{whose}."
    tags = {"ganstudy.training": name} | _origin_tags(origin)
    candidate = Candidate(generator.facts, data, model, uri, f"training {name}", found, tags)
    with reaching(uri, "the generator is trained, but not registered: the same command registers it"):
        client = _client(uri, folder)
        run = held_run(client, EXPERIMENT, measured.uid, measured.uid)
        if run is None:
            raise GanStudyError(f"MLflow at {display_uri(uri)} does not have this training; run the same command again")
        version, new = register_generator(client, generator, candidate, run)
    tell(candidate, version, new, console)


def _tags(client: "MlflowClient", origin: Origin) -> dict[str, str]:
    """Where the configuration is from, with a link if that trial is in the same store."""
    if origin.study is None:
        return {}
    tags, trial = _origin_tags(origin), f"trial {origin.trial} of study {origin.study}"
    uid = origin.study_uid
    if uid and (run := held_run(client, experiment_name(origin.study), uid, f"{uid}/{origin.trial}")):
        tags["ganstudy.trial_run"] = run.info.run_id
        trial = f"[{trial}](#/experiments/{run.info.experiment_id}/runs/{run.info.run_id})"
    return tags | {NOTE: f"Production training of {trial}."}


def _origin_tags(origin: Origin) -> dict[str, str]:
    if origin.study is None:
        return {}
    return {
        "ganstudy.study_name": origin.study,
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
