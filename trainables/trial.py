"""A trial on disk: a session with its checkpoints, sample grids and reports, one report at a time.

Ray's trainable and `ganstudy run-trial` both run trials through this class, so that they cannot differ.
"""

import time
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import torch

from trainables.checkpoint import Checkpoint, CheckpointStore
from trainables.errors import CorruptFile, CorruptInput, reason_of
from trainables.evaluation.collapse import collapsed
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import FID_OF_FIRST, Evaluator
from trainables.evaluation.image_counts import IMAGES, FidEstimate, ImageCounts, best_of
from trainables.evaluation.prepare import Prepared
from trainables.faults import Fence
from trainables.gan.captured import steps_for
from trainables.gan.config import TrialConfig
from trainables.gan.histograms import histogram_picture
from trainables.gan.session import MEANS, Session
from trainables.images import sample_grid, save_png
from trainables.repeats import may_repeat
from trainables.world import SINGLE, World

Report = dict[str, float]

METRICS = (
    *("kimg", "fid", "fid_best", *MEANS),
    *("images_per_second", "train_seconds", "eval_seconds"),
)
"""What every report has; the evaluation's metrics, `collapsed` and `IMAGES` come on top: see `report_keys`."""

_HISTOGRAM_IMAGES = 256  # both real and generated


def report_keys(evaluation: Evaluation) -> tuple[str, ...]:
    """Return the names of all numbers in a report of a trial with this evaluation."""
    images = () if evaluation.rung_count is None else (IMAGES,)
    return (*METRICS, *(key for key in evaluation.keys if key not in METRICS), "collapsed", *images)


