"""What a study's own run shows beside the values of its rows: description, data set, best trial.

All of it is a function of the rows when it was made; which row was its last news stands in a tag. So it is made again
only for news, is in the end the same in whatever pieces the rows came, and is made anew wherever it is missing.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from study.ledger.events import StudyOpened
from study.ledger.records import Fold
from study.mlflow.data import data_input
from study.mlflow.note import best_trial, study_note
from study.mlflow.runs import NOTE, NOTE_SEQ, RUNNING, ProjectedRun
from study.mlflow.view import leaderboard_path, run_path

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FinalStatus = Literal["finished", "interrupted", "failed"]
STATUS: dict[FinalStatus, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
"""MLflow's status of a study by how its launch ended."""

FILES = {"report.html": "the report", "trials.csv": "the table of trials", "best.yaml": "the best configuration"}
"""Files of the study's run that the description links to, and what it calls them."""

_STANDS = {RUNNING: "running", **{theirs: ours for ours, theirs in STATUS.items()}}


class StudyPage:
    """Brings the study's run up to what the rows tell, where some of them are news for it."""

    def __init__(self) -> None:
        self._told = 0  # rows, of which the last is news for the description

    def tell(self, seq: int) -> None:
        """Say that a row is news for the description."""
        self._told = seq

    def write(
        self,
        client: "MlflowClient",
        experiment_id: str,
        view_saved: bool,
        parent: ProjectedRun,
        run_of: Callable[[int], str],
        fold: Fold,
        opened: StudyOpened,
        final: FinalStatus | None,
    ) -> None:
        """Log what is missing, and put tags that are to be sent into `parent`, whose run exists.

        Args:
            client: MLflow's client.
            experiment_id: MLflow's id of the experiment.
            view_saved: whether the experiment has the leaderboard as a view.
            parent: the study's run.
            run_of: gives MLflow's id of a trial's run, "" if it has none.
            fold: of all rows so far.
            opened: the first of them.
            final: how the study ended; None while it runs.
        """
        if not parent.has_data:
            client.log_inputs(parent.run_id, datasets=[data_input(opened)])
            parent.has_data = True
        stands = final or _STANDS.get(parent.status or parent.sent_status or RUNNING, "running")
        seq = fold.position if final else self._told
        if final is None and seq <= parent.note_seq:
            return
        study = fold.record(live=stands == "running")
        best = best_trial(study)
        best_run = run_of(best[0]) if best else ""
        links = {"the leaderboard": leaderboard_path(experiment_id, study.uid, view_saved)}
        for name, text in FILES.items():
            if name in parent.digests:
                links[text] = run_path(experiment_id, f"{parent.run_id}/artifacts/{name}")
        note = study_note(study, stands, run_path(experiment_id, best_run) if best_run else "", links)
        if note == parent.note and seq <= parent.note_seq:
            return
        parent.note, parent.note_seq = note, seq
        number, fid = (str(best[0]), f"{best[1]:.6g}") if best else ("", "")
        parent.tags |= {NOTE: note, NOTE_SEQ: str(seq), "ganstudy.best_trial": number, "ganstudy.best_fid": fid}
