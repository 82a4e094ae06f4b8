"""Sample grids from a study's folder as data URLs inside the page, few and small enough to send by mail."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from study.analysis.ranking import Ranked
from study.folder import StudyFolder

TRIALS = 6
_MOST_BYTES = 400_000  # of one picture; six are 3.2 MB as base64
_MOST_PIXELS = 640  # a side, of a picture that is too large


def sample_grids(ranked: Sequence[Ranked], folder: StudyFolder) -> list[tuple[Ranked, str]]:
    """Return the sample grids of the first trials at their best FIDs, as data URLs; a missing file is left out."""
    contents = [
        (r, _read(folder.samples(r.trial.number) / f"kimg-{r.trial.kimg_best or 0:06d}.png")) for r in ranked[:TRIALS]
    ]
    return [(r, f"data:image/png;base64,{base64.b64encode(png).decode()}") for r, png in contents if png is not None]


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
