"""Pictures from a study's folder inside the page: sample grids as data URLs, few and small enough to send."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from study.analysis.ranking import Ranked
from study.folder import StudyFolder

TRIALS = 6
_MOST_BYTES = 400_000  # of one picture; six are 3.2 MB as base64
_MOST_PIXELS = 640  # a side, of a picture that is too large


@dataclass(frozen=True)
class Picture:
    """A trial's sample grid at `kimg` as a data URL."""

    ranked: Ranked
    kimg: int
    url: str


def sample_grids(ranked: Sequence[Ranked], folder: StudyFolder) -> list[Picture]:
    """Return a grid of each of the first trials, of the checkpoint with its best FID; a missing file is left out."""
    found = []
    for r in ranked[:TRIALS]:
        kimg = r.trial.kimg_best or 0
        content = _read(folder.samples(r.trial.number) / f"kimg-{kimg:06d}.png")
        if content is not None:
            found.append(Picture(r, kimg, f"data:image/png;base64,{base64.b64encode(content).decode()}"))
    return found


def _read(file: Path) -> bytes | None:
    """Return a PNG of bounded size; None if there is none that can be read."""
    from PIL import Image

    try:
        content = file.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            if len(content) <= _MOST_BYTES:
                picture.verify()
                return content
            picture.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
            smaller = io.BytesIO()
            picture.quantize().save(smaller, format="PNG", optimize=True)
            return smaller.getvalue()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's ways to say: no picture
        return None
