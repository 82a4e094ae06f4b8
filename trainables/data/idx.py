"""A reader of IDX, the file format of MNIST and its relatives."""

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.data.published import read
from trainables.errors import CorruptInput


def read_idx(path: Path, shape: tuple[int, ...]) -> tuple[bytes, NDArray[np.uint8]]:
    """An IDX file of unsigned bytes, plain or (by its first bytes) gzipped, which must have this shape.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a
    big-endian uint32, the data. Source: Y. LeCun, "The MNIST database of handwritten digits".

    Returns:
        the unzipped content, and the array in it.

    Raises:
        CorruptInput: naming the file, when it is anything else.
    """
    header = 4 + 4 * len(shape)
    size = header + math.prod(shape)
    content = read(path)
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(size + 1)  # a bomb would hold more
        except (OSError, EOFError, zlib.error) as error:
            raise CorruptInput(f"{path}: damaged gzip ({error}); replace the file") from error
    expected = bytes((0, 0, 8, len(shape))) + b"".join(n.to_bytes(4, "big") for n in shape)
    if content[:header] != expected:
        raise CorruptInput(
            f"{path}: begins with {content[:header].hex()}, not with the header of {shape} unsigned bytes; "
            "replace the file"
        )
    if len(content) != size:
        more = "more than" if len(content) > size else f"{len(content)} bytes, not"
        raise CorruptInput(f"{path}: {more} the {size} that {shape} needs; replace the file")
    return content, np.frombuffer(content, np.uint8, offset=header).reshape(shape)
