"""One MLflow run as the projection sees it: what MLflow already holds, and what is still to be sent."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from study.mlflow.images import (
    HAS_IMAGES,
    NEWEST,
    SAMPLES,
    Picture,
    address,
    captioned,
    log_images,
    logged_pictures,
    picture_file,
    ready_images,
)
from study.mlflow.models import TrialModel, have_model
from study.mlflow.note import illustrated
from study.mlflow.tags import (
    DIGESTS,
    NOTE,
    NOTE_SEQ,
    PARENT,
    SEQ,
    UID,
    earlier,
    known,
    of_earlier_version,
    row_of,
)
from study.mlflow.values import MAX_TAG, METRICS_PER_CALL, PARAMS_PER_CALL, cut, milliseconds

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Metric, Run
    from mlflow.tracking import MlflowClient

RUNNING = "RUNNING"

_LINKED = re.compile(r"/runs/([0-9a-f]{32})")


def find_run(client: "MlflowClient", experiment_id: str, uid: str) -> "Run | None":
    """Return a run by its uid; None if it is not there, or was deleted."""
    return _tagged(client, experiment_id, UID, uid) or _tagged(client, experiment_id, earlier(UID), uid)


def _tagged(client: "MlflowClient", experiment_id: str, tag: str, uid: str) -> "Run | None":
    return next(iter(client.search_runs([experiment_id], f"tags.`{tag}` = '{uid}'", max_results=1)), None)


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
    has_data: bool = False
    row: int = -1  # the last that is in MLflow, in whatever form

    # Of a study's run only:
    note: str = ""
    note_seq: int = 0
    digests: dict[str, str] = field(default_factory=dict)  # of its files, by name

    name: str = ""
    started: float = 0.0
    data: "DatasetInput | None" = None
    folders: dict[str, Path] = field(default_factory=dict)  # of each series of images
    captions: dict[int, str] = field(default_factory=dict)  # of samples, by kimg; by default it is that alone
    words: str = ""  # a description that is to be shown with the newest samples
    status: str | None = None  # None: as MLflow has it
    ended: float | None = None
    images: dict[Picture, float] = field(default_factory=dict)  # their times, of those not logged
    seq: int = -1
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)  # key, value, ms, step
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    has_model: bool = False
    model: TrialModel | None = None

    @classmethod
    def found(cls, run: "Run") -> "ProjectedRun":
        """Return the run that MLflow's search found."""
        tags = run.data.tags
        deleted, outdated = run.info.lifecycle_stage == "deleted", of_earlier_version(tags)
        note_seq = tags.get(NOTE_SEQ, "")
        return cls(
            uid=known(tags, UID),
            run_id=run.info.run_id,
            parent_id=tags.get(PARENT, ""),
            # What an earlier version wrote is sent again, as this one writes it; but not to what somebody deleted.
            sent_seq=-1 if outdated and not deleted else row_of(tags),
            row=row_of(tags),
            sent_status=run.info.status,
            deleted=deleted,
            has_images=HAS_IMAGES in tags and not outdated,
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
        if self.data is not None and not self.has_data:
            client.log_inputs(self.run_id, datasets=[self.data])
            self.has_data = True
        images = self._ready_images(client)
        for path, text in self.texts.items():
            client.log_text(self.run_id, text, path)
        self.texts.clear()
        counts.points += self._send_values(client, experiment_id, bool(images))
        if self.status is not None and self.status != self.sent_status:
            if self.status == RUNNING:
                client.update_run(self.run_id, status=RUNNING)
            else:
                ended = None if self.ended is None else milliseconds(self.ended)
                client.set_terminated(self.run_id, self.status, ended)
            self.sent_status = self.status
        if images:
            counts.images += self._send_images(client, images)

    def exist(self, client: "MlflowClient", experiment_id: str, birth_tags: dict[str, str], counts: Counts) -> bool:
        """Make the run, and tell whether it is new; restore one that was deleted if there is news for it."""
        if self.run_id:
            if self.deleted and self._has_news:
                client.restore_run(self.run_id)
                self.deleted = False
            return False
        if self.look_first and (run := _tagged(client, experiment_id, UID, self.uid)):
            # Another process has made it: what it holds already is sent again, which changes nothing.
            self.run_id, self.sent_status = run.info.run_id, run.info.status
            self.has_images, self.logged_images = HAS_IMAGES in run.data.tags, None
            self.has_data = bool(run.inputs and run.inputs.dataset_inputs)
            return False
        tags = {UID: self.uid, **birth_tags}
        run = client.create_run(experiment_id, milliseconds(self.started), tags, run_name=self.name)
        self.run_id, self.sent_status = run.info.run_id, run.info.status
        counts.runs += 1
        return True

    @property
    def _has_news(self) -> bool:
        return self.seq > self.sent_seq or bool(self.tags) or self.model is not None

    def _ready_images(self, client: "MlflowClient") -> dict[Picture, bytes]:
        if not any(picture_file(self.folders[key], step).exists() for key, step in self.images):
            return {}
        if self.logged_images is None:
            self.logged_images = logged_pictures(client, self.run_id)
        for picture in self.logged_images & self.images.keys():
            del self.images[picture]
        return ready_images(self.folders, self.images)

    def _send_images(self, client: "MlflowClient", images: dict[Picture, bytes]) -> int:
        """Log the newest of each series as that, if it is among them, then all; return how many there were to show."""
        assert self.logged_images is not None
        newest = {}
        for key in self.folders:
            kimg, logged = (
                max((step for series, step in some if series == key), default=-1)
                for some in (images, self.logged_images)
            )
            if kimg > logged:
                newest[key, kimg] = images[key, kimg]
        if newest:
            born = milliseconds(self.started)
            shown = {(key, NEWEST): (self._captioned(key, kimg, png), born) for (key, kimg), png in newest.items()}
            log_images(client, self.run_id, self.uid, shown)
        others = {picture: png for picture, png in images.items() if picture[1] != NEWEST}
        if others:
            timed = {picture: (png, milliseconds(self.images[picture])) for picture, png in others.items()}
            log_images(client, self.run_id, self.uid, timed)
        self.logged_images |= {*images, *((key, NEWEST) for key, _ in newest)}
        self.images = {picture: at for picture, at in self.images.items() if picture not in self.logged_images}
        return len(others | newest)

    def _captioned(self, key: str, kimg: int, png: bytes) -> bytes:
        return captioned(png, self.captions.get(kimg, f"{kimg} kimg")) if key == SAMPLES else png

    def _of_model(self, model_id: str, model: TrialModel) -> "list[Metric]":
        """Points of the run, which has them already, as those of its model on its data."""
        from mlflow.entities import Metric

        data = {"dataset_name": self.data.dataset.name, "dataset_digest": self.data.dataset.digest} if self.data else {}
        linked = {"model_id": model_id, "run_id": self.run_id, **data}
        return [Metric(name, value, at, step, **linked) for name, value, at, step in model.points]

    @property
    def picture(self) -> str:
        """Where MLflow's pages find the newest samples; "" if there are none."""
        return address(self.run_id, self.uid, (SAMPLES, NEWEST), milliseconds(self.started)) if self.has_images else ""

    def _send_values(self, client: "MlflowClient", experiment_id: str, images: bool) -> int:
        from mlflow.entities import Metric, Param, RunTag

        if images and not self.has_images:
            self.has_images = True
            self.tags[HAS_IMAGES] = "True"
            if self.words:
                self.tags[NOTE] = illustrated(self.words, self.picture)
        if not self._has_news:
            return 0
        metrics = [Metric(name, value, at, step) for name, value, at, step in self.metrics]
        if self.model is not None:
            metrics += self._of_model(have_model(client, experiment_id, self.run_id, self.model), self.model)
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
        self.has_model = self.has_model or self.model is not None
        self.model = None
        self.sent_seq = max(self.sent_seq, self.seq)
        self.metrics, self.params, self.tags = [], {}, {}
        return points
