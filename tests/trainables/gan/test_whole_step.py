"""Whole steps with several parts on against plain autograd in float64: that each part gets what is its own."""

import copy
from typing import Any

import pytest
import torch
from small_trials import small
from torch import Tensor, nn
from torch.nn import functional

from trainables.evaluation.prepare import Prepared
from trainables.gan.conditioning import Scores
from trainables.gan.models.dropout import Dropout
from trainables.gan.penalties import DiscriminatorStep
from trainables.gan.session import Session
from trainables.images import to_unit_range
from trainables.streams import Streams

SMOOTHING, WEIGHT, INTERVAL, RATE, CLIP, BATCH = 0.1, 3.0, 2, 0.1, 0.7, 250
OF_REAL, OF_FAKE, OF_G = 2.0, 0.5, 0.3


def test_steps_are_those_of_plain_autograd_with_acgan_a_lazy_penalty_smoothing_and_clipping(prepared: Prepared) -> None:
    sgd = {"name": "sgd", "lr": RATE, "momentum": 0}
    config = small(
        conditioning={"name": "acgan", "real_weight": OF_REAL, "fake_weight": OF_FAKE, "generator_weight": OF_G},
        penalty={"name": "r2", "weight": WEIGHT, "interval": INTERVAL},
        normalisation="layer",
        label_smoothing=SMOOTHING,
        generator_optimiser=sgd,
        discriminator_optimiser=sgd | {"clip_norm": CLIP},
        batch_size=BATCH,
    )
    session = Session(config, prepared)
    generator, discriminator = (copy.deepcopy(net).double() for net in (session.generator, session.discriminator))
    train = prepared.dataset.train
    assert train.labels is not None
    data, classes = torch.from_numpy(train.images.copy()), torch.from_numpy(train.labels.copy())
    norms = []
    for step in range(4):
        rng = Streams(config.seed, torch.device("cpu")).at("train", step)

        def indices(rng: torch.Generator = rng) -> Tensor:
            return torch.randint(len(data), (BATCH,), generator=rng)

        def made(rng: torch.Generator = rng) -> tuple[Tensor, Tensor]:
            y = classes[indices()]
            z = torch.randn(BATCH, config.latent.dimension, generator=rng)
            return generator(torch.cat([z, functional.one_hot(y, 10)], 1).double()), y

        chosen = indices()
        real, real_classes = to_unit_range(data[chosen]).double(), classes[chosen]
        fake, fake_classes = made()
        fake = fake.detach().requires_grad_()
        on_real, on_fake = discriminator(real, real_classes), discriminator(fake, fake_classes)
        p, q = on_real.logits.sigmoid(), on_fake.logits.sigmoid()
        loss = -((1 - SMOOTHING) * p.log() + SMOOTHING * (1 - p).log()).mean() - (1 - q).log().mean()
        loss = loss + OF_REAL * functional.cross_entropy(on_real.classes, real_classes)
        loss = loss + OF_FAKE * functional.cross_entropy(on_fake.classes, fake_classes)
        if step % INTERVAL == 0:
            (slope,) = torch.autograd.grad(on_fake.logits.sum(), fake, create_graph=True)
            loss = loss + INTERVAL * WEIGHT / 2 * slope.square().sum((1, 2, 3)).mean()
        norms.append(descend(discriminator, loss, CLIP))

        fake, fake_classes = made()
        on_fake = discriminator(fake, fake_classes)
        loss = -on_fake.logits.sigmoid().log().mean()
        descend(generator, loss + OF_G * functional.cross_entropy(on_fake.classes, fake_classes))
    session.train(1)  # four steps of 250 images
    assert max(norms) > CLIP
    for net, exact in ((session.discriminator, discriminator), (session.generator, generator)):
        for one, other in zip(net.parameters(), exact.parameters(), strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5)


def descend(net: nn.Module, loss: Tensor, clip: float | None = None) -> float:
    """One step of gradient descent; return the gradient's norm."""
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    norm: float = torch.cat([g.flatten() for g in gradients]).norm().item()
    part = 1.0 if clip is None else min(1.0, clip / norm)
    with torch.no_grad():
        for parameter, gradient in zip(net.parameters(), gradients, strict=True):
            parameter.sub_(RATE * part * gradient)
    return norm


class Watcher:
    """In place of a penalty and of a rate control: keeps what it is given."""

    multiplier = 1.0

    def __init__(self) -> None:
        self.steps: list[DiscriminatorStep] = []
        self.observed: list[tuple[int, Tensor]] = []

    def loss(self, at: DiscriminatorStep) -> None:
        self.steps.append(at)

    def after_step(self, discriminator: nn.Module) -> None:
        pass

    def start(self, boundary: float | None, device: torch.device) -> "Watcher":
        return self

    def observe(self, step: int, fake_logits: Tensor) -> None:
        self.observed.append((step, fake_logits.detach().clone()))


def test_penalty_and_rate_control_are_given_ds_own_step(prepared: Prepared) -> None:
    watcher = Watcher()
    config = small(conditioning={"name": "projection"}, batch_size=500, update_order="generator_first")
    session = Session(config.model_copy(update={"penalty": watcher, "rate_control": watcher}), prepared)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def keep(module: nn.Module, args: Any, scores: Scores) -> None:
        seen.append((args[0].detach().clone(), args[1], scores.logits.detach().clone()))

    session.discriminator.register_forward_hook(keep)
    session.train(1)  # two steps, each of them: G's fakes, then D's reals and D's fakes
    assert len(seen) == 6
    for step in range(2):
        (real, real_labels, on_real), (fake, fake_labels, on_fake) = seen[3 * step + 1 : 3 * step + 3]
        at = watcher.steps[step]
        assert at.step == step
        for given, expected in (
            (at.real, real),
            (at.fake, fake),
            (at.real_labels, real_labels),
            (at.fake_labels, fake_labels),
        ):
            assert given is not None
            assert torch.equal(given, expected)
        number, logits = watcher.observed[step]
        assert number == step
        assert torch.equal(logits, on_fake)
        assert not torch.equal(on_fake, on_real)
        assert not torch.equal(real_labels, fake_labels)


def test_dropouts_masks_are_new_for_every_batch_and_every_step(prepared: Prepared) -> None:
    config = small(model={"name": "dcgan", "width": 4, "dropout": 0.5}, batch_size=500)
    session = Session(config, prepared)
    masks: list[Tensor] = []
    first = next(layer for layer in session.discriminator.modules() if isinstance(layer, Dropout))
    first.register_forward_hook(lambda module, args, output: masks.append(output.detach() != 0))
    session.train(1)  # two steps, each with reals, fakes and G's fakes
    assert len(masks) == 6
    assert len({mask.numpy().tobytes() for mask in masks}) == 6
    assert all(mask.double().mean().item() == pytest.approx(0.5, abs=0.02) for mask in masks)
