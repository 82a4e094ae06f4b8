"""Images between uint8 (data, files, FID) and [-1, 1] (networks), and grids of samples."""

import io
import os
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


def to_unit_range(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_bytes(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8, rounded to the nearest of the 256 levels and clamped, never stretched."""
    return images.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def sample_grid(images: Tensor, columns: int = 8, scale: int = 2) -> Image.Image:
    """Return uint8 (N, C, H, W) images as one picture, grey or RGB, `columns` to a row, each pixel `scale` wide."""
    count, channels, height, width = images.shape
    across = min(columns, count)
    # Not by torchvision.utils, which takes two seconds to import, in the driver and in every worker.
    colours = 3 if channels > 1 else 1
    size = -(-count // across) * (height + 1) + 1, across * (width + 1) + 1, colours
    grid = torch.full(size, 128, dtype=torch.uint8)
    for index, image in enumerate(images.cpu()):
        top, left = (1 + at * (side + 1) for at, side in zip(divmod(index, across), (height, width), strict=True))
        grid[top : top + height, left : left + width] = image.permute(1, 2, 0)
    picture = Image.fromarray(grid.squeeze(2).numpy())
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def save_png(picture: Image.Image, path: Path) -> None:
    """Write `picture` so that a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(as_png(picture))
    temporary.replace(path)


def as_png(picture: Image.Image) -> bytes:
    """The bytes of a PNG file, lightly compressed, which is four times as fast."""
    content = io.BytesIO()
    picture.save(content, format="PNG", compress_level=1)
    return content.getvalue()
