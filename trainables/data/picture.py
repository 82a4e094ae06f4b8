"""From an image file's bytes to the pixels that a trial sees: one rule for every format and mode."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features

from trainables.data.transform import square
from trainables.errors import CorruptInput, InvalidInput, reason_of

_SUFFIXES: Mapping[str, str] = {
    "PNG": ".png .apng",
    "JPEG": ".jpg .jpeg .jpe .jfif .jif .jfi .pjpeg .pjp .mpo",
    "WEBP": ".webp",
    "BMP": ".bmp .dib",
    "GIF": ".gif",
    "TIFF": ".tif .tiff",
    "PPM": ".ppm .pgm .pbm .pnm",
    "AVIF": ".avif",
    "JPEG2000": ".jp2 .j2k .jpc .jpf .jpx .j2c",
}
_OPTIONAL = {"AVIF": "avif", "JPEG2000": "jpg_2000"}
"""Formats that not every Pillow reads, and what it must have been built with."""

FORMATS = tuple(name for name in _SUFFIXES if _OPTIONAL.get(name) in (None, *features.get_supported()))
"""Pillow's names of the formats that are read here; damage in any of them is an error."""

SUFFIXES = frozenset(suffix for name in FORMATS for suffix in _SUFFIXES[name].split())
"""Of files that are read, in lower case."""

MODES: Mapping[str, str] = {"rgb": "RGB", "grey": "L"}
"""A source's `mode` to Pillow's."""

_WIDE = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Within, Pillow raises for a decompression bomb where it would warn, and keeps its other warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decode(content: bytes, name: str, size: int, mode: str) -> NDArray[np.uint8]:
    """The pixels, C x size x size, of an image file; to be called within `strict_pillow`.

    Of several frames it is the first; a turned photograph (EXIF) is put upright; transparent pixels are laid
    on white; of 16 bits a channel the upper eight are kept, as Pillow does for colours; grey is the ITU-R
    601-2 luma. Colour profiles are ignored. The largest central square is then resized by Pillow's
    bicubic filter, which antialiases (see `transform.resize`).

    Args:
        content: the file.
        name: of the image, for messages.
        size: pixels a side.
        mode: a key of `MODES`.

    Raises:
        CorruptInput: when it is damaged, or no image of the `FORMATS`.
        InvalidInput: when it has too many pixels, or numbers of unknown range.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.format == "PNG":
                image.verify()  # the checksums, which decoding passes over; the image is then used up
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.load()
            flat = _flattened(image, name, MODES[mode])
    except InvalidInput:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidInput(
            f"{name}: more than {Image.MAX_IMAGE_PIXELS} pixels, which may be a decompression bomb; make it smaller, "
            "or remove it"
        ) from error
    except UnidentifiedImageError as error:
        raise CorruptInput(f"{name}: not an image of {', '.join(FORMATS)}; replace it, or remove it") from error
    except Exception as error:  # every decoder has errors of its own
        reason = reason_of(error, most=120)
        raise CorruptInput(f"{name}: damaged image ({reason}); replace it, or remove it") from error
    pixels = np.asarray(square(flat, size))
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def _flattened(image: Image.Image, name: str, mode: str) -> Image.Image:
    """The image upright, without transparency, in `mode` (RGB or L)."""
    if image.mode in _WIDE or (image.mode == "I" and image.format == "PPM"):  # the reader scales PPM to 16 bits
        image = _upper_byte(image)
    elif image.mode in ("I", "F"):
        raise InvalidInput(
            f"{name}: {'32-bit whole' if image.mode == 'I' else 'floating-point'} numbers, whose black and white are "
            "unknown; convert it to 8 or 16 bits"
        )
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", colours.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, colours).convert("RGB")
    if mode == "L" and image.mode not in ("1", "L"):
        image = image.convert("RGB")  # Pillow turns only some modes straight into grey
    return image.convert(mode)


def _upper_byte(image: Image.Image) -> Image.Image:
    narrow = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    narrow.getexif().update(image.getexif())
    return narrow
