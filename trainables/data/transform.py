"""Changes of images and splits that several sources share, in integers, so equal on every machine."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.errors import InvalidInput

_SPLIT_SEED = 20220


def pad(images: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """N x C x H x W with `margin` rows and columns of zeros added on each of the four sides."""
    return np.pad(images, ((0, 0), (0, 0), (margin, margin), (margin, margin)))


def resize(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """N x C x H x W to N x C x size x size: Pillow's bicubic filter, which antialiases when it shrinks.

    It is the resampling that Parmar et al. 2022 ("On Aliased Resizing") recommend before an FID, and works in
    fixed point, so that the result is the same on every processor.
    """
    count, channels, height, width = images.shape
    if (height, width) == (size, size):
        return images
    resized = np.empty((count, channels, size, size), np.uint8)
    for source, target in zip(images.reshape(-1, height, width), resized.reshape(-1, size, size), strict=True):
        target[:] = np.asarray(Image.fromarray(source).resize((size, size), Image.Resampling.BICUBIC))
    return resized


def square(image: Image.Image, size: int) -> Image.Image:
    """The largest central square of an image, resized as `resize` does it."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Cropped first: with resize's own `box`, pixels outside the square would affect its edges.
    cropped = image.crop((left, top, left + side, top + side))
    return cropped if side == size else cropped.resize((size, size), Image.Resampling.BICUBIC)


def split_indices(count: int, parts: int) -> list[NDArray[np.int64]]:
    """Indices of 0..count-1 shuffled by a fixed private generator: `parts` tenths, and the rest before them.

    Returns:
        `parts` + 1 arrays; the first has what is left, the others count // 10 (rounded to nearest) each.

    Raises:
        InvalidInput: when there are fewer than 10 images.
    """
    if count < 10:
        raise InvalidInput(f"{count} images: at least 10 are needed to split them; give more")
    order = np.random.Generator(np.random.PCG64(_SPLIT_SEED)).permutation(count).astype(np.int64)
    tenth = (count + 5) // 10
    rest = count - parts * tenth
    return [order[:rest], *(order[rest + i * tenth : rest + (i + 1) * tenth] for i in range(parts))]
