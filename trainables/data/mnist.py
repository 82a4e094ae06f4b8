"""MNIST (LeCun et al. 1998): 70,000 grey images of handwritten digits, 28 x 28 pixels."""

from typing import Literal

from trainables.data.mnist_family import IdxSet, IdxSource, idx_files

# The content of the .gz files whose MD5s torchvision.datasets.MNIST.resources lists.
OFFICIAL = IdxSet(
    name="mnist",
    title="MNIST",
    torchvision="MNIST",
    files=idx_files(
        train_images="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        train_labels="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        test_images="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        test_labels="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)


class Mnist(IdxSource, frozen=True, extra="forbid"):
    """MNIST from the first folder that has it: 50,000 train, 10,000 validation, 10,000 test images.

    Only `root` is searched if it is given; else the user's cache, then torchvision downloads it into the cache.
    Layouts and sizes are as for Fashion-MNIST.
    """

    name: Literal["mnist"] = "mnist"

    @classmethod
    def official(cls) -> IdxSet:
        """The files that must be found."""
        return OFFICIAL
