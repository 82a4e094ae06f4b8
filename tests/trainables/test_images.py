from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.images import sample_grid, save_png, to_bytes, to_unit_range


def test_all_256_levels_survive_the_way_there_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    unit = to_unit_range(levels)
    assert unit.dtype == torch.float32
    assert (unit[0].item(), unit[255].item()) == (-1, 1)
    assert torch.equal(to_bytes(unit), levels)


def test_bytes_are_the_nearest_level_clamped_and_never_stretched() -> None:
    # A level is 2/255 wide; 100 is at 100/127.5 - 1.
    at = 100 / 127.5 - 1
    given = torch.tensor([at - 0.4 * 2 / 255, at + 0.4 * 2 / 255, at + 0.6 * 2 / 255, -1.5, 1.5])
    kept = given.clone()
    assert to_bytes(given).tolist() == [100, 100, 101, 0, 255]
    assert torch.equal(given, kept)  # the caller's images are left alone
    # A flat, grey image stays so: (-0.5 + 1) * 127.5 = 63.75 and (0.5 + 1) * 127.5 = 191.25.
    assert to_bytes(torch.tensor([-0.5, 0.5])).tolist() == [64, 191]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_holds_every_image_in_rows(channels: int) -> None:
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, channels, 4, 4) * 10
    picture = sample_grid(images, columns=3, scale=2)
    # Three columns and two rows of 4 pixels with a line of 1 between and around, each pixel twice as wide.
    assert picture.size == ((3 * 5 + 1) * 2, (2 * 5 + 1) * 2)
    pixels = np.asarray(picture)[::2, ::2]
    for i in range(6):
        row, column = divmod(i, 3)
        tile = pixels[row * 5 + 1 : row * 5 + 5, column * 5 + 1 : column * 5 + 5]
        assert (tile == 10 * i).all()
    assert (pixels[0] == 128).all()


def test_a_png_is_written_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "grid.png"
    for level in (10, 20):  # the second time over the first
        save_png(Image.new("RGB", (5, 3), (level, level, level)), path)
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (5, 3))
        assert picture.getpixel((4, 2)) == (20, 20, 20)
    assert list(path.parent.iterdir()) == [path]
