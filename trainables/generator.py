"""A trained generator as one file: its weights and all it takes to draw images, without the data set.

`generator.safetensors` holds the weights, and in its header (`GeneratorFacts` as JSON) the configuration, the shape
of the images, the frequency of their classes, and the generator's FID. Nothing is ever unpickled.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from trainables.checkpoint import Checkpoint
from trainables.data import DataFacts
from trainables.errors import CorruptFile, CorruptInput, InvalidInput, reason_of
from trainables.evaluation.image_counts import FidEstimate
from trainables.files import write_atomically
from trainables.gan.config import TrialConfig
from trainables.gan.latents import NormalLatent
from trainables.gan.models import ImageShape
from trainables.gan.models.layout import lay_out
from trainables.gan.networks import check_fit
from trainables.images import to_bytes
from trainables.paths import is_file, is_folder
from trainables.streams import Streams
from trainables.tensors import weights_digest
from trainables.threads import fixed_threads
from trainables.validation import validated
from trainables.variants import Variant

FILE = "generator.safetensors"
"""The file's name in the folder of a training."""

_KEY = "ganstudy"  # a single key, since the order of several is not kept and equal generators must be equal files
_CHUNK = 64  # latents drawn and run at a time, so that the first n images do not depend on the count


class GeneratorFacts(Variant):
    """What a generator's file says about it."""

    format: Literal[1] = 1
    trial: TrialConfig
    channels: Literal[1, 3]
    size: int = Field(ge=1, le=4096, description="pixels a side")
    class_counts: tuple[int, ...] = Field(default=(), description="training images of each class; empty: no labels")
    kimg: int = Field(ge=0, description="thousands of real images that D had seen")
    fid: float
    fid_images: int | None = Field(
        default=None, description="generated images that `fid` is of; null: evaluation.count"
    )
    fid_fingerprint: str = Field(description="of `fid`: what it was measured against")
    threads: int = Field(default=1, ge=1, le=4096, description="torch threads: on a CPU the last bits depend on them")
    weights: str = Field(description="SHA-256 (hex) of the weights")

    @property
    def images_judged(self) -> int:
        """The number of generated images that `fid` is of: FIDs of other numbers do not compare with it."""
        return self.fid_images or self.trial.evaluation.count

    @property
    def classes(self) -> int:
        """How many classes the data had, 0 for none."""
        return len(self.class_counts)

    @property
    def shape(self) -> ImageShape:
        """The shape of the images."""
        return ImageShape(self.channels, self.size)


@dataclass(frozen=True)
class Samples:
    """Generated images, uint8 (N, C, H, W), and the classes asked for, int64 (N,), if it takes any."""

    images: Tensor
    labels: Tensor | None


