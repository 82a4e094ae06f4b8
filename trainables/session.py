"""One GAN in training, without Ray: build it from a `TrialConfig`, train, evaluate, save, load."""

import copy
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.config import TrialConfig
from trainables.ema import Ema
from trainables.errors import Diverged, InvalidInput
from trainables.fid import FeatureMoments
from trainables.images import to_bytes, to_unit_range
from trainables.losses import LOSSES
from trainables.models import ImageShape
from trainables.models.initialise import settle_spectral_norm
from trainables.models.normalisation import NORMALISATIONS
from trainables.prepare import Prepared
from trainables.streams import Streams
from trainables.tensors import as_tensor

MEANS = ("loss_g", "loss_d", "d_real", "d_fake", "grad_norm_g", "grad_norm_d")


@dataclass(frozen=True)
class Training:
    """What one call of `Session.train` did: means over its steps, and its time.

    `d_real` and `d_fake` are sigmoid(D's logit) on real and on generated images: probabilities for the
    cross-entropy losses, for the others a bounded view of the score.
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

    On a CPU the same configuration, data and number of threads give the same bits, also when saved and loaded
    on the way.
    """

    def __init__(self, config: TrialConfig, prepared: Prepared, device: str = "cpu") -> None:
        """Build the networks and optimisers.

        Args:
            config: the trial.
            prepared: data and FID reference, from `prepare(config.data, config.evaluation)`.
            device: "cpu" or "cuda".

        Raises:
            InvalidInput: if the architecture does not fit the images, or a batch is larger than the data.
        """
        self.config = config
        self.device = torch.device(device)
        self.kimg = 0
        dataset = prepared.dataset
        self._reals = as_tensor(dataset.train.images).to(self.device)
        if config.batch_size > len(self._reals):
            raise InvalidInput(f"batch_size {config.batch_size}: the data has {len(self._reals)} training images")
        self._shape = ImageShape(dataset.channels, dataset.size)
        self._reference = prepared.reference()
        self._extractor = prepared.build_extractor(self.device)
        self._streams = Streams(config.seed, self.device)
        self._loss = LOSSES[config.loss]
        self._build_networks()
        self._g_optimiser = config.generator_optimiser.build(self.generator.parameters())
        self._d_optimiser = config.discriminator_optimiser.build(self.discriminator.parameters())
        self._ema = Ema(self.generator, config.ema_kimg) if config.ema_kimg else None

    def _build_networks(self) -> None:
        model, normalisation = self.config.model, NORMALISATIONS[self.config.normalisation]
        try:
            model.check_shape(self._shape)
        except ValueError as error:
            raise InvalidInput(str(error)) from None
        first = Streams(self.config.seed, torch.device("cpu"))
        with torch.random.fork_rng(devices=[]):  # torch's constructors draw weights that are replaced below
            generator = model.generator(self.config.latent.dimension, self._shape)
            discriminator = model.discriminator(self._shape, normalisation)
            model.initialise(generator, first.at("generator", 0))
            model.initialise(discriminator, first.at("discriminator", 0))
            settle_spectral_norm(discriminator, first.at("spectral", 0))
        self.generator = generator.to(self.device)
        self.discriminator = discriminator.to(self.device)

    @property
    def steps(self) -> int:
        """Steps of D so far."""
        return -(-self.kimg * 1000 // self.config.batch_size)

    @property
    def judged(self) -> nn.Module:
        """The generator whose images are judged: the moving average where there is one."""
        return self._ema.module if self._ema else self.generator

    def train(self, kimg: int) -> Training:
        """Show D another `kimg` thousand real images.

        Returns:
            Means over the steps taken (0 where there was none), as plain floats.

        Raises:
            Diverged: if a loss or a gradient norm became non-finite; checked after every thousand images.
        """
        started, first = time.perf_counter(), self.steps
        sums = torch.zeros(len(MEANS), device=self.device, dtype=torch.float64)
        self.generator.train()
        self.discriminator.train()
        g_steps = 0
        for _ in range(kimg):
            step = self.steps
            self.kimg += 1
            for s in range(step, self.steps):
                g_steps += self._step(s, sums)
            self._refuse_non_finite(sums)
        steps = self.steps - first
        of_d, of_g = max(steps, 1), max(g_steps, 1)  # a batch of more than `kimg` thousand leaves calls without a step
        per_step = torch.tensor([of_g, of_d, of_d, of_d, of_g, of_d], dtype=torch.float64)
        means = dict(zip(MEANS, (sums.cpu() / per_step).tolist(), strict=True))
        seconds = time.perf_counter() - started
        return Training(**means, images=steps * self.config.batch_size, seconds=seconds)

    def _refuse_non_finite(self, sums: Tensor) -> None:
        values = dict(zip(MEANS, sums.tolist(), strict=True))
        bad = [name for name, value in values.items() if not -float("inf") < value < float("inf")]
        if bad:
            raise Diverged(f"{bad[0]} became non-finite by {self.kimg} kimg")

    def _step(self, step: int, sums: Tensor) -> bool:
        """Take step `step` of D and, after every n_critic-th, one of G; add to `sums`; tell whether G moved."""
        config = self.config
        rng = self._streams.at("train", step)
        indices = torch.randint(len(self._reals), (config.batch_size,), generator=rng, device=self.device)
        real = to_unit_range(self._reals.index_select(0, indices))
        with torch.no_grad():
            fake = self.generator(config.latent.sample(config.batch_size, rng))
        self._step_discriminator(real, fake, rng, sums)
        if (step + 1) % config.n_critic:
            return False
        self._step_generator(real, rng, sums)
        if self._ema:
            shown = (step + 1) * config.batch_size
            self._ema.update(self.generator, shown, config.n_critic * config.batch_size)
        return True

    def _step_discriminator(self, real: Tensor, fake: Tensor, rng: torch.Generator, sums: Tensor) -> None:
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        loss = self._loss.discriminator(real_logits, fake_logits)
        penalty = self.config.penalty.loss(self.discriminator, real, fake, rng)
        self._d_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss if penalty is None else loss + penalty)
        norm = _gradient_norm(self.discriminator)
        self._d_optimiser.step()
        self.config.penalty.after_step(self.discriminator)
        with torch.no_grad():
            sums[1] += loss.detach()
            sums[2] += real_logits.sigmoid().mean()
            sums[3] += fake_logits.sigmoid().mean()
            sums[5] += norm

    def _step_generator(self, real: Tensor, rng: torch.Generator, sums: Tensor) -> None:
        self.discriminator.requires_grad_(False)
        fake_logits = self.discriminator(self.generator(self.config.latent.sample(self.config.batch_size, rng)))
        real_logits = self.discriminator(real) if self._loss.generator_uses_real else fake_logits.new_empty(0)
        loss = self._loss.generator(real_logits, fake_logits)
        self._g_optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        norm = _gradient_norm(self.generator)
        self._g_optimiser.step()
        self.discriminator.requires_grad_(True)
        with torch.no_grad():
            sums[0] += loss.detach()
            sums[4] += norm

    @torch.no_grad()
    def generate(self, count: int, rng: torch.Generator) -> Tensor:
        """Return `count` images of the judged generator, uint8 (count, C, H, W) on the session's device."""
        generator = self.judged.eval()
        size = self.config.evaluation.batch
        batches = (min(size, count - start) for start in range(0, count, size))
        images = [to_bytes(generator(self.config.latent.sample(n, rng))) for n in batches]
        return torch.cat(images)

    def samples(self, count: int = 64) -> Tensor:
        """Return images of `count` latents that stay the same all along the trial, uint8 (count, C, H, W)."""
        return self.generate(count, self._streams.at("samples", 0))

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Judge the generator: the FID of `evaluation.count` images, quantised to uint8 as the reals are.

        Draws from a stream of its own, so that training goes on as if nothing had happened.

        Raises:
            Diverged: if the generator's output is not finite.
        """
        config = self.config.evaluation
        rng = self._streams.at("evaluate", self.kimg)
        moments = FeatureMoments(self._extractor.dimension)
        generator = self.judged.eval()
        for start in range(0, config.count, config.batch):
            output = generator(self.config.latent.sample(min(config.batch, config.count - start), rng))
            if not output.isfinite().all():
                raise Diverged(f"the generator's output became non-finite by {self.kimg} kimg")
            moments.update(self._extractor(to_bytes(output)))
        return {"fid": self._reference.distance(moments)}

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes in training: tensors, and plain values that `torch.load(weights_only=True)` reads."""
        return {
            "kimg": self.kimg,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "ema": self._ema.module.state_dict() if self._ema else {},
            "generator_optimiser": self._g_optimiser.state_dict(),
            "discriminator_optimiser": self._d_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`, as from `state_dict` of a session of the same configuration."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        if self._ema:
            self._ema.module.load_state_dict(state["ema"])
        # A torch optimiser keeps the very tensors it is given and changes them in place: give it copies.
        self._g_optimiser.load_state_dict(copy.deepcopy(state["generator_optimiser"]))
        self._d_optimiser.load_state_dict(copy.deepcopy(state["discriminator_optimiser"]))
        self.kimg = state["kimg"]


def _gradient_norm(module: nn.Module) -> Tensor:
    """L2 norm over all gradients of `module`, a scalar tensor."""
    return nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])
