"""Teaches the classifier's network to see without labels: by telling how an image was turned, and which two crops are
of one image.

Predicting rotations (Gidaris et al. 2018, "Unsupervised representation learning by predicting image rotations") makes
it see shapes; telling apart images by crops of them (Chen et al. 2020, "A simple framework for contrastive learning of
visual representations", SimCLR's loss NT-Xent) makes it see what kinds there are, also where no side is up. Crops are
shrunk, shifted and turned a little, but neither blurred nor changed in brightness: what the network is taught not to
notice, an FID of its features would not see in generated images either.

In place of classes it has clusters of its features. docs/fid.md tells how well its FIDs order trials. The recipe is
fixed: the same data, machine and thread count give the same weights; torch's global generator stays untouched.
"""

import math

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.data.images import Dataset
from trainables.evaluation.classifier import DIMENSION, Classifier, rate
from trainables.tensors import as_tensor

RECIPE = 1
"""Version of the recipe, part of every cached network's name: raise it when anything here changes."""

CLUSTERS = 10
"""Clusters of its features, at most: as many as usual data sets have classes."""

_STEPS = 1_200
_TURNED, _CROPPED = 128, 64  # images in a batch that are turned, and those of which two crops are taken
_PEAK_RATE = 4e-3
_WEIGHT_DECAY = 1e-3
_PROJECTION = 128  # width of the layers between features and NT-Xent, which are thrown away (Chen et al., section 4.2)
_TEMPERATURE = 0.2
_SMALLEST_CROP = 0.5  # of a side
_TILT = math.radians(10)
_CLUSTERED = 20_000  # images at most
_SEED = 1


def train(dataset: Dataset) -> Classifier:
    """The network, in evaluation mode, taught on the data set's train split; its labels are not looked at.

    The recipe: AdamW with the classifier's one-cycle rate for 1,200 steps, each on 128 images turned by 0, 90, 180 or
    270 degrees and on two crops each of 64 of them; then k-means of the features.
    """
    images = as_tensor(dataset.train.images)
    rng = torch.Generator().manual_seed(_SEED)
    model = Classifier(dataset.channels, 4, rng).train()
    projection = _projection(rng)
    parameters = [*model.parameters(), *projection.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=_PEAK_RATE, weight_decay=_WEIGHT_DECAY, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step / _STEPS))
    for _ in range(_STEPS):
        chosen = images[torch.randint(len(images), (_TURNED,), generator=rng)].float()
        turned, turns = _turned(chosen, rng)
        crops = [crop(chosen[:_CROPPED], rng) for _ in range(2)]
        features = model.features(torch.cat([turned, *crops]))
        loss = F.cross_entropy(model.head(features[:_TURNED]), turns) + nt_xent(projection(features[_TURNED:]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    model.eval()
    model.head = _clusters(model, images)
    return model


def nt_xent(projected: Tensor) -> Tensor:
    """SimCLR's loss of 2 N projections: the first N and the last are of the same N images (Chen et al., eq. 1)."""
    unit = F.normalize(projected, dim=1)
    alike = (unit @ unit.T / _TEMPERATURE).fill_diagonal_(-torch.inf)
    half = torch.arange(len(unit) // 2)
    return F.cross_entropy(alike, torch.cat([half + len(half), half]))


def crop(images: Tensor, rng: torch.Generator) -> Tensor:
    """A random part of each image, float N x C x H x W, at the size of the whole: shrunk, shifted and tilted."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(len(images), *shape, generator=rng)

    side, tilt = uniform(_SMALLEST_CROP, 1), uniform(-_TILT, _TILT)
    shift = uniform(-1, 1, 2) * (1 - side)[:, None]
    sine, cosine = side * tilt.sin(), side * tilt.cos()
    maps = torch.stack(
        [torch.stack([cosine, -sine, shift[:, 0]], 1), torch.stack([sine, cosine, shift[:, 1]], 1)], dim=1
    )
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _turned(images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Each image turned by a random number of quarters, and these numbers."""
    turns = torch.randint(4, (len(images),), generator=rng)
    done = images.clone()
    for quarters in (1, 2, 3):
        done[turns == quarters] = images[turns == quarters].rot90(quarters, (2, 3))
    return done, turns


def _projection(rng: torch.Generator) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):  # modules draw from the global generator when they are made
        first, last = nn.Linear(DIMENSION, _PROJECTION), nn.Linear(_PROJECTION, _PROJECTION)
    for layer in (first, last):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=rng)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.BatchNorm1d(_PROJECTION), nn.ReLU(), last)


@torch.no_grad()
def _clusters(model: Classifier, images: Tensor) -> nn.Linear:
    """The last layer whose softmax says which k-means cluster of the features an image is of.

    It is the posterior of normal distributions of one width around the centres, up to what they share:
    log p(k | f) = (f.c_k - |c_k|^2 / 2) / s^2.
    """
    from sklearn.cluster import KMeans  # slow to import

    some = images[torch.linspace(0, len(images) - 1, min(len(images), _CLUSTERED)).round().long()]
    parts = (some[start : start + 500] for start in range(0, len(some), 500))
    values = torch.cat([model.features(part) for part in parts]).double().numpy()
    count = min(CLUSTERS, len(np.unique(values, axis=0)))
    with threadpool_limits(1):
        found = KMeans(count, n_init=4, random_state=_SEED).fit(values)
    centres = torch.from_numpy(found.cluster_centers_)
    variance = max(found.inertia_ / values.size, 1e-12)
    with torch.random.fork_rng(devices=[]):
        head = nn.Linear(DIMENSION, count)
    head.weight.copy_(centres / variance)
    head.bias.copy_(-centres.square().sum(1) / (2 * variance))
    return head
