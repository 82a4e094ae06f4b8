"""Sample grids from a study's folder as data URLs inside the page, few and small enough to send by mail."""

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from study.analysis.ranking import Ranked
from study.folder import StudyFolder
from study.ledger.records import TrialRecord

if TYPE_CHECKING:
    from PIL import Image

TRIALS = 6
MORE = 12
"""Trials after the first `TRIALS` whose samples are folded away."""

_MOST_BYTES = 400_000  # of one picture; six are 3.2 MB as base64
_MOST_PIXELS = 640  # a side, of a picture that is too large
_SMALL_PIXELS = 240
_SAMPLES, _HISTOGRAMS = "samples", "histograms"  # folders of a trial
_STRIPS = 10  # reports in a picture of a trial's progress
_ROWS = 8  # of images in a grid


class Progress(NamedTuple):
    """The same latents at some reports of a trial, one row below another; `kimg` is of each row."""

    kimg: tuple[int, ...]
    url: str


def sample_grids(ranked: Sequence[Ranked], folder: StudyFolder) -> list[tuple[Ranked, str]]:
    """Return the sample grids of the first trials at their best FIDs, as data URLs; a missing file is left out."""
    return list(_grids(ranked[:TRIALS], folder, _MOST_BYTES, _MOST_PIXELS))


def more_grids(ranked: Sequence[Ranked], folder: StudyFolder) -> list[tuple[Ranked, str]]:
    """Return those of the trials after them, smaller."""
    return list(_grids(ranked[TRIALS : TRIALS + MORE], folder, 0, _SMALL_PIXELS))


def progress(trial: TrialRecord, folder: StudyFolder) -> Progress | None:
    """Return the first row of a trial's grids from its first report to its last; None of fewer than two pictures."""
    from PIL import Image

    reports = [report.kimg for report in trial.reports]
    chosen = sorted({reports[round(i * (len(reports) - 1) / (_STRIPS - 1))] for i in range(_STRIPS)}) if reports else []
    found = [(kimg, _read(_file(folder, trial, kimg), _MOST_BYTES, _MOST_PIXELS)) for kimg in chosen]
    known = [(kimg, Image.open(io.BytesIO(png))) for kimg, png in found if png is not None]
    if len(known) < 2:
        return None
    width, height = known[-1][1].width, known[-1][1].height // _ROWS
    strip = Image.new("RGB", (width, height * len(known)))
    for row, (_, picture) in enumerate(known):
        strip.paste(picture.convert("RGB").crop((0, 0, width, height)), (0, row * height))
    return Progress(tuple(kimg for kimg, _ in known), _url(_png(strip)))


def probabilities(ranked: Sequence[Ranked], folder: StudyFolder) -> list[tuple[Ranked, str]]:
    """Return what D made of real and generated images at the first trials' best FIDs."""
    return list(_grids(ranked[:TRIALS], folder, _MOST_BYTES, _MOST_PIXELS, _HISTOGRAMS))


def _grids(
    ranked: Sequence[Ranked], folder: StudyFolder, most_bytes: int, most_pixels: int, kind: str = _SAMPLES
) -> Iterator[tuple[Ranked, str]]:
    for r in ranked:
        png = _read(_file(folder, r.trial, r.trial.kimg_best or 0, kind), most_bytes, most_pixels)
        if png is not None:
            yield r, _url(png)


def _file(folder: StudyFolder, trial: TrialRecord, kimg: int, kind: str = _SAMPLES) -> Path:
    return folder.trial(trial.number) / kind / f"kimg-{kimg:06d}.png"


def _url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _read(file: Path, most_bytes: int, most_pixels: int) -> bytes | None:
    """Return a PNG of bounded size; None if there is none that can be read."""
    from PIL import Image

    try:
        content = file.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if len(content) <= most_bytes:
                picture.verify()
                return content
            picture.thumbnail((most_pixels, most_pixels))
            return _png(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's ways to say: no picture
        return None


def _png(picture: "Image.Image") -> bytes:
    content = io.BytesIO()
    picture.quantize().save(content, format="PNG", optimize=True)
    return content.getvalue()
