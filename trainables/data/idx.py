"""A reader of IDX, the file format of MNIST and its relatives."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.errors import CorruptInput


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The unsigned bytes of an IDX file, plain or (by its first bytes) gzip, which must have this shape.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a
    big-endian uint32, the data. Source: Y. LeCun, "The MNIST database of handwritten digits".

    Raises:
        CorruptInput: when the file is not that; names it.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise CorruptInput(f"{path}: damaged gzip ({error}); delete the file and bring it again") from error
    header = 4 + 4 * len(shape)
    expected = bytes((0, 0, 8, len(shape))) + b"".join(n.to_bytes(4, "big") for n in shape)
    if content[:header] != expected:
        raise CorruptInput(
            f"{path}: begins with {content[:header].hex()}, not with the header of {shape} unsigned bytes; "
            "delete the file and bring it again"
        )
    if len(content) != header + math.prod(shape):
        raise CorruptInput(
            f"{path}: {len(content)} bytes, not the {header + math.prod(shape)} that {shape} needs; "
            "delete the file and bring it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
