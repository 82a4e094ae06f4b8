"""Fashion-MNIST (Xiao et al. 2017): 70,000 grey images of clothes in 10 classes, 28 x 28 pixels."""

from pathlib import Path
from typing import Literal

from trainables.data.mnist_family import IdxSet, IdxSource, idx_files

DEBIAN = Path("/usr/share/datasets/fashion-mnist")

OFFICIAL = IdxSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    torchvision="FashionMNIST",
    files=idx_files(
        train_images="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        train_labels="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        test_images="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        test_labels="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    debian=DEBIAN,
    package="dataset-fashion-mnist",
)


class FashionMnist(IdxSource, frozen=True, extra="forbid"):
    """Fashion-MNIST from the first folder that has it: 50,000 train, 10,000 validation, 10,000 test images.

    Only `root` is searched if it is given (another source would be a surprise); else the user's cache,
    Debian's folder, a torchvision download into the cache. Files may be gzipped or not, directly in the
    folder or as torchvision lays them out. At size 32 two rows and columns of zeros are added on each side;
    any other size than 28 is resized.
    """

    name: Literal["fashion_mnist"] = "fashion_mnist"

    @classmethod
    def official(cls) -> IdxSet:
        """What must lie there."""
        return OFFICIAL
