"""What a production training leaves: the chosen generator, its metrics on both splits, its picture, its model card."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch

from study.analysis.export import Origin
from study.console.say import Say
from study.console.tables import number
from study.production.folder import Measured, ProductionFolder
from study.production.model_card import model_card
from trainables.checkpoint import CheckpointStore, read_checkpoint
from trainables.data import Split
from trainables.errors import CorruptFile, Diverged
from trainables.evaluate_generator import evaluate_generator
from trainables.evaluation.image_counts import FidEstimate, best_of
from trainables.evaluation.prepare import Prepared
from trainables.files import write_atomically
from trainables.gan.config import TrialConfig
from trainables.generator import Generator, GeneratorFacts, from_checkpoint, write_generator
from trainables.images import sample_grid, save_png

GRID_IMAGES, GRID_SEED = 64, 0
"""The model card's picture: what `ganstudy sample` shows without options."""

_TILE = 56  # pixels a side, about, of an image in a picture


class Choice(StrEnum):
    """Which of a training's generators is kept."""

    BEST = "best FID"
    LAST = "last"


@dataclass(frozen=True)
class Finished:
    """A training that has come to its end."""

    folder: ProductionFolder
    config: TrialConfig
    origin: Origin
    prepared: Prepared
    device: str


def finish(training: Finished, measured: Measured, choice: Choice, say: Say) -> None:
    """Write the generator that `choice` names, and all that tells of it.

    Raises:
        CorruptFile: if its checkpoint is gone or damaged.
    """
    folder, config = training.folder, training.config
    report = _chosen(measured, choice)
    facts, weights = _taken(training, report)
    write_generator(folder.generator, facts, weights)
    generator = Generator.read(folder.generator, training.device)
    keys = config.evaluation.keys
    measured.generator = {"kimg": facts.kimg, "chosen": str(choice)} | {key: report[key] for key in keys}
    measured.test = None
    if config.evaluation.split != Split.TEST:
        say("judging it on the test split", False)
        measured.test = _on_test(training, generator)
    folder.write_measured(measured)
    save_png(picture(generator.sample(GRID_IMAGES, GRID_SEED).images), folder.grid)
    card = model_card(facts, training.prepared, measured, training.origin, folder)
    write_atomically(folder.card, card.encode())
    on_test = f", {number(measured.test['fid'])} on the test split" if measured.test else ""
    say(
        f"{folder.generator}: the generator of {facts.kimg} kimg ({choice}), FID {number(facts.fid)} "
        f"on the {config.evaluation.split} split{on_test}",
        True,
    )


def picture(images: torch.Tensor, columns: int = 8) -> Any:
    """Return uint8 (N, C, H, W) images as a picture of a size that people can see."""
    return sample_grid(images, columns, scale=max(1, round(_TILE / images.shape[-1])))


def _chosen(measured: Measured, choice: Choice) -> dict[str, float]:
    reports = {int(report["kimg"]): report for report in measured.reports}
    best = best_of(FidEstimate.of(kimg, report) for kimg, report in reports.items())
    assert best is not None, "it has reported"
    return reports[{Choice.BEST: best.kimg, Choice.LAST: max(reports)}[choice]]


def _taken(training: Finished, report: dict[str, float]) -> tuple[GeneratorFacts, dict[str, torch.Tensor]]:
    """The facts and weights of the judged generator of that report."""
    path = CheckpointStore(training.folder.training / "checkpoints").path(int(report["kimg"]))
    if not path.is_dir():
        raise CorruptFile(f"{path}: the checkpoint is gone; --last takes the last one")
    checkpoint = read_checkpoint(path)
    if checkpoint.report.get("fid") != report["fid"]:
        raise CorruptFile(f"{path}: is not the checkpoint of FID {report['fid']}; --last takes the last one")
    prepared = training.prepared
    return from_checkpoint(
        checkpoint, training.config, prepared.dataset.facts, prepared.fingerprint, training.origin.threads
    )


def _on_test(training: Finished, generator: Generator) -> dict[str, Any] | None:
    prepared = training.prepared.on(Split.TEST)
    try:
        return {"fid_fingerprint": prepared.fingerprint} | evaluate_generator(generator, prepared)
    except Diverged as error:
        raise CorruptFile(f"{training.folder.generator}: {error}") from error
