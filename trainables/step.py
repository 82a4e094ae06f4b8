"""One step of training: of D on a batch, and of G with every n_critic-th of them."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from trainables.batches import Batches
from trainables.conditioning import Discriminator, Scores
from trainables.losses import LOSSES, LossFunction
from trainables.models.dropout import dropouts_of, reseed_dropout
from trainables.optimisers import Optimiser
from trainables.peers import ALONE, Peers
from trainables.penalties import DiscriminatorStep
from trainables.precision import PRECISIONS
from trainables.streams import Streams, derive_seed

MEANS = ("loss_g", "loss_d", "d_real", "d_fake", "grad_norm_g", "grad_norm_d")
"""What steps add up, in this order; `loss_d` is without the penalty, the norms are those before clipping."""

_LOSS_G, _LOSS_D, _D_REAL, _D_FAKE, _NORM_G, _NORM_D = range(len(MEANS))


class Stepper:
    """Moves D and G by their optimisers.

    What a step draws comes from the stream ("train", step). With bf16, G and D run under autocast; weights, losses,
    penalties, gradients of weights and optimisers are float32.

    With several processes each steps on its part of the batch: logits are gathered before the loss and gradients
    averaged before norm and clipping, so all take the step that one would take on the whole batch.
    """

    def __init__(
        self,
        batches: Batches,
        generator: nn.Module,
        discriminator: Discriminator,
        streams: Streams,
        peers: Peers = ALONE,
    ) -> None:
        config = batches.config
        device = batches.images.device
        self._config, self._batches, self._streams, self._peers = config, batches, streams, peers
        self._generator, self._discriminator = generator, discriminator
        self._g_optimiser = config.generator_optimiser.build(generator.parameters())
        self._d_optimiser = config.discriminator_optimiser.build(discriminator.parameters())
        self._loss = LOSSES[config.loss]
        self._discriminator_loss = self._smoothed_loss()
        self._rate_control = config.rate_control.start(self._loss.boundary, device)
        self._precision = PRECISIONS[config.precision](device.type)
        self._dropouts = dropouts_of(discriminator)
        for dropout in self._dropouts:
            dropout.peers = peers

    def _smoothed_loss(self) -> LossFunction:
        smoothing, smoothed = self._config.label_smoothing, self._loss.smoothed
        if not smoothing or smoothed is None:
            return self._loss.discriminator
        return lambda real, fake: smoothed(real, fake, smoothing)

    def take(self, step: int, sums: Tensor) -> bool:
        """Take step number `step` of D, from 0, and one of G if it is due; add to `sums`; tell whether G moved."""
        config = self._config
        rng = self._streams.at("train", step)
        if self._dropouts:
            reseed_dropout(self._dropouts, derive_seed(config.seed, "dropout", step))
        real, labels = self._batches.reals(config.batch_size, rng, self._peers)
        g_first = config.update_order == "generator_first"
        g_moves = (step if g_first else step + 1) % config.n_critic == 0
        if g_moves and g_first:
            self._step_generator(step, real, labels, rng, sums)
        self._step_discriminator(step, real, labels, rng, sums)
        if g_moves and not g_first:
            self._step_generator(step, real, labels, rng, sums)
        return g_moves

    def _step_discriminator(
        self, step: int, real: Tensor, real_labels: Tensor | None, rng: torch.Generator, sums: Tensor
    ) -> None:
        config, peers = self._config, self._peers
        inputs, fake_labels = self._batches.inputs(config.batch_size, rng, peers)
        with torch.no_grad():
            fake = self._generate(inputs)
        real, fake = config.augmentation(real, rng, peers), config.augmentation(fake, rng, peers)
        on_real, on_fake = self._judge(real, real_labels), self._judge(fake, fake_labels)
        real_logits, fake_logits = peers.whole(on_real.logits, on_fake.logits)
        loss = self._discriminator_loss(real_logits, fake_logits)
        extra = config.conditioning.discriminator_loss(on_real, on_fake, real_labels, fake_labels)
        loss = loss if extra is None else loss + extra
        weights = self._discriminator.parameters()
        penalty = config.penalty.loss(
            DiscriminatorStep(self._logits, weights, real, fake, rng, step, real_labels, fake_labels, peers)
        )
        self._d_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss if penalty is None else loss + penalty)
        rate = config.discriminator_optimiser.rate(step * config.batch_size)
        norm = _move(self._discriminator, self._d_optimiser, rate, config.discriminator_optimiser, peers)
        config.penalty.after_step(self._discriminator)
        self._rate_control.observe(step, fake_logits)
        with torch.no_grad():
            sums[_LOSS_D] += loss.detach()
            sums[_D_REAL] += real_logits.sigmoid().mean()
            sums[_D_FAKE] += fake_logits.sigmoid().mean()
            sums[_NORM_D] += norm

    def _step_generator(
        self, step: int, real: Tensor, real_labels: Tensor | None, rng: torch.Generator, sums: Tensor
    ) -> None:
        config, peers = self._config, self._peers
        self._discriminator.requires_grad_(False)
        inputs, labels = self._batches.inputs(config.batch_size, rng, peers)
        on_fake = self._judge(config.augmentation(self._generate(inputs), rng, peers), labels)
        (fake_logits,) = peers.whole(on_fake.logits)
        real_logits = fake_logits.new_empty(0)
        if self._loss.generator_uses_real:
            (real_logits,) = peers.whole(self._judge(config.augmentation(real, rng, peers), real_labels).logits)
        loss = self._loss.generator(real_logits, fake_logits)
        extra = config.conditioning.generator_loss(on_fake, labels)
        loss = loss if extra is None else loss + extra
        self._g_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        rate = config.generator_optimiser.rate(step * config.batch_size) * self._rate_control.multiplier
        norm = _move(self._generator, self._g_optimiser, rate, config.generator_optimiser, peers)
        self._discriminator.requires_grad_(True)
        with torch.no_grad():
            sums[_LOSS_G] += loss.detach()
            sums[_NORM_G] += norm

    def _generate(self, inputs: Tensor) -> Tensor:
        with self._precision():
            images: Tensor = self._generator(inputs)
        return images.float()

    def _judge(self, images: Tensor, labels: Tensor | None) -> Scores:
        with self._precision():
            scores: Scores = self._discriminator(images, labels)
        return Scores(scores.logits.float(), None if scores.classes is None else scores.classes.float())

    def _logits(self, images: Tensor, labels: Tensor | None) -> Tensor:
        scores: Scores = self._discriminator(images, labels)
        return scores.logits

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step beside the networks."""
        return {
            "generator_optimiser": self._g_optimiser.state_dict(),
            "discriminator_optimiser": self._d_optimiser.state_dict(),
            "rate_control": self._rate_control.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, as from `state_dict`; other keys are left alone."""
        _restore(self._g_optimiser, state["generator_optimiser"])
        _restore(self._d_optimiser, state["discriminator_optimiser"])
        self._rate_control.load_state_dict(state["rate_control"])


def _restore(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load `state`, each moment laid out in memory as its parameter is now.

    Torch's fused optimisers walk both by their raw pointers: of another layout, moments would go to other weights.
    """
    # A torch optimiser keeps the very tensors it is given and changes them in place: give it copies.
    optimiser.load_state_dict(copy.deepcopy(state))
    for parameter, values in optimiser.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _move(network: nn.Module, optimiser: torch.optim.Optimizer, rate: float, config: Optimiser, peers: Peers) -> Tensor:
    """Step down the mean gradient, clipped if `config` says so; return its L2 norm before that, a scalar tensor."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    peers.average(gradients)
    norm = nn.utils.get_total_norm(gradients)
    if config.clip_norm:
        nn.utils.clip_grads_with_norm_(network.parameters(), config.clip_norm, norm)
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    return norm
