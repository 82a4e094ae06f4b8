"""Data sets of small images: `SOURCES` maps each source's name to its configuration."""

from trainables.data.digits import Digits
from trainables.data.fashion_mnist import FashionMnist
from trainables.data.images import Dataset, LabelledImages, Split
from trainables.data.npz import Npz
from trainables.data.source import DataSource

SOURCES: dict[str, type[DataSource]] = {
    "fashion_mnist": FashionMnist,
    "digits": Digits,
    "npz": Npz,
}

__all__ = ["SOURCES", "DataSource", "Dataset", "Digits", "FashionMnist", "LabelledImages", "Npz", "Split"]