class Generator:
    """A trained generator that needs nothing but its file."""

    def __init__(self, facts: GeneratorFacts, weights: Mapping[str, Tensor], device: str = "cpu") -> None:
        """Build the network of `facts` with these weights, in eval mode on `device`.

        Raises:
            CorruptInput: if they do not match.
        """
        self.facts = facts
        self.device = torch.device(device)
        self.network = _network(facts)
        try:
            self.network.load_state_dict(dict(weights))
        except RuntimeError as error:
            raise CorruptInput(f"weights of another network: {reason_of(error, most=200)}") from error
        self.network.requires_grad_(False).eval().to(self.device)

    @classmethod
    def read(cls, path: Path, device: str = "cpu") -> Self:
        """Read a file that `write_generator` wrote, or the one in the folder `path`.

        Raises:
            InvalidInput: if there is none, or it is something else.
            CorruptInput: if it is damaged.
        """
        file = _find(path)
        facts, weights = _read(file)
        if weights_digest(weights) != facts.weights:
            raise CorruptInput(f"{file}: damaged: its weights are not those that were written; copy it again")
        try:
            return cls(facts, weights, device)
        except InvalidInput as error:
            raise CorruptInput(f"{file}: {error}") from error

    def sample(self, count: int, seed: int = 0, label: int | None = None) -> Samples:
        """Draw `count` images, always the same for a seed; the first ones do not depend on `count`.

        Args:
            count: images, 1 or more.
            seed: decides latents and classes, the same on every device; not related to the trial's.
            label: the class of all of them; None: classes as frequent as in the data. It does not change the latents.

        Raises:
            InvalidInput: if the generator does not take classes, or not this one.
        """
        self._check_label(label)
        chunks = [self._chunk(seed, index, label) for index in range(math.ceil(count / _CHUNK))]
        images = torch.cat([images for images, _ in chunks])[:count]
        labels = [drawn for _, drawn in chunks if drawn is not None]
        return Samples(images, torch.cat(labels)[:count] if labels else None)

    def interpolate(self, count: int, seed: int = 0, label: int | None = None) -> Samples:
        """Draw images of one class at `count` equal steps from one latent to another.

        Normal latents go along cos(t) a + sin(t) b, so that each is distributed like the ends; others go straight,
        within their support.

        Args:
            count: images including both ends, 2 or more.
            seed: decides both ends and the class.
            label: the class; None: drawn.

        Raises:
            InvalidInput: as `sample`.
        """
        self._check_label(label)
        rng = self._stream(seed, "interpolate", 0)
        labels = self._labels(2, rng, label)
        if labels is not None:
            labels = labels[:1].expand(2)
        first, last = self.facts.trial.latent.sample(2, rng, labels)
        way = torch.linspace(0, 1, count)[:, None]
        if isinstance(self.facts.trial.latent, NormalLatent):
            latents = torch.cos(way * torch.pi / 2) * first + torch.sin(way * torch.pi / 2) * last
        else:
            latents = torch.lerp(first, last, way)
        labels = None if labels is None else labels[:1].repeat(count)
        return Samples(self._images(latents, labels), labels)

    def _chunk(self, seed: int, index: int, label: int | None) -> tuple[Tensor, Tensor | None]:
        rng = self._stream(seed, "sample", index)
        labels = self._labels(_CHUNK, rng, label)
        return self._images(self.facts.trial.latent.sample(_CHUNK, rng, labels), labels), labels

    def _stream(self, seed: int, purpose: str, index: int) -> torch.Generator:
        return Streams(seed, torch.device("cpu")).at(purpose, index)

    def _labels(self, count: int, rng: torch.Generator, label: int | None) -> Tensor | None:
        if not self.facts.trial.uses_labels:
            return None
        ends = torch.tensor(self.facts.class_counts).cumsum(0)
        drawn = torch.searchsorted(ends, torch.randint(int(ends[-1]), (count,), generator=rng), right=True)
        return drawn if label is None else torch.full_like(drawn, label)

    @torch.no_grad()
    def _images(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        inputs = self.facts.trial.conditioning.generator_input(latents, labels, self.facts.classes)
        with fixed_threads(self.facts.threads):
            images: Tensor = self.network(inputs.to(self.device))
        if not images.isfinite().all():
            raise CorruptFile("the generator's images are not finite: its training had diverged; take an earlier one")
        return to_bytes(images).cpu()

    def _check_label(self, label: int | None) -> None:
        if label is None:
            return
        if not self.facts.trial.uses_labels:
            raise InvalidInput(f"class {label}: this generator was trained without classes; leave it out")
        if not 0 <= label < self.facts.classes:
            raise InvalidInput(f"class {label}: this generator has the classes 0 to {self.facts.classes - 1}")


def from_checkpoint(
    checkpoint: Checkpoint, trial: TrialConfig, data: DataFacts, fid_fingerprint: str, threads: int
) -> tuple[GeneratorFacts, dict[str, Tensor]]:
    """Return the facts and weights of the generator that a checkpoint's report is about.

    Args:
        checkpoint: of that trial.
        trial: its configuration.
        data: what it was trained on.
        fid_fingerprint: of the report's FID.
        threads: torch's, in that training.
    """
    weights = checkpoint.state["ema" if trial.ema_kimg else "generator"]
    facts = GeneratorFacts(
        trial=trial,
        channels=data.shape[0],
        size=data.shape[1],
        class_counts=data.class_counts,
        kimg=int(checkpoint.report["kimg"]),
        fid=checkpoint.report["fid"],
        fid_images=FidEstimate.of(0, checkpoint.report).images or None,
        fid_fingerprint=fid_fingerprint,
        threads=threads,
        weights=weights_digest(weights),
    )
    return facts, weights


def write_generator(file: Path, facts: GeneratorFacts, weights: Mapping[str, Tensor]) -> None:
    """Write a generator atomically; equal generators give equal bytes."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    header = json.dumps(facts.model_dump(mode="json"), sort_keys=True)
    write_atomically(file, save(tensors, {_KEY: header}))


def _network(facts: GeneratorFacts) -> nn.Module:
    trial = facts.trial
    check_fit(trial, facts.shape, facts.classes)
    with torch.random.fork_rng(devices=[]):  # constructors draw initial weights from the global generator
        network = trial.model.generator(
            trial.conditioning.latent_inputs(trial.latent.dimension, facts.classes), facts.shape
        )
    lay_out(network)
    return network


def _find(path: Path) -> Path:
    file = path / FILE if is_folder(path) else path
    if is_file(file):
        return file
    if is_folder(path):
        raise InvalidInput(f"{path}: no {FILE} in it; is its training finished? `ganstudy train` again goes on with it")
    raise InvalidInput(f"{path}: not there; name a folder that `ganstudy train` wrote, or its {FILE}")


def _read(file: Path) -> tuple[GeneratorFacts, dict[str, Tensor]]:
    foreign = InvalidInput(f"{file}: not a generator that `ganstudy train` wrote")
    try:
        with safe_open(file, framework="pt") as opened:
            header: Any = (opened.metadata() or {}).get(_KEY)
            if header is None:
                raise foreign
            facts = validated(GeneratorFacts, json.loads(header), f"{file}: its header")
            return facts, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise CorruptInput(f"{file}: not a safetensors file, or damaged ({reason_of(error, most=120)})") from error
    except OSError as error:
        raise InvalidInput(f"{file}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # the latter: nested more deeply than Python reads
        raise foreign from error
