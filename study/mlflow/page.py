"""What a study's own run shows besides the values of its rows: description, best trial.

All of it is a function of the rows up to some row, whose number is in a tag: it is the same however the rows were
split, changes only with news, and is made from the ledger wherever it is missing.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

from study.ledger.records import Fold, StudyRecord
from study.ledger.rows import Row
from study.mlflow.note import best_trial, study_note
from study.mlflow.runs import RUNNING, ProjectedRun
from study.mlflow.tags import NOTE, NOTE_SEQ
from study.mlflow.view import leaderboard_path, run_path

FinalStatus = Literal["finished", "interrupted", "failed"]
STATUS: dict[FinalStatus, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
"""MLflow's status of a study by how its launch ended."""

FILES = {"report.html": "the report", "trials.csv": "the table of trials", "best.yaml": "the best configuration"}
"""The link text of each file of the study's run."""

_STANDS = {RUNNING: "running", **{theirs: ours for ours, theirs in STATUS.items()}}


class StudyPage:
    """Brings the study's run up to what the rows tell, where some of them are news for it."""

    def __init__(self) -> None:
        self._fold = Fold()  # as far as the run tells of it, which is not always the last row
        self._rows: deque[Row] = deque()  # those after it
        self._told = 0  # the last row that is news for the description

    def take(self, row: Row) -> None:
        """Take the next row."""
        self._rows.append(row)

    def tell(self, seq: int) -> None:
        """Say that a row is news for the description."""
        self._told = seq

    def write(
        self,
        experiment_id: str,
        view_saved: bool,
        parent: ProjectedRun,
        run_of: Callable[[int], ProjectedRun],
        final: FinalStatus | None,
    ) -> None:
        """Give `parent`, whose run exists, the tags to send.

        Args:
            experiment_id: MLflow's id of the experiment.
            view_saved: whether the experiment has the leaderboard as a view.
            parent: the study's run.
            run_of: gives the run of a trial.
            final: how the study ended; None while it runs.
        """
        stands = final or _STANDS.get(parent.status or parent.sent_status or RUNNING, "running")
        last = self._rows[-1].seq if self._rows else self._fold.position
        seq = last if final else self._told
        if final is None and seq <= parent.note_seq:
            return
        study = self._study(seq, stands == "running")
        best = best_trial(study)
        best_run = run_of(best[0]) if best else None
        if best_run is not None and best_run.deleted:
            best_run = None
        best_address = run_path(experiment_id, best_run.run_id) if best_run else ""
        links = {
            "the leaderboard": leaderboard_path(experiment_id, study.uid, view_saved),
            "samples and charts of all trials": leaderboard_path(experiment_id, study.uid, view_saved, charts=True),
        }
        for name, text in FILES.items():
            if name in parent.digests:
                links[text] = run_path(experiment_id, f"{parent.run_id}/artifacts/{name}")
        note = study_note(study, stands, best_address, best_run.picture if best_run else "", links)
        if note == parent.note and seq <= parent.note_seq:
            return
        parent.note, parent.note_seq = note, seq
        number, fid = (str(best[0]), f"{best[1]:.6g}") if best else ("", "")
        parent.tags |= {NOTE: note, NOTE_SEQ: str(seq), "ganstudy.best_trial": number, "ganstudy.best_fid": fid}

    def _study(self, seq: int, live: bool) -> StudyRecord:
        """As the rows up to `seq` tell it."""
        while self._rows and self._rows[0].seq <= seq:
            self._fold.take(self._rows.popleft())
        return self._fold.record(live)
