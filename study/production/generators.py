"""`ganstudy sample` and `ganstudy evaluate`: what to do with a trained generator."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from study.data_paths import BY_OPTION, DataPaths, saying
from study.device import device_of
from study.production.found import Asked, find_generator
from study.production.product import picture
from study.terminal.fitted import Fitted
from study.terminal.say import say, say_written
from study.terminal.screen import Screen
from study.views.seen_images import is_seen, split_words
from study.views.tables import number
from trainables.data import Split
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.evaluate_generator import evaluate_generator
from trainables.evaluation.prepare import prepare
from trainables.files import check_named, is_standard_output, write_named
from trainables.images import as_png

_GRID, _STRIP = 64, 8  # images, where no number is given
_LARGEST_PICTURE = 10_000  # images
_OTHER_PICTURES = (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".svg", ".pdf")


@dataclass(frozen=True)
class SampleOptions:
    """What `ganstudy sample` was asked for; None as its help says. `label` is the class of all images."""

    count: int | None = None
    seed: int = 0
    label: int | None = None
    out: Path | None = None
    npz: Path | None = None
    interpolate: bool = False


def sample(asked: Asked, wanted: SampleOptions, device: str | None, console: Console) -> None:
    """Draw images of a generator into files.

    Raises:
        InvalidInput: if the options do not go together, a file cannot be written, or there is no such generator.
        GanStudyError: if the study's trial has none.
    """
    count = wanted.count or (_STRIP if wanted.interpolate else _GRID)
    out = wanted.out or (None if wanted.npz else Path("samples.png"))
    if wanted.interpolate and count < 2:
        raise InvalidInput(f"-n {count}: a strip has two ends; draw 2 or more")
    if out is not None and count > _LARGEST_PICTURE:
        raise InvalidInput(f"-n {count}: a picture holds at most {_LARGEST_PICTURE} images; use --npz FILE instead")
    if out is not None and out.suffix.lower() in _OTHER_PICTURES:
        raise InvalidInput(f"--out {out}: pictures are written as PNG; name it {out.with_suffix('.png').name}")
    for file, option in ((out, "--out"), (wanted.npz, "--npz")):
        if file is not None:
            check_named(file, option)
    aside = Screen(stderr=True) if any(map(is_standard_output, filter(None, (out, wanted.npz)))) else console
    found = find_generator(asked, device_of(device), aside)
    generator = found.generator
    draw = generator.interpolate if wanted.interpolate else generator.sample
    drawn = draw(count, wanted.seed, wanted.label)
    what = f"{count} images" + ("" if found.trial is None else f" of {found.origin}")
    if out is not None:
        columns = count if wanted.interpolate else min(8, count) if count <= _GRID else math.isqrt(count - 1) + 1
        write_named(out, as_png(picture(drawn.images, columns)))
        say_written(console, out, what)
    if wanted.npz is not None:
        arrays: dict[str, Any] = {"images": drawn.images.numpy()}
        if drawn.labels is not None:
            arrays["labels"] = drawn.labels.numpy()
        archive = io.BytesIO()
        np.savez(archive, **arrays)
        write_named(wanted.npz, archive.getvalue())
        say_written(console, wanted.npz, what)


def evaluate(
    asked: Asked, split: str | None, device: str | None, as_json: bool, console: Console, paths: DataPaths
) -> None:
    """Print all metrics of a generator, with the fingerprint that says what they mean.

    Raises:
        InvalidInput: if there is no such generator or split, or the data is not such as it was trained on.
        DataNotFound: if the data is gone.
    """
    splits = [str(known) for known in (Split.VALIDATION, Split.TEST)]
    if split is not None and split not in splits:
        raise InvalidInput(f"--split {quoted(split)}: choose {' or '.join(splits)}")
    found = find_generator(asked, device_of(device), Screen(stderr=True) if as_json else console)
    generator, facts = found.generator, found.generator.facts
    data, own = paths.over(found.paths).applied(facts.trial)
    evaluation = own if split is None else own.model_copy(update={"split": Split(split)})
    with saying(BY_OPTION):
        prepared = prepare(data, evaluation, cached=True)
    metrics = evaluate_generator(generator, prepared)
    if as_json:
        console.print_json(
            data={
                "generator": asked.given,
                **({} if found.trial is None else {"trial": found.trial}),
                "kimg": facts.kimg,
                "data": facts.trial.data.name,
                "split": str(evaluation.split),
                "on_train_images": is_seen(facts.trial.to_dict()),
                "fid_fingerprint": prepared.fingerprint,
                "trained_against": facts.fid_fingerprint,
                "metrics": metrics,
            }
        )
        return
    whose = f"{facts.kimg} kimg" if found.trial is None else found.origin
    rows = [[key, f"{value:.6g}"] for key, value in metrics.items()]
    console.print(Fitted([("metric", "left"), ("", "right")], rows))
    say(
        console,
        f"{evaluation.count} images of {whose} against {prepared.count} of {facts.trial.data.name}'s "
        f"{split_words(evaluation.split, facts.trial.to_dict())}, fingerprint {prepared.fingerprint}; "
        f"uniform noise has FID {number(prepared.fid_ceiling)}",
    )
    if evaluation.split == own.split and prepared.fingerprint != facts.fid_fingerprint:
        say(
            console,
            f"it was trained against fingerprint {facts.fid_fingerprint} (FID {number(facts.fid)}): the data or the "
            "extractor has changed, so the two cannot be compared",
        )
    elif evaluation.split == own.split and facts.images_judged != evaluation.count:
        say(
            console,
            f"its FID in the study, {number(facts.fid)}, is of {facts.images_judged} generated images: FIDs of other "
            "numbers do not compare",
        )
