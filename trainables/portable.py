"""A trained generator as one module of plain torch, for export: loading it does not need this package.

It takes latents, and the classes where the generator uses them, and gives images in [0, 1], as in torchvision and
matplotlib: `(255 * images).round().byte()` are pixels.
"""

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from trainables.gan.conditioning import Conditioning
from trainables.gan.latents import Latent
from trainables.gan.models.convolutions import with_torch_convolutions
from trainables.generator import Generator
from trainables.streams import Streams

_EXAMPLES = 4  # more than one: torch.export takes a size of 1 in an example for a constant


class Portable(nn.Module):
    """Latents (N, D) -> images (N, C, H, W) in [0, 1], of the weights' type; latents of another type are converted."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latents: Tensor) -> Tensor:
        """Make images; N may be any number."""
        return in_unit_interval(self.network(_like_weights(latents, self.network)))


class PortableWithClasses(nn.Module):
    """Latents (N, D), whole classes (N,) -> images (N, C, H, W) in [0, 1], of the weights' type.

    The class adds to the latents from tables with one row per class: its centre, for class-conditional latents, and
    what the conditioning appends. A class out of range raises an IndexError (on a CPU).
    """

    centres: Tensor | None
    behind: Tensor | None

    def __init__(self, network: nn.Module, latent: Latent, conditioning: Conditioning, classes: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("centres", latent.centres(classes))
        behind = conditioning.generator_input(torch.zeros(classes, 0), torch.arange(classes), classes)
        self.register_buffer("behind", behind if behind.shape[1] else None)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Make images of these classes; N may be any number."""
        latents, labels = _like_weights(latents, self.network), labels.long()
        if self.centres is not None:
            latents = latents + functional.embedding(labels, self.centres)
        if self.behind is not None:
            latents = torch.cat([latents, functional.embedding(labels, self.behind)], dim=1)
        return in_unit_interval(self.network(latents))


def portable(generator: Generator) -> fx.GraphModule:
    """Return the generator as a module on its device, in eval mode and without gradients.

    Its layers are torch's own and its code is part of it, so `torch.save` writes what torch alone reads. `eval`,
    `train`, `half` and `to` do what they do with any module.
    """
    facts, network = generator.facts, with_torch_convolutions(generator.network)
    module: nn.Module = Portable(network)
    if facts.trial.uses_labels:
        module = PortableWithClasses(network, facts.trial.latent, facts.trial.conditioning, facts.classes)
    return fx.symbolic_trace(module.eval().requires_grad_(False).to(generator.device))


def example_inputs(generator: Generator, count: int = _EXAMPLES) -> tuple[Tensor, ...]:
    """Return `count` inputs for `portable(generator)`, always the same, on the CPU: latents, and their classes."""
    facts = generator.facts
    rng = Streams(0, torch.device("cpu")).at("example", 0)
    if not facts.trial.uses_labels:
        return (facts.trial.latent.sample(count, rng),)
    labels = torch.arange(count) % facts.classes
    latents = facts.trial.latent.sample(count, rng, labels)
    centres = facts.trial.latent.centres(facts.classes)
    if centres is not None:
        latents = latents - centres[labels]
    return latents, labels


@torch.no_grad()
def eager_images(generator: Generator, latents: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return what the network itself makes of `portable`'s inputs: what an export of it is held against."""
    facts = generator.facts
    centres = facts.trial.latent.centres(facts.classes)
    if centres is not None and labels is not None:
        latents = latents + centres[labels]
    inputs = facts.trial.conditioning.generator_input(latents, labels, facts.classes)
    return in_unit_interval(generator.network(inputs.to(generator.device))).cpu()


def in_unit_interval(images: Tensor) -> Tensor:
    """From [-1, 1]."""
    return images.add(1).mul(0.5).clamp(0, 1)


def _like_weights(latents: Tensor, network: nn.Module) -> Tensor:
    """In their type, so that NumPy's float64 is taken, and float32 after `half()`."""
    return latents.type_as(next(network.parameters()))
