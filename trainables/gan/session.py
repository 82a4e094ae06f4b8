"""One GAN in training, without Ray: build it from a `TrialConfig`, train, evaluate, save, load."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.errors import Diverged, InvalidInput
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.prepare import Prepared
from trainables.gan.batches import Batches
from trainables.gan.captured import CAPTURED, EAGER, STEPS, reason_not_captured
from trainables.gan.conditioning import Scores
from trainables.gan.config import TrialConfig
from trainables.gan.ema import Ema
from trainables.gan.finite import FiniteCheck
from trainables.gan.losses import LOSSES
from trainables.gan.models import ImageShape
from trainables.gan.models.batch_norm import share_batch_norm
from trainables.gan.networks import build_networks
from trainables.gan.step import MEANS, Stepper
from trainables.images import to_bytes
from trainables.streams import Streams
from trainables.world import SINGLE, World, check_divides

__all__ = ["MEANS", "Session", "Training"]


@dataclass(frozen=True)
class Training:
    """What one call of `Session.train` did: means over its steps, and its time.

    `d_real` and `d_fake` are sigmoid(D's logit) on real and on generated images: probabilities for the
    cross-entropy losses, and a bounded view of the score for the others.
    """

    loss_g: float
    loss_d: float
    d_real: float
    d_fake: float
    grad_norm_g: float
    grad_norm_d: float
    images: int
    seconds: float


class Session:
    """A generator and a discriminator in training.

    Time is `kimg`, thousands of real images shown to D. D's step number s ends at image s * batch_size; a
    session stands at `kimg` = k after ceil(1000 k / batch_size) steps, so every batch is full, an evaluation
    never changes what is trained, and the overshoot is less than one batch and does not add up.

    On a CPU the same configuration, data and number of threads give the same bits, even when saved and loaded
    in between.

    Several processes, each with a session (`world`), can train one GAN: all must make the same calls of `train`. Only
    one of them needs to evaluate and save.
    """

    def __init__(
        self,
        config: TrialConfig,
        prepared: Prepared,
        device: str = "cpu",
        world: World = SINGLE,
        evaluator: Evaluator | None = None,
        steps: str = EAGER,
    ) -> None:
        """Build the networks and optimisers.

        Args:
            config: the trial.
            prepared: data and FID reference, from `prepare(config.data, config.evaluation)`.
            device: "cpu" or "cuda".
            world: the processes that share each batch.
            evaluator: of `prepared` on `device`; a new one by default.
            steps: a row of `trainables.gan.captured.STEPS`; see `trainables.gan.captured.steps_for`.

        Raises:
            InvalidInput: if the architecture does not fit the images, a batch is larger than the data or does not
                split over the processes, the trial needs labels but the data has none, or its steps cannot be captured.
        """
        check_divides(config.batch_size, world.world_size)
        if steps == CAPTURED and (reason := reason_not_captured(config, device, world.world_size)):
            raise InvalidInput(f"steps {CAPTURED!r}: {reason}; use {EAGER!r}")
        self.config, self._world = config, world
        self.device = torch.device(device)
        self.kimg = 0
        dataset = prepared.dataset
        if config.batch_size > (images := len(dataset.train)):
            raise InvalidInput(f"batch_size {config.batch_size}: the data has {images} training images")
        shape, classes = ImageShape(dataset.channels, dataset.size), dataset.classes or 0
        generator, self.discriminator = build_networks(config, shape, classes)
        self.generator = generator.to(self.device)
        self.discriminator.to(self.device)
        for network in (self.generator, self.discriminator):
            share_batch_norm(network, world)
        self._batches = Batches.of(config, dataset, self.device)
        self._streams = Streams(config.seed, self.device)
        how = STEPS[steps]
        self._stepper = Stepper(
            self._batches, self.generator, self.discriminator, self._streams, world, captured=how.captured
        )
        self._ema = Ema(self.generator, config.ema_kimg) if config.ema_kimg else None
        self._sums = torch.zeros(len(MEANS), device=self.device, dtype=torch.float64)
        self._steps = how(config, self._stepper, self.generator, self._ema, self._sums)
        self._check = FiniteCheck(self._sums, MEANS)
        self._evaluator = evaluator or Evaluator(prepared, self.device)

    @property
    def steps(self) -> int:
        """Steps of D so far."""
        return -(-self.kimg * 1000 // self.config.batch_size)

    @property
    def evaluated(self) -> nn.Module:
        """The generator whose images are evaluated: the moving average if there is one."""
        return self._ema.module if self._ema else self.generator

    def train(self, kimg: int) -> Training:
        """Show D another `kimg` thousand real images.

        Returns:
            Means over the steps taken (0 if there were none), as plain floats.

        Raises:
            Diverged: if a loss or a gradient norm became non-finite; checked after every thousand images (on a GPU,
                while the next thousand is under way).
        """
        started, first = time.perf_counter(), self.steps
        self._sums.zero_()
        self.generator.train()
        self.discriminator.train()
        g_steps = 0
        for _ in range(kimg):
            step = self.steps
            self.kimg += 1
            for s in range(step, self.steps):
                g_steps += self._steps.take(s)
            self._world.all_reduce_mean([self._sums])
            self._check.note(self.kimg)
        self._check.settle()
        steps = self.steps - first
        of_d, of_g = (
            max(steps, 1),
            max(g_steps, 1),
        )  # with a batch of more than `kimg` thousand, some calls take no step
        per_step = torch.tensor([of_g, of_d, of_d, of_d, of_g, of_d], dtype=torch.float64)
        means = dict(zip(MEANS, (self._sums.cpu() / per_step).tolist(), strict=True))
        seconds = time.perf_counter() - started
        return Training(**means, images=steps * self.config.batch_size, seconds=seconds)

    def _generated(self, count: int, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield batches of its images in [-1, 1] and their classes, `count` in all, in float32."""
        return self._batches.generated(self.evaluated.eval(), count, self.config.evaluation, rng)

    def generate(self, count: int, rng: torch.Generator) -> Tensor:
        """Return `count` images of the evaluated generator, uint8 (count, C, H, W) on the session's device."""
        return torch.cat([to_bytes(images) for images, _ in self._generated(count, rng)])

    def samples(self, count: int = 64) -> Tensor:
        """Return images of `count` latents that stay the same throughout the trial, uint8 (count, C, H, W)."""
        return self.generate(count, self._streams.at("samples", 0))

    def evaluate(self, draw: int = 0, images: int | None = None, first: int = 0) -> dict[str, float]:
        """Evaluate the generator on generated images, quantised to uint8 like the real ones.

        Draws from a stream of its own, so training is not affected.

        Args:
            draw: numbers other than 0 use other latents, to measure how much these matter.
            images: how many; `evaluation.count` by default.
            first: also give the FID of the first so many of them, as `trainables.evaluation.evaluator.FID_OF_FIRST`.

        Returns:
            A finite number for each of `evaluation.keys`.

        Raises:
            Diverged: if the generator's output or a metric is not finite.
        """
        purpose = f"evaluate-draw-{draw}" if draw else "evaluate"
        rng = self._streams.at(purpose, self.kimg)
        return self._evaluator.evaluate(self._finite_bytes(rng, images), first)

    def _finite_bytes(self, rng: torch.Generator, count: int | None = None) -> Iterator[Tensor]:
        for images, _ in self._generated(count or self.config.evaluation.count, rng):
            if not images.isfinite().all():
                raise Diverged(f"the generator's output became non-finite by {self.kimg} kimg")
            yield to_bytes(images)

    @torch.no_grad()
    def discriminator_probabilities(self, count: int) -> tuple[Tensor, Tensor]:
        """Return how sure D is in eval mode that `count` training and `count` evaluated images are real, (count,) each.

        It is sigmoid(logit - boundary), one half where D is undecided; for losses where only differences of logits
        have a meaning, sigmoid(logit). Draws from a stream of its own, as `evaluate` does.
        """
        rng = self._streams.at("probabilities", self.kimg)
        self.discriminator.eval()
        size = self.config.evaluation.batch
        reals = [self._batches.reals(min(size, count - start), rng) for start in range(0, count, size)]
        real = [self._probability(*batch) for batch in reals]
        fake = [self._probability(*batch) for batch in self._generated(count, rng)]
        return torch.cat(real), torch.cat(fake)

    def _probability(self, images: Tensor, labels: Tensor | None) -> Tensor:
        scores: Scores = self.discriminator(images, labels)
        return (scores.logits - (LOSSES[self.config.loss].boundary or 0.0)).sigmoid()

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes in training: tensors, and plain values that `torch.load(weights_only=True)` reads."""
        return {
            "kimg": self.kimg,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "ema": self._ema.module.state_dict() if self._ema else {},
            **self._stepper.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, the `state_dict` of a session of the same configuration."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        if self._ema:
            self._ema.module.load_state_dict(state["ema"])
        self._stepper.load_state_dict(state)
        self._steps.forget()
        self.kimg = state["kimg"]
