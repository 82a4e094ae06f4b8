"""The training step as others write it, for comparison: Ray Tune's DCGAN example and PyTorch's DCGAN tutorial.

Written anew with the same operations in the same order, on whatever pair of networks it is given: a DataLoader over
PIL images; D on real, then on generated images, with a backward pass each; the generated images evaluated again for
G's step, with D's weights collecting gradients that nobody uses; the default Adam; a loss read back at every turn.
Ray's example (python/ray/tune/examples/pbt_dcgan_mnist in its repository) also begins its loader anew every five
batches and scores the images of every batch with a small classifier.
"""

from collections.abc import Callable, Iterator
from types import MethodType

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import entropy
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from trainables.gan.models.convolutions import Conv2d, ConvTranspose2d
from trainables.gan.models.layout import Features, Maps

RAY_BATCHES = 5
"""Batches of one `step` of Ray's example, which begins its loader anew for each."""


class Pictures(Dataset[Tensor]):
    """Grey images as torchvision's data sets give them: a PIL image each, transformed one by one."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._images = images[:, 0]
        self._transform = transforms.Compose(
            [transforms.Resize(images.shape[-1]), transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        image: Tensor = self._transform(Image.fromarray(self._images[index]))
        return image


class OthersStep:
    """One batch for D and one for G, as the tutorial and the example write it; call it for the next.

    Args of the constructor:
        generator: (N, latent) -> images.
        evaluate: images -> logits (N,), D.
        discriminator: whose parameters D's optimiser moves.
        latent: numbers per image.
        images: the training images, uint8 (N, 1, H, W).
        batch: images per batch.
        restart: batches after which the loader begins anew; None: at the end of the data.
        score: called with the generated images of every batch.
    """

    def __init__(
        self,
        generator: nn.Module,
        evaluate: Callable[[Tensor], Tensor],
        discriminator: nn.Module,
        latent: int,
        images: NDArray[np.uint8],
        batch: int,
        restart: int | None = None,
        score: Callable[[Tensor], float] | None = None,
        rates: tuple[float, float] = (2e-4, 2e-4),
        beta1: float = 0.5,
    ) -> None:
        self._g, self._judge, self._d, self._latent = generator, evaluate, discriminator, latent
        self._loader = DataLoader(Pictures(images), batch_size=batch, shuffle=True, num_workers=0, drop_last=True)
        self._restart, self._score = restart, score
        self._criterion = nn.BCELoss()
        self._optim_d = torch.optim.Adam(discriminator.parameters(), lr=rates[1], betas=(beta1, 0.999))
        self._optim_g = torch.optim.Adam(generator.parameters(), lr=rates[0], betas=(beta1, 0.999))
        self._batches = self._forever()
        self.losses: list[tuple[float, float]] = []

    def __call__(self) -> int:
        """Take one step of D and one of G; return how many real images D saw."""
        real = next(self._batches)
        self._d.zero_grad()
        output = self._probability(real)
        label = torch.full((len(real),), 1.0)
        error_real = self._criterion(output, label)
        error_real.backward()
        output.mean().item()
        fake = self._g(torch.randn(len(real), self._latent))
        label.fill_(0.0)
        output = self._probability(fake.detach())
        error_fake = self._criterion(output, label)
        error_fake.backward()
        output.mean().item()
        error_d = error_real + error_fake
        self._optim_d.step()
        self._g.zero_grad()
        label.fill_(1.0)
        output = self._probability(fake)
        error_g = self._criterion(output, label)
        error_g.backward()
        output.mean().item()
        self._optim_g.step()
        self.losses.append((error_g.item(), error_d.item()))
        if self._score:
            self._score(fake)
        return len(real)

    def _probability(self, images: Tensor) -> Tensor:
        return self._judge(images).sigmoid()

    def _forever(self) -> Iterator[Tensor]:
        while True:
            for count, batch in enumerate(self._loader, 1):
                yield batch
                if count == self._restart:
                    break


def as_torchs(network: nn.Module) -> None:
    """Make a network of ours what others would write: torch's own layers, weights and maps as they come."""
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    theirs = {Conv2d: nn.Conv2d, ConvTranspose2d: nn.ConvTranspose2d, Maps: nn.Unflatten, Features: nn.Flatten}
    for module in network.modules():
        for ours, plain in theirs.items():
            if isinstance(module, ours):
                module.forward = MethodType(plain.forward, module)  # type: ignore[method-assign]


class InceptionScore:
    """The example's measure: how clear and how varied a small untrained-or-not classifier finds a batch."""

    def __init__(self) -> None:
        self._net = nn.Sequential(
            *(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(10, 20, 5), nn.Dropout2d(), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Linear(50, 10)),
        )

    def __call__(self, images: Tensor) -> float:
        """Return exp of the mean divergence of each image's classes from all images' classes."""
        parts = []
        for batch in DataLoader(images, batch_size=32):  # type: ignore[arg-type]
            scaled = functional.interpolate(batch, size=(28, 28), mode="bilinear")
            parts.append(self._net(scaled).softmax(1).detach().numpy())
        p = np.concatenate(parts)
        return float(np.exp(np.mean([entropy(row, p.mean(0)) for row in p])))
