"""One step of training: of D on a batch, and of G with every n_critic-th of them."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from trainables.gan.batches import Batches
from trainables.gan.conditioning import Discriminator, Scores
from trainables.gan.losses import LOSSES, LossFunction
from trainables.gan.models.dropout import dropouts_of, reseed_dropout
from trainables.gan.optimisers import Optimiser
from trainables.gan.penalties import DiscriminatorStep
from trainables.gan.rate_dial import RateDial
from trainables.precision import PRECISIONS
from trainables.streams import Streams, derive_seed
from trainables.world import SINGLE, World

MEANS = ("loss_g", "loss_d", "d_real", "d_fake", "grad_norm_g", "grad_norm_d")
"""The sums over steps, in this order; `loss_d` is without the penalty, the norms are those before clipping."""

_LOSS_G, _LOSS_D, _D_REAL, _D_FAKE, _NORM_G, _NORM_D = range(len(MEANS))

_Fakes = tuple[Tensor, Tensor | None]
"""G's images in float32 and their classes."""


class StepKind(NamedTuple):
    """What decides a step's operations: steps of one kind differ only in what `Stepper.dial` sets."""

    moves_generator: bool
    penalty_phase: int


class Stepper:
    """Moves D and G by their optimisers.

    What a step draws comes from the stream ("train", step). With bf16, G and D run under autocast; weights, losses,
    penalties, gradients of weights and optimisers are float32.

    With several processes each steps on its part of the batch: logits are gathered before the loss and gradients
    averaged before norm and clipping, so all take the step that one process would take on the whole batch.

    With `reuse_fakes` a step of G and the step of D beside it share their images, generated once, as in PyTorch's
    DCGAN tutorial; otherwise each draws latents of its own (Goodfellow et al. 2014, algorithm 1).

    A step has two parts: `dial` sets what differs from step to step, the seeds and the rates; `work` is everything that
    the device does. With `captured`, `work` may be captured and replayed: it takes no plain number that changes.
    """

    def __init__(
        self,
        batches: Batches,
        generator: nn.Module,
        discriminator: Discriminator,
        streams: Streams,
        world: World = SINGLE,
        captured: bool = False,
    ) -> None:
        config = batches.config
        device = batches.images.device
        self._config, self._batches, self._streams, self._world = config, batches, streams, world
        self._generator, self._discriminator = generator, discriminator
        self._g_optimiser = config.generator_optimiser.build(generator.parameters())
        self._d_optimiser = config.discriminator_optimiser.build(discriminator.parameters())
        rates_at = device if captured else None
        self._g_rate, self._d_rate = RateDial(self._g_optimiser, rates_at), RateDial(self._d_optimiser, rates_at)
        self._loss = LOSSES[config.loss]
        self._discriminator_loss = self._smoothed_loss()
        self._rate_control = config.rate_control.start(self._loss.boundary, device)
        self._precision = PRECISIONS[config.precision](device.type)
        self._g_first = config.update_order == "generator_first"
        self._dropouts = dropouts_of(discriminator)
        for dropout in self._dropouts:
            dropout.world = world

    def _smoothed_loss(self) -> LossFunction:
        smoothing, smoothed = self._config.label_smoothing, self._loss.smoothed
        if not smoothing or smoothed is None:
            return self._loss.discriminator
        return lambda real, fake: smoothed(real, fake, smoothing)

    def take(self, step: int, sums: Tensor) -> bool:
        """Take step number `step` of D, from 0, and one of G if it is due; add to `sums`; tell whether G moved."""
        self.dial(step)
        self.work(step, sums)
        return self.moves_generator(step)

    def moves_generator(self, step: int) -> bool:
        """Whether G moves along with D's step number `step`: once in n_critic steps, at their end or beginning."""
        return (step if self._g_first else step + 1) % self._config.n_critic == 0

    def kind(self, step: int) -> StepKind | None:
        """Return the kind of step number `step`; None if the host reads from the device during it."""
        if self._config.rate_control.reads(step):
            return None
        return StepKind(self.moves_generator(step), self._config.penalty.phase(step))

    @property
    def generators(self) -> list[torch.Generator]:
        """The generators that steps draw from; complete after the first step."""
        return [self._streams.generator, *(rng for dropout in self._dropouts for rng in dropout.generators)]

    def dial(self, step: int) -> None:
        """Set the seeds and the rates of step number `step`; never waits for the device."""
        config = self._config
        self._streams.at("train", step)
        if self._dropouts:
            reseed_dropout(self._dropouts, derive_seed(config.seed, "dropout", step))
        self._d_rate.set(config.discriminator_optimiser.rate(step * config.batch_size))
        if self.moves_generator(step):
            self._dial_generator(step)

    def _dial_generator(self, step: int) -> None:
        rate = self._config.generator_optimiser.rate(step * self._config.batch_size)
        self._g_rate.set(rate * self._rate_control.multiplier)

    def work(self, step: int, sums: Tensor) -> None:
        """Do the work of step number `step`, after `dial`."""
        config, rng, g_moves = self._config, self._streams.generator, self.moves_generator(step)
        real, labels = self._batches.reals(config.batch_size, rng, self._world)
        shared = self._fakes(rng) if g_moves and config.reuse_fakes else None
        if g_moves and self._g_first:
            self._step_generator(real, labels, shared, rng, sums)
        multiplier = self._rate_control.multiplier
        self._step_discriminator(step, real, labels, shared, rng, sums)
        if g_moves and not self._g_first:
            if self._rate_control.multiplier != multiplier:  # only where it `reads`, so never in a captured step
                self._dial_generator(step)
            self._step_generator(real, labels, shared, rng, sums)

    def _step_discriminator(
        self,
        step: int,
        real: Tensor,
        real_labels: Tensor | None,
        shared: _Fakes | None,
        rng: torch.Generator,
        sums: Tensor,
    ) -> None:
        config, world = self._config, self._world
        with torch.no_grad():
            fake, fake_labels = shared or self._fakes(rng)
        real, fake = config.augmentation(real, rng, world), config.augmentation(fake.detach(), rng, world)
        on_real, on_fake = self._discriminate(real, real_labels), self._discriminate(fake, fake_labels)
        real_logits, fake_logits = world.all_gather(on_real.logits, on_fake.logits)
        loss = self._discriminator_loss(real_logits, fake_logits)
        extra = config.conditioning.discriminator_loss(on_real, on_fake, real_labels, fake_labels)
        loss = loss if extra is None else loss + extra
        weights = self._discriminator.parameters()
        penalty = config.penalty.loss(
            DiscriminatorStep(self._logits, weights, real, fake, rng, step, real_labels, fake_labels, world)
        )
        self._d_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss if penalty is None else loss + penalty)
        norm = _move(self._discriminator, self._d_optimiser, config.discriminator_optimiser, world)
        config.penalty.after_step(self._discriminator)
        self._rate_control.observe(step, fake_logits)
        with torch.no_grad():
            sums[_LOSS_D] += loss.detach()
            sums[_D_REAL] += real_logits.sigmoid().mean()
            sums[_D_FAKE] += fake_logits.sigmoid().mean()
            sums[_NORM_D] += norm

    def _step_generator(
        self, real: Tensor, real_labels: Tensor | None, shared: _Fakes | None, rng: torch.Generator, sums: Tensor
    ) -> None:
        config, world = self._config, self._world
        self._discriminator.requires_grad_(False)
        fake, labels = shared or self._fakes(rng)
        on_fake = self._discriminate(config.augmentation(fake, rng, world), labels)
        (fake_logits,) = world.all_gather(on_fake.logits)
        real_logits = fake_logits.new_empty(0)
        if self._loss.generator_uses_real:
            (real_logits,) = world.all_gather(
                self._discriminate(config.augmentation(real, rng, world), real_labels).logits
            )
        loss = self._loss.generator(real_logits, fake_logits)
        extra = config.conditioning.generator_loss(on_fake, labels)
        loss = loss if extra is None else loss + extra
        self._g_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = _move(self._generator, self._g_optimiser, config.generator_optimiser, world)
        self._discriminator.requires_grad_(True)
        with torch.no_grad():
            sums[_LOSS_G] += loss.detach()
            sums[_NORM_G] += norm

    def _fakes(self, rng: torch.Generator) -> _Fakes:
        """Draw latents; return G's images from them and their classes."""
        inputs, labels = self._batches.inputs(self._config.batch_size, rng, self._world)
        with self._precision():
            images: Tensor = self._generator(inputs)
        return images.float(), labels

    def _discriminate(self, images: Tensor, labels: Tensor | None) -> Scores:
        with self._precision():
            scores: Scores = self._discriminator(images, labels)
        return Scores(scores.logits.float(), None if scores.classes is None else scores.classes.float())

    def _logits(self, images: Tensor, labels: Tensor | None) -> Tensor:
        scores: Scores = self._discriminator(images, labels)
        return scores.logits

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step besides the networks."""
        return {
            "generator_optimiser": self._g_rate.state_dict(),
            "discriminator_optimiser": self._d_rate.state_dict(),
            "rate_control": self._rate_control.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, as from `state_dict`; other keys are ignored."""
        self._g_rate.load_state_dict(state["generator_optimiser"])
        self._d_rate.load_state_dict(state["discriminator_optimiser"])
        self._rate_control.load_state_dict(state["rate_control"])


def _move(network: nn.Module, optimiser: torch.optim.Optimizer, config: Optimiser, world: World) -> Tensor:
    """Step down the mean gradient, clipped if `config` says so; return its L2 norm before clipping, a scalar."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    world.all_reduce_mean(gradients)
    norm = nn.utils.get_total_norm(gradients)
    if config.clip_norm:
        nn.utils.clip_grads_with_norm_(network.parameters(), config.clip_norm, norm)
    optimiser.step()
    return norm
