"""What a production training leaves: the chosen generator, its metrics on both splits, its picture, its model card."""

from typing import Any

import torch

from study.production.folder import TrainingMetrics
from study.production.model_card import model_card
from study.production.plan import TrainingPlan
from study.terminal.say import Say
from study.views.seen_images import is_seen, split_words
from study.views.tables import number
from trainables.checkpoint import CheckpointStore, read_checkpoint
from trainables.data import Split
from trainables.errors import CorruptFile, Diverged
from trainables.evaluate_generator import evaluate_generator
from trainables.evaluation.image_counts import FidEstimate, best_of
from trainables.evaluation.prepare import Prepared
from trainables.files import write_atomically
from trainables.generator import Generator, GeneratorFacts, from_checkpoint, write_generator
from trainables.images import sample_grid, save_png

GRID_IMAGES, GRID_SEED = 64, 0
"""The model card's picture: what `ganstudy sample` shows without options."""

_TILE = 56  # pixels a side, about, of an image in a picture


def write_product(plan: TrainingPlan, prepared: Prepared, measured: TrainingMetrics, say: Say) -> None:
    """Write the generator of the best FID, or the last one, and all that tells of it.

    Raises:
        CorruptFile: if its checkpoint is gone or damaged.
    """
    folder, evaluation = plan.folder, plan.config.evaluation
    chosen = "last" if plan.order.last else "best FID"
    report = measured.reports[-1] if plan.order.last else _best(measured)
    facts, weights = _generator_of(report, plan, prepared)
    write_generator(folder.generator, facts, weights)
    generator = Generator.read(folder.generator, plan.device)
    measured.generator = {"kimg": facts.kimg, "chosen": chosen} | {key: report[key] for key in evaluation.keys}
    measured.test = None
    seen = is_seen(plan.config.to_dict())
    if evaluation.split != Split.TEST and not seen:
        say("evaluating it on the test split", False)
        on_test = prepared.on(Split.TEST)
        try:
            measured.test = {"fid_fingerprint": on_test.fingerprint} | evaluate_generator(generator, on_test)
        except Diverged as error:
            raise CorruptFile(f"{folder.generator}: {error}") from error
    folder.write_measured(measured)
    save_png(picture(generator.sample(GRID_IMAGES, GRID_SEED).images), folder.grid)
    write_atomically(folder.card, model_card(facts, prepared, measured, plan.origin, folder).encode())
    test_fid = f", {number(measured.test['fid'])} on the test split" if measured.test else ""
    say(
        f"{folder.generator}: the generator of {facts.kimg} kimg ({chosen}), FID {number(facts.fid)} "
        f"on the {split_words(evaluation.split, plan.config.to_dict())}{test_fid}",
        True,
    )


def picture(images: torch.Tensor, columns: int = 8) -> Any:
    """Return uint8 (N, C, H, W) images as a picture of a size that people can see."""
    return sample_grid(images, columns, scale=max(1, round(_TILE / images.shape[-1])))


def _best(measured: TrainingMetrics) -> dict[str, float]:
    reports = {int(report["kimg"]): report for report in measured.reports}
    best = best_of(FidEstimate.of(kimg, report) for kimg, report in reports.items())
    assert best is not None, "it has reported"
    return reports[best.kimg]


def _generator_of(
    report: dict[str, float], plan: TrainingPlan, prepared: Prepared
) -> tuple[GeneratorFacts, dict[str, torch.Tensor]]:
    """The facts and weights of the generator that was evaluated for a report."""
    path = CheckpointStore(plan.folder.training / "checkpoints").path(int(report["kimg"]))
    if not path.is_dir():
        raise CorruptFile(f"{path}: the checkpoint is gone; --last takes the last one")
    checkpoint = read_checkpoint(path)
    if checkpoint.report.get("fid") != report["fid"]:
        raise CorruptFile(f"{path}: is not the checkpoint with FID {report['fid']}; --last takes the last one")
    return from_checkpoint(checkpoint, plan.config, prepared.dataset.facts, prepared.fingerprint, plan.origin.threads)
