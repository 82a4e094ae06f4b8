import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from trainables.gan.histograms import BINS, histogram_picture
from trainables.images import save_png

LEFT, TOP, RIGHT, BOTTOM = 46, 34, 464, 240  # the axes' rectangle, in pixels


def bars(picture: Image.Image, blue: bool) -> NDArray[np.int64]:
    """The height in pixels of each bin's bar of the one colour or the other, where they do not overlap."""
    pixels = np.asarray(picture).astype(int)[TOP:BOTTOM]
    middles = [round(LEFT + (i + 0.5) / BINS * (RIGHT - LEFT)) for i in range(BINS)]
    red, _, blues = np.moveaxis(pixels[:, middles], 2, 0)
    difference = blues - red if blue else red - blues
    return (difference > 60).sum(0)


def test_bars_are_as_high_as_the_parts_are_large() -> None:
    real = torch.tensor([0.9] * 80 + [0.7] * 20)  # bins 36 and 28
    fake = torch.tensor([0.1] * 30 + [0.0] * 20)  # bins 4 and 0
    picture = histogram_picture(real, fake)
    height = BOTTOM - TOP
    of_real, of_fake = bars(picture, blue=True), bars(picture, blue=False)
    assert set(np.flatnonzero(of_real)) == {28, 36}
    assert set(np.flatnonzero(of_fake)) == {0, 4}
    for found, percent in ((of_real[36], 80), (of_real[28], 20), (of_fake[4], 60), (of_fake[0], 40)):
        assert found == pytest.approx(height * percent / 100, abs=2)  # the axis ends at 100 %


def test_the_ends_belong_to_the_first_and_the_last_bin() -> None:
    picture = histogram_picture(torch.ones(5), torch.zeros(5))
    assert bars(picture, blue=True)[-1] > 200
    assert bars(picture, blue=False)[0] > 200


def test_the_sorted_numbers_are_curves_beside_the_bars() -> None:
    """A quarter at 0.2 and the rest at 0.8; of the generated ones all between 0 and 1, evenly."""
    picture = histogram_picture(torch.tensor([0.8, 0.2, 0.8, 0.8] * 50), torch.linspace(0, 1, 101))
    pixels = np.asarray(picture).astype(int)[TOP : BOTTOM + 1, 480 + LEFT + 2 :]
    red, blue = pixels[..., 0], pixels[..., 2]
    for part, real, fake in ((0.1, 0.2, 0.1), (0.6, 0.8, 0.6), (0.9, 0.8, 0.9)):
        x = round(part * (RIGHT - LEFT)) - 2
        for found, expected in ((blue - red > 60, real), (red - blue > 60, fake)):
            heights = (BOTTOM - TOP - np.flatnonzero(found[:, x])) / (BOTTOM - TOP)
            assert heights.mean() == pytest.approx(expected, abs=0.02)


def test_the_picture_is_small_and_says_which_is_which(tmp_path: object) -> None:
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.rand(2, 500, generator=generator)
    picture = histogram_picture(real, fake, "12 kimg")
    assert (picture.mode, picture.size) == ("RGB", (960, 280))
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(histogram_picture(real, fake, "12 kimg")))
    other = histogram_picture(real, fake, "13 kimg")
    changed = np.argwhere((np.asarray(picture) != np.asarray(other)).any(2))
    assert changed[:, 0].max() < TOP
    from pathlib import Path

    file = Path(str(tmp_path)) / "histogram.png"
    save_png(picture, file)
    assert file.stat().st_size < 20_000
