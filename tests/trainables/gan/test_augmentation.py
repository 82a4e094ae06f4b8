from collections import Counter

import pytest
import torch
from small_trials import example, global_randomness_untouched
from torch import Tensor

from trainables.gan.augmentation import AUGMENTATIONS, Augmentation, DiffAugment, colour, cut_out, translate

every_augmentation = pytest.mark.parametrize(
    "augmentation", [kind.model_validate(example(kind)) for kind in AUGMENTATIONS.values()], ids=AUGMENTATIONS.keys()
)
both_kinds = pytest.mark.parametrize("channels", [1, 3])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, channels: int = 3, size: int = 8, seed: int = 1) -> Tensor:
    return torch.rand(count, channels, size, size, generator=seeded(seed)) * 2 - 1


# ------------------------------------------------------------------------------------- what all of them keep


@every_augmentation
@both_kinds
@pytest.mark.parametrize("size", [8, 28, 33])
def test_keeps_shape_and_type_and_uses_no_other_randomness(
    augmentation: Augmentation, channels: int, size: int
) -> None:
    given = images(5, channels, size)
    kept = given.clone()
    with global_randomness_untouched():
        one, again, other = (augmentation(given, seeded(seed)) for seed in (0, 0, 1))
    assert one.shape == given.shape
    assert one.dtype == given.dtype
    assert one.isfinite().all()
    assert torch.equal(one, again)
    assert torch.equal(one, other) == (augmentation.name == "none")
    assert torch.equal(given, kept)


@every_augmentation
@both_kinds
def test_is_differentiable(augmentation: Augmentation, channels: int) -> None:
    # In float64 against central differences; what is drawn does not depend on the images.
    given = images(2, channels, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augmentation(x, seeded()), given)


@every_augmentation
def test_treats_each_image_on_its_own(augmentation: Augmentation) -> None:
    one, other = images(6), images(6, seed=2)
    other[2] = one[2]
    first, second = augmentation(one, seeded()), augmentation(other, seeded())
    assert torch.equal(first[2], second[2])
    assert not torch.equal(first[3], second[3])


def test_images_of_a_batch_are_changed_in_different_ways() -> None:
    given = images(1).repeat(50, 1, 1, 1)
    changed = DiffAugment()(given, seeded()).flatten(1)
    assert len(changed.unique(dim=0)) == 50


# ----------------------------------------------------------------------------------------------------- colour


@both_kinds
def test_colour_is_brightness_then_saturation_then_contrast(channels: int) -> None:
    given = images(400, channels).double()
    changed = colour(given, seeded())
    # Per image: x' = c (s (x - grey) + grey + b - mean) + mean, so means, greys and hues give b, c and c s in turn.
    shift = changed.mean((1, 2, 3)) - given.mean((1, 2, 3))
    grey, new_grey = given.mean(1), changed.mean(1)
    contrast = _slope(grey - grey.mean((1, 2), keepdim=True), new_grey - new_grey.mean((1, 2), keepdim=True))
    _even(shift, -0.5, 0.5)
    _even(contrast, 0.5, 1.5)
    if channels == 3:
        saturation = _slope(given - grey[:, None], changed - new_grey[:, None]) / contrast
        _even(saturation, 0, 2)
        rebuilt = saturation[:, None, None, None] * (given - grey[:, None]) + grey[:, None]
    else:
        rebuilt = given
    mean = given.mean((1, 2, 3), keepdim=True)
    rebuilt = contrast[:, None, None, None] * (rebuilt - mean) + mean + shift[:, None, None, None]
    torch.testing.assert_close(changed, rebuilt)


def _slope(x: Tensor, y: Tensor) -> Tensor:
    """y / x of each image, where y is proportional to x."""
    return (x * y).flatten(1).sum(1) / x.square().flatten(1).sum(1)


def _even(values: Tensor, low: float, high: float) -> None:
    """Check that `values` fill [low, high] as a uniform distribution does (mean and spread by standard errors)."""
    n, width = len(values), high - low
    assert low <= values.min() < low + 0.05 * width
    assert high - 0.05 * width < values.max() <= high
    assert values.mean().item() == pytest.approx((low + high) / 2, abs=4 * width / (12 * n) ** 0.5)
    assert values.var().item() == pytest.approx(width**2 / 12, rel=4 * (0.8 / n) ** 0.5)


# ----------------------------------------------------------------------------------------------- translation


@both_kinds
def test_translation_shifts_by_whole_pixels_and_fills_with_zeros(channels: int) -> None:
    given = images(300, channels) + 5  # no zeros of its own
    changed = translate(given, 2, seeded())
    found = []
    for before, after in zip(given, changed, strict=True):
        fits = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if torch.equal(after, _shifted(before, down, right))
        ]
        assert len(fits) == 1
        found += fits
    counts = [found.count((down, right)) for down in range(-2, 3) for right in range(-2, 3)]
    assert all(0 < count < 12 + 5 * 12**0.5 for count in counts)  # each of the 25 is as likely: 12 on average


def _shifted(image: Tensor, down: int, right: int) -> Tensor:
    """By loops over pixels."""
    _, height, width = image.shape
    result = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                result[:, row, column] = image[:, row - down, column - right]
    return result


# ----------------------------------------------------------------------------------------------------- cutout


@both_kinds
@pytest.mark.parametrize("side", [1, 3, 4])
def test_cutout_leaves_a_square_hole_whose_middle_is_anywhere(channels: int, side: int) -> None:
    given = images(500, channels) + 5
    changed = cut_out(given, side, seeded())
    hole = changed == 0
    assert torch.equal(changed[~hole], given[~hole])
    assert torch.equal(hole, hole[:, :1].expand_as(hole))
    rows, columns = hole[:, 0].any(2), hole[:, 0].any(1)
    assert torch.equal(hole[:, 0], rows[:, :, None] & columns[:, None, :])  # a rectangle
    for line in (rows, columns):
        length = line.sum(1)
        starts = line.int().argmax(1)
        assert torch.equal(line, (torch.arange(8) >= starts[:, None]) & (torch.arange(8) < (starts + length)[:, None]))
        assert length.max() == side
        assert length.min() == -(-side // 2)  # half of it at least is inside
        # Middles as in the authors' code: all pixels, and for an even side the far edge too, equally likely.
        middles = range(8 + (side % 2 == 0))
        expected = [tuple(0 <= pixel - middle + side // 2 < side for pixel in range(8)) for middle in middles]
        counts = Counter(tuple(row) for row in line.tolist())
        assert set(counts) == set(expected)
        mean = 500 / len(middles)
        assert all(abs(count - mean) < 5 * mean**0.5 for count in counts.values())


def test_the_knobs_say_how_far_and_how_large() -> None:
    given = images(200, 1, 28) + 5
    off = {"colour": False, "translation": 0.0, "cutout": 0.0}
    assert torch.equal(DiffAugment.model_validate(off)(given, seeded()), given)
    hole = DiffAugment.model_validate(off | {"cutout": 0.25})(given, seeded()) == 0
    assert hole.sum((1, 2, 3)).max() == 7 * 7
    moved = DiffAugment.model_validate(off | {"translation": 0.125})(given, seeded())
    gone = (moved == 0)[:, 0].all(1).sum(1)  # columns without a pixel: 28 / 8 is 3.5, so up to 4
    assert gone.max() == 4
