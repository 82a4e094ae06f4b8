"""A trained generator as one module of plain torch, for export: loading it does not need this package.

It takes latents, and the classes where the generator uses them, and gives images in [0, 1], as in torchvision and
matplotlib: `(255 * images).round().byte()` are pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.gan.conditioning import Conditioning
from trainables.gan.latents import Latent
from trainables.generator import Generator
from trainables.streams import Streams

_EXAMPLES = 4  # more than one: torch.export takes a size of 1 in an example for a constant


class Portable(nn.Module):
    """Latents float32 (N, D) -> images float32 (N, C, H, W) in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latents: Tensor) -> Tensor:
        """Make images; N may be any number."""
        return _in_unit_interval(self.network(latents))


class PortableWithClasses(nn.Module):
    """Latents float32 (N, D), classes int64 (N,) -> images float32 (N, C, H, W) in [0, 1].

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
        if self.centres is not None:
            latents = latents + functional.embedding(labels, self.centres)
        if self.behind is not None:
            latents = torch.cat([latents, functional.embedding(labels, self.behind)], dim=1)
        return _in_unit_interval(self.network(latents))


def portable(generator: Generator) -> nn.Module:
    """Return the generator as a module on its device, in eval mode and without gradients."""
    facts = generator.facts
    module: nn.Module = Portable(generator.network)
    if facts.trial.uses_labels:
        module = PortableWithClasses(generator.network, facts.trial.latent, facts.trial.conditioning, facts.classes)
    return module.eval().requires_grad_(False).to(generator.device)


def example_inputs(generator: Generator) -> tuple[Tensor, ...]:
    """Return inputs for `portable(generator)`, always the same, on the CPU: a few latents, and their classes."""
    facts = generator.facts
    rng = Streams(0, torch.device("cpu")).at("example", 0)
    if not facts.trial.uses_labels:
        return (facts.trial.latent.sample(_EXAMPLES, rng),)
    labels = torch.arange(_EXAMPLES) % facts.classes
    latents = facts.trial.latent.sample(_EXAMPLES, rng, labels)
    centres = facts.trial.latent.centres(facts.classes)
    if centres is not None:
        latents = latents - centres[labels]
    return latents, labels


def _in_unit_interval(images: Tensor) -> Tensor:
    """From [-1, 1]."""
    return images.add(1).mul(0.5).clamp(0, 1)
