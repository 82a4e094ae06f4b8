"""What a study's own run shows beside the values of its rows: description, table of trials, data set, best trial.

All of it is a function of the rows up to some row, whose number stands in a tag: so it is the same in whatever pieces
the rows came, is made again only for news, and is made anew from the ledger wherever it is missing.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from study.ledger.events import StudyOpened
from study.ledger.records import Fold, StudyRecord
from study.ledger.rows import Row
from study.mlflow.data import data_input
from study.mlflow.note import Links, best_trial, study_note
from study.mlflow.run_tables import TABLE, table_files, table_tag
from study.mlflow.runs import NOTE, NOTE_SEQ, RUNNING, TABLE_LIVE, TABLE_SEQ, ProjectedRun

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FinalStatus = Literal["finished", "interrupted", "failed"]
STATUS: dict[FinalStatus, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
"""MLflow's status of a study by how its launch ended."""

FILES = {"report.html": "the report", TABLE: "the table of trials", "best.yaml": "the best configuration"}
"""Files of the study's run that the description links to, and what it calls them."""

_STANDS = {RUNNING: "running", **{theirs: ours for ours, theirs in STATUS.items()}}
_GROWTH = 1.25  # a table is made when this many times more trials have ended: few tables for many trials


class StudyPage:
    """Brings the study's run up to what the rows tell, where some of them are news for it."""

    def __init__(self) -> None:
        self._fold = Fold()  # as far as the run tells of it, which is not always the last row
        self._rows: deque[Row] = deque()  # those after it
        self._told = 0  # the last row that is news for the description
        self._tabled = 0  # the last row that is due to be in the table
        self._next_table = 1  # trials ended

    def take(self, row: Row) -> None:
        """Take the next row."""
        self._rows.append(row)

    def tell(self, seq: int) -> None:
        """Say that a row is news for the description."""
        self._told = seq

    def count_ended(self, trials: int, seq: int) -> None:
        """Say how many trials have ended by a row."""
        if trials >= self._next_table:
            self._tabled = seq
            self._next_table = max(trials + 1, int(trials * _GROWTH))

    def write(
        self,
        client: "MlflowClient",
        links: Links,
        parent: ProjectedRun,
        run_of: Callable[[int], str],
        opened: StudyOpened,
        final: FinalStatus | None,
    ) -> None:
        """Log what is missing, and put tags that are to be sent into `parent`, whose run exists.

        Args:
            client: MLflow's client.
            links: to the pages of the study's runs.
            parent: the study's run.
            run_of: gives MLflow's id of a trial's run, "" if it has none.
            opened: the first row.
            final: how the study ended; None while it runs.
        """
        if not parent.has_data:
            client.log_inputs(parent.run_id, datasets=[data_input(opened)])
            parent.has_data = True
        stands = final or _STANDS.get(parent.status or parent.sent_status or RUNNING, "running")
        last = self._rows[-1].seq if self._rows else self._fold.position
        self._write_table(client, parent, last if final else self._tabled, stands == "running", final)
        self._write_note(links, parent, run_of, last if final else self._told, stands, final)

    def _study(self, seq: int, live: bool) -> StudyRecord:
        """As the rows up to `seq` tell it."""
        while self._rows and self._rows[0].seq <= seq:
            self._fold.take(self._rows.popleft())
        return self._fold.record(live)

    def _write_table(
        self, client: "MlflowClient", parent: ProjectedRun, seq: int, live: bool, final: FinalStatus | None
    ) -> None:
        outdated = final is not None and parent.table_live  # it says "running" of what was interrupted
        if seq <= parent.marks.get(TABLE_SEQ, 0) and not outdated:
            return
        with TemporaryDirectory(prefix="ganstudy-") as folder:
            for name, content in table_files(self._study(seq, live)).items():
                (Path(folder) / name).write_bytes(content)
            client.log_artifacts(parent.run_id, folder)
        parent.marks[TABLE_SEQ], parent.table_live = seq, live
        parent.tags |= {**table_tag(), TABLE_SEQ: str(seq), TABLE_LIVE: str(live).lower()}

    def _write_note(
        self,
        links: Links,
        parent: ProjectedRun,
        run_of: Callable[[int], str],
        seq: int,
        stands: str,
        final: FinalStatus | None,
    ) -> None:
        if final is None and seq <= parent.marks.get(NOTE_SEQ, 0):
            return
        study = self._study(seq, stands == "running")
        best = best_trial(study)
        best_run = run_of(best[0]) if best else ""
        known = {*parent.digests, *([TABLE] if TABLE_SEQ in parent.marks else [])}
        files = {name: text for name, text in FILES.items() if name in known}
        note = study_note(study, stands, links, best_run, files)
        if note == parent.note and seq <= parent.marks.get(NOTE_SEQ, 0):
            return
        parent.note, parent.marks[NOTE_SEQ] = note, seq
        number, fid = (str(best[0]), f"{best[1]:.6g}") if best else ("", "")
        parent.tags |= {NOTE: note, NOTE_SEQ: str(seq), "ganstudy.best_trial": number, "ganstudy.best_fid": fid}