class Trial:
    """One trial in `folder`, going on from its newest intact checkpoint if there is one."""

    def __init__(
        self,
        config: TrialConfig,
        prepared: Prepared,
        folder: Path,
        device: str = "cpu",
        attempt: int = 1,
        reported: int = 0,
        world: World = SINGLE,
        evaluator: Evaluator | None = None,
        full_count_at: Collection[int] | None = None,
        cuda_graphs: bool = False,
    ) -> None:
        """Build or restore the trial.

        Args:
            config: what to train.
            prepared: data and FID reference for it.
            folder: where checkpoints and samples go; a trial found there is continued.
            device: "cpu" or "cuda".
            attempt: the number of this start; a folder that a later one has taken over is refused.
            reported: kimg of the newest report that is already known.
            world: the processes that train along, each with a session of its own; they begin where this one is.
            evaluator: of `prepared` on `device`, to share with other trials; a new one by default.
            full_count_at: budgets (kimg) that are evaluated on `evaluation.count` images, the others on its
                `rung_count`; None (no study): all on `evaluation.count`.
            cuda_graphs: take training steps as CUDA graphs where that is possible; ignored elsewhere.

        Raises:
            InvalidInput: if the configuration does not fit the data.
            CorruptFile: if no checkpoint is intact and fits, or there is none although there was a report.
            StaleAttempt: if a later attempt has begun.
        """
        self._fence = Fence(folder, attempt)
        steps = steps_for(config, device, cuda_graphs, world.world_size)
        self.session = Session(config, prepared, device, world, evaluator, steps)
        self._samples, self._histograms = folder / "samples", folder / "histograms"
        self._classes = prepared.classes_present
        self._checkpoints = CheckpointStore(folder / "checkpoints")
        self._counts = ImageCounts.of(config.evaluation, full_count_at)
        self._last: Report | None = None
        self._least: dict[int, float] = {}  # FID by number of images
        self.unreported: Report | None = None
        """The report of a restored checkpoint, until it is returned again."""
        if found := self._checkpoints.latest():
            self._restore_own(found, folder)
            self.unreported = self._last
        elif reported > may_repeat(folder):
            raise CorruptFile(f"{folder}: the trial reported at {reported} kimg, but its checkpoints are gone")

    def next_report(self, kimg: int) -> Report:
        """Train for another `kimg` thousand images, evaluate, save, and return the report (all of `report_keys`).

        The report of a restored checkpoint comes first, once more: whoever asked for it may have died before
        saving it. The time of the first evaluation includes the pictures of the untrained generator.

        Raises:
            Diverged: if training or evaluation became non-finite.
            StaleAttempt: if a later attempt at this trial has begun.
        """
        if self.unreported:
            report, self.unreported = self.unreported, None
            return report
        drawing = 0.0 if self._last else self._draw()
        training = self.session.train(kimg)
        before = time.perf_counter()
        evaluated, alike = self._evaluate()
        self._fence.check()
        self._draw()
        eval_seconds = drawing + time.perf_counter() - before
        last, means = self._last or {"train_seconds": 0.0, "eval_seconds": 0.0}, asdict(training)
        self._last = {
            "kimg": self.session.kimg,
            **evaluated,
            "fid_best": self._fid_best(),
            "collapsed": float(collapsed(evaluated | {"fid": alike.fid}, self._least[alike.images], self._classes)),
            **{name: means[name] for name in MEANS},
            "images_per_second": training.images / training.seconds,
            "train_seconds": last["train_seconds"] + training.seconds,
            "eval_seconds": last["eval_seconds"] + eval_seconds,
        }
        if self.session.config.evaluation.rung_count is not None:
            self._last[IMAGES] = self._counts.at(self.session.kimg)
        self._checkpoints.save(self.session.kimg, self.checkpoint())
        return self._last

    def _evaluate(self) -> tuple[dict[str, float], FidEstimate]:
        """Return the metrics, and the FID of the number of images that every report has, to see it rise.

        If a report is of more images, that is the FID of the first of them.
        """
        kimg = self.session.kimg
        images = self._counts.at(kimg)
        fewer = self._counts.rung or images
        evaluated = self.session.evaluate(images=images, first=fewer if fewer < images else 0)
        alike = FidEstimate(kimg, evaluated.pop(FID_OF_FIRST, evaluated["fid"]), fewer)
        for one in (alike, FidEstimate(kimg, evaluated["fid"], images)):
            self._least[one.images] = min(self._least.get(one.images, one.fid), one.fid)
        return evaluated, alike

    def _fid_best(self) -> float:
        best = best_of(FidEstimate(0, fid, images) for images, fid in self._least.items())
        assert best is not None, "a generator was evaluated"
        return best.fid

    def checkpoint(self) -> Checkpoint:
        """Return the trial's state: what changes in training, and the last report (empty before the first)."""
        state = self.session.state_dict() | {"config": self.session.config.digest, "least_fids": dict(self._least)}
        return Checkpoint(state, self._last or {})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from `checkpoint`, whose report counts as returned."""
        self.session.load_state_dict(checkpoint.state)
        self._last, self.unreported = checkpoint.report or None, None
        if "least_fids" in checkpoint.state:
            self._least = dict(checkpoint.state["least_fids"])
        elif checkpoint.report:  # from before there was a `rung_count`
            self._least = {self._counts.full: checkpoint.report["fid_best"]}

    def _restore_own(self, checkpoint: Checkpoint, folder: Path) -> None:
        if not self.session.config.has_digest(checkpoint.state.get("config")):
            raise CorruptInput(f"{folder}: its checkpoints are of another configuration; choose another folder")
        try:
            self.restore(checkpoint)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:  # torch's, of other networks
            reason = reason_of(error, most=200)
            raise CorruptInput(
                f"{folder}: its checkpoint is of another configuration or version ({reason}); choose another folder"
            ) from error

    def _draw(self) -> float:
        """Draw samples and the histogram of D's probabilities as pictures of this kimg; return the seconds taken."""
        before = time.perf_counter()
        name = f"kimg-{self.session.kimg:06d}.png"
        save_png(sample_grid(self.session.samples()), self._samples / name)
        real, fake = self.session.discriminator_probabilities(_HISTOGRAM_IMAGES)
        save_png(histogram_picture(real, fake, f"{self.session.kimg} kimg"), self._histograms / name)
        return time.perf_counter() - before
