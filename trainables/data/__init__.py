"""Data sets of small images: `SOURCES` maps each source's name to its configuration."""

from trainables.data.cifar10 import Cifar10
from trainables.data.digits import Digits
from trainables.data.fashion_mnist import FashionMnist
from trainables.data.folder import Folder
from trainables.data.images import DataFacts, Dataset, LabelledImages, Split
from trainables.data.mnist import Mnist
from trainables.data.npz import Npz
from trainables.data.source import DataSource

SOURCES: dict[str, type[DataSource]] = {
    "fashion_mnist": FashionMnist,
    "mnist": Mnist,
    "cifar10": Cifar10,
    "digits": Digits,
    "folder": Folder,
    "npz": Npz,
}

__all__ = [
    "SOURCES",
    "Cifar10",
    "DataFacts",
    "DataSource",
    "Dataset",
    "Digits",
    "FashionMnist",
    "Folder",
    "LabelledImages",
    "Mnist",
    "Npz",
    "Split",
]
