"""Fashion-MNIST (Xiao et al. 2017): 70,000 grey images of clothes in 10 classes, 28 x 28 pixels."""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.data.idx import read_idx
from trainables.data.images import Dataset, LabelledImages
from trainables.data.source import LARGEST, SMALLEST, DataSource, cache_folder
from trainables.data.transform import pad, resize
from trainables.errors import CorruptInput, DataNotFound

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
TRAIN_COUNT = 50_000
"""Of the official 60,000 training images the first 50,000 are `train`, the last 10,000 `validation`."""


@dataclass(frozen=True)
class IdxFile:
    """What one official file must hold: its shape and the SHA-256 of its data (without the header)."""

    shape: tuple[int, ...]
    sha256: str


FILES: Mapping[str, IdxFile] = {
    "train-images-idx3-ubyte": IdxFile(
        (60000, 28, 28), "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012"
    ),
    "train-labels-idx1-ubyte": IdxFile((60000,), "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"),
    "t10k-images-idx3-ubyte": IdxFile(
        (10000, 28, 28), "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a"
    ),
    "t10k-labels-idx1-ubyte": IdxFile((10000,), "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9"),
}


class FashionMnist(DataSource, frozen=True, extra="forbid"):
    """Fashion-MNIST from the first place that has it.

    The places: `root` alone if it is given (a silent other source would surprise); else the user's cache,
    Debian's folder, a torchvision download into the cache. Files may be gzipped or not, directly in the
    folder or as torchvision lays them out. At size 32 two rows and columns of zeros are added on each side;
    any other size than 28 is resized.
    """

    name: Literal["fashion_mnist"] = "fashion_mnist"
    root: Path | None = Field(default=None, description="folder with the four IDX files; default: look for it")
    size: int = Field(default=28, ge=SMALLEST, le=LARGEST, description="pixels a side; 32 pads, others resize")

    def load(self) -> Dataset:
        """50,000 train, 10,000 validation and 10,000 test images with their labels."""
        folder_of = _find(self.root)
        arrays = {name: _read(path, FILES[name]) for name, path in folder_of.items()}
        train, test = (_fit(arrays[f"{part}-images-idx3-ubyte"][:, None], self.size) for part in ("train", "t10k"))
        train_labels, test_labels = (arrays[f"{part}-labels-idx1-ubyte"].astype(np.int64) for part in ("train", "t10k"))
        return Dataset(
            self.name,
            LabelledImages(train[:TRAIN_COUNT], train_labels[:TRAIN_COUNT]),
            LabelledImages(train[TRAIN_COUNT:], train_labels[TRAIN_COUNT:]),
            LabelledImages(test, test_labels),
            classes=10,
        )


def _fit(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return pad(images, 2) if size == 32 else resize(images, size)


def _find(root: Path | None) -> dict[str, Path]:
    if root is not None:
        found, missing = _files_in(root.expanduser())
        if missing:
            raise DataNotFound(
                f"fashion_mnist: {root} lacks {', '.join(missing)} (plain or .gz); correct `root`, or leave "
                "it out to look in the usual places"
            )
        return found
    cache = cache_folder() / "fashion_mnist"
    for folder in (cache, DEBIAN):
        found, missing = _files_in(folder)
        if not missing:
            return found
    try:
        _download(cache)
    except Exception as error:  # torchvision lets through whatever its network layer raises
        raise DataNotFound(
            f"fashion_mnist: not in the study's `root` (not given), {cache}, or {DEBIAN}, and torchvision "
            f"could not download it ({' '.join(str(error).split())[:120]}); run `apt-get install "
            "dataset-fashion-mnist`, or copy its four IDX files into one of these folders"
        ) from error
    found, missing = _files_in(cache)
    if missing:
        raise DataNotFound(f"fashion_mnist: the download into {cache} lacks {', '.join(missing)}; try again")
    return found


def _files_in(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The path of each official file in this folder, and the names of those that it lacks."""
    found: dict[str, Path] = {}
    for name in FILES:
        for layout in (folder, folder / "FashionMNIST" / "raw"):
            for path in (layout / name, layout / f"{name}.gz"):
                if path.is_file():
                    found.setdefault(name, path)
    return found, [name for name in FILES if name not in found]


def _download(cache: Path) -> None:
    from torchvision.datasets import FashionMNIST  # takes 1 s: only when it is needed

    cache.mkdir(parents=True, exist_ok=True)
    # Into a folder of its own first: an interrupted download must not look like a finished one.
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=cache))
    try:
        FashionMNIST(root=str(partial), download=True)
        shutil.rmtree(cache / "FashionMNIST", ignore_errors=True)
        (partial / "FashionMNIST").replace(cache / "FashionMNIST")
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read(path: Path, expected: IdxFile) -> NDArray[np.uint8]:
    array = read_idx(path, expected.shape)
    digest = hashlib.sha256(array.data.cast("B")).hexdigest()
    if digest != expected.sha256:
        raise CorruptInput(
            f"{path}: its data has SHA-256 {digest[:16]}, Fashion-MNIST's has {expected.sha256[:16]}; delete "
            "the file and bring it again (other data goes into an .npz file)"
        )
    return array
