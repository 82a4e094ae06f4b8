"""D's probabilities on real and on generated images as a picture: two histograms, one over the other, and beside them
the same numbers sorted, as two curves. Where the curves lie on one another, D cannot tell the images apart.

Drawn with Pillow: matplotlib takes longer to import than a small trial to report.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

BINS = 40
_SIZE = (960, 280)
_LEFT, _TOP, _RIGHT, _BOTTOM = 46, 34, 464, 240  # the rectangle of the histograms' axes
_ASIDE = 480  # from there to that of the curves
_REAL, _FAKE, _INK, _FAINT = (31, 119, 180), (255, 127, 14), (40, 40, 40), (225, 225, 225)
_OPACITY = 0.55
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def histogram_picture(real: Tensor, fake: Tensor, title: str = "") -> Image.Image:
    """Draw the distribution of D's probabilities.

    Args:
        real: D's probabilities on real images, n numbers in [0, 1].
        fake: on generated images, m numbers in [0, 1].
        title: of the picture.

    Returns:
        An RGB picture: bars of `BINS` bins, each in percent of its own set; and each set's numbers, rising, against the
        part of it that lies below.
    """
    ours, theirs = _percents(fake), _percents(real)
    top = _round_up(max(ours.max(), theirs.max(), 1.0))
    canvas = np.full((_SIZE[1], _SIZE[0], 3), 255, np.float64)
    font = ImageFont.load_default(12)
    _grid(canvas)
    for percents, colour in ((theirs, _REAL), (ours, _FAKE)):
        _bars(canvas, percents / top, colour)
    picture = Image.fromarray(canvas.round().astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.text((_LEFT, 10), title, _INK, font)
    _legend(draw, font, real, fake)
    levels = [f"{tick * top:g}%" for tick in _TICKS]
    _axes(draw, font, 0, levels, [f"{tick:g}" for tick in _TICKS], "D's probability that an image is real")
    for values, colour in ((real, _REAL), (fake, _FAKE)):
        draw.line(_sorted(values), colour, 2)
    parts = [f"{tick:.0%}" for tick in _TICKS]
    _axes(draw, font, _ASIDE, [f"{tick:g}" for tick in _TICKS], parts, "images, in the order of D's probability")
    return picture


def _percents(values: Tensor) -> NDArray[np.float64]:
    counts, _ = np.histogram(values.detach().float().cpu().numpy(), BINS, (0.0, 1.0))
    return 100 * counts / max(1, len(values))


def _sorted(values: Tensor) -> list[tuple[int, int]]:
    """The curve of the numbers in rising order, at each pixel across."""
    rising = np.sort(values.detach().float().cpu().numpy())
    parts = np.linspace(0, 1, _RIGHT - _LEFT + 1)
    heights = np.interp(parts, (np.arange(len(rising)) + 0.5) / len(rising), rising)
    return [(_ASIDE + _across(part), _up(height)) for part, height in zip(parts, heights, strict=True)]


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, 100."""
    return next(limit for limit in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0) if value <= limit)


def _across(part: float) -> int:
    return round(_LEFT + part * (_RIGHT - _LEFT))


def _up(part: float) -> int:
    return round(_BOTTOM - part * (_BOTTOM - _TOP))


def _grid(canvas: NDArray[np.float64]) -> None:
    for tick in _TICKS:
        canvas[_up(tick), _LEFT:_RIGHT] = canvas[_up(tick), _ASIDE + _LEFT : _ASIDE + _RIGHT] = _FAINT


def _bars(canvas: NDArray[np.float64], heights: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    for i, height in enumerate(heights):
        area = canvas[_up(float(height)) : _BOTTOM, _across(i / BINS) : _across((i + 1) / BINS)]
        area += _OPACITY * (np.array(colour) - area)


def _legend(draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, *sets: Tensor) -> None:
    right = _RIGHT
    for name, values, colour in (("generated", sets[1], _FAKE), ("real", sets[0], _REAL)):
        text = f"{name}, mean {float(values.double().mean()):.2f}"
        right -= round(font.getlength(text))
        draw.text((right, 10), text, _INK, font)
        draw.rectangle((right - 16, 12, right - 6, 22), _mixed(colour))
        right -= 28


def _mixed(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """The colour of bars on white."""
    red, green, blue = (round(255 + _OPACITY * (part - 255)) for part in colour)
    return red, green, blue


def _axes(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    aside: int,
    up: Sequence[str],
    across: Sequence[str],
    label: str,
) -> None:
    """Axes with the texts of their ticks, so many pixels aside of the first ones."""
    left, right = aside + _LEFT, aside + _RIGHT
    draw.line((left, _TOP, left, _BOTTOM, right, _BOTTOM), _INK)
    for tick, level, text in zip(_TICKS, up, across, strict=True):
        x = aside + _across(tick)
        draw.line((x, _BOTTOM, x, _BOTTOM + 4), _INK)
        draw.text((x, _BOTTOM + 6), text, _INK, font, anchor="ma")
        draw.text((left - 6, _up(tick)), level, _INK, font, anchor="rm")
    draw.text(((left + right) // 2, _BOTTOM + 22), label, _INK, font, anchor="ma")
