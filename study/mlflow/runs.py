"""One MLflow run as the projection sees it: what MLflow already holds, and what is still to be sent."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from study.mlflow.images import HAS_IMAGES, Picture, log_images, logged_pictures, picture_file, ready_images
from study.mlflow.values import MAX_TAG, METRICS_PER_CALL, PARAMS_PER_CALL, cut, milliseconds

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

UID = "ganstudy.uid"
SEQ = "ganstudy.seq"
PARENT = "mlflow.parentRunId"
RUNNING = "RUNNING"

NOTE = "mlflow.note.content"
"""The tag that MLflow's pages show as a run's description, in Markdown."""

NOTE_SEQ = "ganstudy.note"
"""Tag of a study's run: the last row that its description knows of."""

DIGESTS = "ganstudy.files"
"""Tag of a study's run: the digest of each of its files, so that only changed files are sent again."""

_LINKED = re.compile(r"/runs/([0-9a-f]{32})")


def find_run(client: "MlflowClient", experiment_id: str, uid: str) -> "Run | None":
    """Return a run by its uid; None if it is not there, or was deleted."""
    return next(iter(client.search_runs([experiment_id], f"tags.`{UID}` = '{uid}'", max_results=1)), None)


@dataclass
class Counts:
    """How much was sent to MLflow."""

    runs: int = 0
    points: int = 0
    images: int = 0


@dataclass
class ProjectedRun:
    """A run, known by its `uid`. `sent_seq` is the watermark: rows up to it are in MLflow."""

    uid: str
    kind: str = "trial"
    run_id: str = ""  # empty: not in MLflow yet
    parent_id: str = ""
    sent_seq: int = -1
    sent_status: str | None = None
    deleted: bool = False
    look_first: bool = False  # before it is made: whether another process has made it since the search
    has_images: bool = False
    logged_images: set[Picture] | None = field(default_factory=set)  # None: not yet asked

    # Of a study's run only:
    has_data: bool = False
    note: str = ""
    note_seq: int = 0
    digests: dict[str, str] = field(default_factory=dict)  # of its files, by name

    name: str = ""
    started: float = 0.0
    folders: dict[str, Path] = field(default_factory=dict)  # of each series of images
    status: str | None = None  # None: as MLflow has it
    ended: float | None = None
    images: dict[Picture, float] = field(default_factory=dict)  # their times, of those not logged
    seq: int = -1
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)  # key, value, ms, step
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def found(cls, run: "Run") -> "ProjectedRun":
        """Return the run that MLflow's search found."""
        tags = run.data.tags
        seq, note_seq = tags.get(SEQ, ""), tags.get(NOTE_SEQ, "")
        return cls(
            uid=tags[UID],
            run_id=run.info.run_id,
            parent_id=tags.get(PARENT, ""),
            sent_seq=int(seq) if seq.isdecimal() else -1,
            sent_status=run.info.status,
            deleted=run.info.lifecycle_stage == "deleted",
            has_images=HAS_IMAGES in tags,
            logged_images=None,
            has_data=bool(run.inputs and run.inputs.dataset_inputs),
            note=tags.get(NOTE, ""),
            note_seq=int(note_seq) if note_seq.isdecimal() else 0,
            digests=json.loads(tags.get(DIGESTS, "{}")),
        )

    def forget_broken_note(self, run_ids: Collection[str]) -> None:
        """Let the description be made again if it links to any run but these."""
        if not {*_LINKED.findall(self.note)} <= {*run_ids}:
            self.note, self.note_seq = "", 0

    def is_news(self, seq: int) -> bool:
        """Tell whether the row `seq` is not in MLflow yet; if so, the run must be flushed."""
        if seq <= self.sent_seq:
            return False
        self.seq = seq
        return True

    def flush(
        self, client: "MlflowClient", experiment_id: str, birth_tags: dict[str, str], counts: Counts | None = None
    ) -> None:
        """Send all that is pending, and add it to `counts`. After an error search again and replay the rows."""
        counts = counts or Counts()
        if self.deleted and not self._has_news:
            return  # deleted by someone who wanted that
        self.exist(client, experiment_id, birth_tags, counts)
        images = self._ready_images(client)
        for path, text in self.texts.items():
            client.log_text(self.run_id, text, path)
        self.texts.clear()
        counts.points += self._send_values(client, bool(images))
        if self.status is not None and self.status != self.sent_status:
            if self.status == RUNNING:
                client.update_run(self.run_id, status=RUNNING)
            else:
                ended = None if self.ended is None else milliseconds(self.ended)
                client.set_terminated(self.run_id, self.status, ended)
            self.sent_status = self.status
        if images:
            timed = {picture: (png, milliseconds(self.images[picture])) for picture, png in images.items()}
            log_images(client, self.run_id, self.uid, timed)
            assert self.logged_images is not None
            self.logged_images.update(images)
            for picture in images:
                del self.images[picture]
            counts.images += len(images)

    def exist(self, client: "MlflowClient", experiment_id: str, birth_tags: dict[str, str], counts: Counts) -> bool:
        """Make the run, and tell whether it is new; restore one that was deleted if there is news for it."""
        if self.run_id:
            if self.deleted and self._has_news:
                client.restore_run(self.run_id)
                self.deleted = False
            return False
        if self.look_first and (run := find_run(client, experiment_id, self.uid)):
            # Another process has made it: what it holds already is sent again, which changes nothing.
            self.run_id, self.sent_status = run.info.run_id, run.info.status
            self.has_images, self.logged_images = HAS_IMAGES in run.data.tags, None
            return False
        tags = {UID: self.uid, **birth_tags}
        run = client.create_run(experiment_id, milliseconds(self.started), tags, run_name=self.name)
        self.run_id, self.sent_status = run.info.run_id, run.info.status
        counts.runs += 1
        return True

    @property
    def _has_news(self) -> bool:
        return self.seq > self.sent_seq or bool(self.tags)

    def _ready_images(self, client: "MlflowClient") -> dict[Picture, bytes]:
        if not any(picture_file(self.folders[key], step).exists() for key, step in self.images):
            return {}
        if self.logged_images is None:
            self.logged_images = logged_pictures(client, self.run_id)
        for picture in self.logged_images & self.images.keys():
            del self.images[picture]
        return ready_images(self.folders, self.images)

    def _send_values(self, client: "MlflowClient", images: bool) -> int:
        from mlflow.entities import Metric, Param, RunTag

        if images and not self.has_images:
            self.tags[HAS_IMAGES] = "True"
        if not self._has_news:
            return 0
        metrics = [Metric(name, value, at, step) for name, value, at, step in self.metrics]
        params = [Param(name, value) for name, value in self.params.items()]
        tags = [RunTag(name, cut(value, MAX_TAG)) for name, value in self.tags.items()]
        if self.seq > self.sent_seq:  # in the last call, so that the watermark never runs ahead of the values
            tags.append(RunTag(SEQ, str(self.seq)))
        while len(metrics) > METRICS_PER_CALL or len(params) > PARAMS_PER_CALL:
            first, metrics = metrics[:METRICS_PER_CALL], metrics[METRICS_PER_CALL:]
            some, params = params[:PARAMS_PER_CALL], params[PARAMS_PER_CALL:]
            client.log_batch(self.run_id, first, some, (), synchronous=True)
        client.log_batch(self.run_id, metrics, params, tags, synchronous=True)
        points = len(self.metrics)
        self.has_images = self.has_images or images
        self.sent_seq = max(self.sent_seq, self.seq)
        self.metrics, self.params, self.tags = [], {}, {}
        return points
