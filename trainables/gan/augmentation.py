"""Augmentations of what D sees, real and generated images alike. A new one is one class and one row in `AUGMENTATIONS`.

They are differentiable, so that G learns through them, and draw for every image from an explicit generator.
Penalties act on the augmented images. Numbers are drawn for the whole batch; `world` gives each process its part.
"""

from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad

from trainables.variants import Variant
from trainables.world import SINGLE, World


class Augmentation(Variant):
    """Base: images as they are."""

    name: str

    def __call__(self, images: Tensor, rng: torch.Generator, world: World = SINGLE) -> Tensor:
        """Return the images (N, C, H, W) as D is to see them, in the same shape; all randomness comes from `rng`."""
        return images


class NoAugmentation(Augmentation):
    """Images as they are."""

    name: Literal["none"] = "none"


class DiffAugment(Augmentation):
    """DiffAugment: colour, then translation, then cutout, with the ranges of Zhao et al. 2020, section 3 and appendix.

    Pixels that are shifted in or cut out are 0, the middle of [-1, 1], as in the authors' code.
    """

    name: Literal["diffaugment"] = "diffaugment"
    colour: bool = Field(default=True, description="brightness, saturation (none of grey images) and contrast")
    translation: float = Field(default=0.125, ge=0, le=0.5, description="largest shift, of the side; 0 for none")
    cutout: float = Field(default=0.5, ge=0, lt=1, description="side of the hole, of the side; 0 for none")

    def __call__(self, images: Tensor, rng: torch.Generator, world: World = SINGLE) -> Tensor:
        """Return the images augmented, each in its own way."""
        if self.colour:
            images = colour(images, rng, world)
        if shift := int(images.shape[-1] * self.translation + 0.5):
            images = translate(images, shift, rng, world)
        if hole := int(images.shape[-1] * self.cutout + 0.5):
            images = cut_out(images, hole, rng, world)
        return images


def colour(images: Tensor, rng: torch.Generator, world: World = SINGLE) -> Tensor:
    """Brightness + U(-0.5, 0.5); saturation * U(0, 2) about the grey of each pixel; contrast * U(0.5, 1.5)."""
    draw = partial(torch.rand, generator=rng, device=images.device)
    shift, saturation, contrast = world.draw_shard(draw, (3, len(images), 1, 1, 1), dim=1)
    images = images + (shift - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    contrasted: Tensor = (images - mean) * (contrast + 0.5) + mean
    return contrasted


def translate(images: Tensor, largest: int, rng: torch.Generator, world: World = SINGLE) -> Tensor:
    """Shift each image by whole pixels, -largest to largest in both directions, all equally likely."""
    count, _, height, width = images.shape
    draw = partial(torch.randint, -largest, largest + 1, generator=rng, device=images.device)
    down, right = world.draw_shard(draw, (2, count, 1), dim=1)
    # A frame of zeros, one pixel wide: every pixel outside the image is read from it.
    rows = (torch.arange(1, height + 1, device=images.device) - down).clamp(0, height + 1)
    columns = (torch.arange(1, width + 1, device=images.device) - right).clamp(0, width + 1)
    framed = pad(images, (1, 1, 1, 1)).movedim(1, -1)
    each = torch.arange(count, device=images.device)[:, None, None]
    shifted: Tensor = framed[each, rows[:, :, None], columns[:, None, :]]
    return shifted.movedim(-1, 1)


def cut_out(images: Tensor, side: int, rng: torch.Generator, world: World = SINGLE) -> Tensor:
    """Set a square of `side` pixels, with its middle anywhere in the image, to 0; it may stick out."""
    count, _, height, _ = images.shape
    draw = partial(torch.randint, 0, height + 1 - side % 2, generator=rng, device=images.device)
    middles = world.draw_shard(draw, (2, count, 1), dim=1)
    distance = torch.arange(height, device=images.device) - (middles - side // 2)
    row, column = (distance >= 0) & (distance < side)
    hole = row[:, None, :, None] & column[:, None, None, :]
    return images.masked_fill(hole, 0)


AUGMENTATIONS: dict[str, type[Augmentation]] = {"none": NoAugmentation, "diffaugment": DiffAugment}
