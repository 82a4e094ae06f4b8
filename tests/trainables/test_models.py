import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from safetensors.torch import load, save
from small_trials import example, global_randomness_untouched, same, weights
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from trainables.losses import LOSSES, Loss
from trainables.models import MODELS, ImageShape, Model
from trainables.models.initialise import initialise, settle_spectral_norm
from trainables.models.normalisation import NORMALISATIONS, Normalisation

LATENT, BATCH, STEPS = 6, 5, 20


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Case:
    """A model with a normalisation of D for one shape of images."""

    model: Model
    normalisation: Normalisation
    shape: ImageShape

    def generator(self, seed: int = 0) -> nn.Module:
        net = self.model.generator(LATENT, self.shape)
        self.model.initialise(net, seeded(seed))
        return net

    def discriminator(self, seed: int = 0) -> nn.Module:
        net = self.model.discriminator(self.shape, self.normalisation)
        self.model.initialise(net, seeded(seed))
        settle_spectral_norm(net, seeded(seed))
        return net

    def latents(self, count: int = BATCH) -> Tensor:
        return torch.randn(count, LATENT, generator=seeded(1))

    def images(self, count: int = BATCH, seed: int = 2) -> Tensor:
        return torch.rand(count, *self.shape[:1], self.shape.size, self.shape.size, generator=seeded(seed)) * 2 - 1


def cases(shapes: list[ImageShape]) -> Iterator[tuple[str, Case]]:
    for shape in shapes:
        for name, kind in MODELS.items():
            model = kind.model_validate(example(kind, width=8))
            for key in model.normalisations:
                yield f"{name}-{key}-{shape.channels}x{shape.size}", Case(model, NORMALISATIONS[key], shape)


def parametrised(*shapes: ImageShape) -> pytest.MarkDecorator:
    found = dict(cases(list(shapes)))
    return pytest.mark.parametrize("case", found.values(), ids=found.keys())


every_case = parametrised(*(ImageShape(channels, size) for size in (8, 28, 32) for channels in (1, 3)))
every_small_case = parametrised(ImageShape(1, 8))
every_model = pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS.keys())
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


# --------------------------------------------------------------------------------------- what all models keep


@every_case
def test_makes_and_judges_images_of_the_shape(case: Case) -> None:
    case.model.check_shape(case.shape)
    generator, discriminator = case.generator(), case.discriminator()
    for count in (2, BATCH):
        made = generator(case.latents(count))
        assert made.shape == (count, case.shape.channels, case.shape.size, case.shape.size)
        assert made.abs().max() <= 1
        logits = discriminator(made)
        assert logits.shape == (count,)
        assert logits.isfinite().all()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(1000)
    assert 0.99 < generator(case.latents()).abs().max() <= 1  # whatever the weights
    generator.eval()
    assert generator(case.latents(1)).shape[0] == 1  # the last batch of an evaluation may be a single image


@every_case
def test_every_weight_has_a_finite_gradient_of_its_own(case: Case) -> None:
    generator, discriminator = case.generator(), case.discriminator()
    real, fake = discriminator(case.images()), discriminator(generator(case.latents()))
    LOSSES["nonsaturating"].discriminator(real, fake).backward()
    for net in (generator, discriminator):
        norms = {}
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            norms[name] = parameter.grad.norm().item() / parameter.grad.numel() ** 0.5
        assert all(map(math.isfinite, norms.values()))
        # A weight that what follows cancels (a bias before batch norm) would have only rounding for a gradient.
        assert min(norms.values()) > 1e-5 * max(norms.values()), norms


@every_case
def test_first_weights_are_the_generators_alone(case: Case) -> None:
    for build in (case.generator, case.discriminator):
        torch.manual_seed(1)
        one = weights(build(seed=4))
        torch.manual_seed(2)
        assert same(one, weights(build(seed=4)))
        other = weights(build(seed=5))
        matrices = [name for name, value in one.items() if value.ndim > 1]
        assert matrices
        assert not any(torch.equal(one[name], other[name]) for name in matrices)


@every_small_case
def test_initialising_and_running_draws_nothing_from_global_generators(case: Case) -> None:
    generator, discriminator = case.model.generator(LATENT, case.shape), case.discriminator()
    with global_randomness_untouched():
        case.model.initialise(generator, seeded())
        case.model.initialise(discriminator, seeded())
        settle_spectral_norm(discriminator, seeded())
        discriminator(generator(case.latents())).sum().backward()


@every_case
def test_goes_through_a_file(case: Case) -> None:
    for build, inputs in ((case.generator, case.latents()), (case.discriminator, case.images())):
        net = build(seed=1)
        net(inputs)  # so that batch norm's statistics are not those it starts with
        other = build(seed=2)
        other.load_state_dict(load(save(net.state_dict())))
        assert same(weights(net), weights(other))
        assert torch.equal(net.eval()(inputs), other.eval()(inputs))


@every_case
def test_a_batch_in_another_order_gets_the_same_answers(case: Case) -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    discriminator, images = case.discriminator(), case.images()
    settled = discriminator.eval()(images)
    torch.testing.assert_close(discriminator(images[order]), settled[order])
    assert not torch.allclose(settled[0], settled[1:])


@every_case
def test_an_image_is_judged_by_itself_unless_the_normalisation_says_otherwise(case: Case) -> None:
    images, others = case.images(), case.images(seed=9)
    others[0] = images[0]
    # Two nets of the same weights, because a spectral norm in training moves on with every batch.
    one, other = case.discriminator()(images)[0], case.discriminator()(others)[0]
    assert torch.allclose(one, other, rtol=1e-4, atol=1e-6) != case.normalisation.mixes_samples


@every_case
def test_reparametrises_only_if_the_normalisation_says_so(case: Case) -> None:
    weighted = [m for m in case.discriminator().modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(weighted) >= 2
    assert all(is_parametrized(m) == case.normalisation.reparametrises for m in weighted)


def separation(discriminator: nn.Module, real: Tensor, fake: Tensor) -> float:
    with torch.no_grad():
        return (discriminator(real).mean() - discriminator(fake).mean()).item()


@every_loss
@every_small_case
def test_d_learns_to_part_a_batch_and_g_to_raise_its_own(case: Case, loss: Loss) -> None:
    generator, discriminator = case.generator(), case.discriminator()
    latents, real = case.latents(), case.images()
    fake = generator(latents).detach()
    before = separation(discriminator, real, fake)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=6e-3)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss.discriminator(discriminator(real), discriminator(fake)).backward()
        optimiser.step()
    assert separation(discriminator, real, fake) > before + 0.01

    def scored() -> float:
        with torch.no_grad():
            return discriminator(generator(latents)).mean().item()

    before = scored()
    optimiser = torch.optim.Adam(generator.parameters(), lr=6e-3)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss.generator(discriminator(real), discriminator(generator(latents))).backward()
        optimiser.step()
    assert scored() > before + 0.01


# -------------------------------------------------------------------------------------------- single models


@every_model
def test_a_wider_model_has_more_weights(kind: type[Model]) -> None:
    shape = ImageShape(1, 28)

    def count(width: int) -> int:
        model = kind.model_validate(example(kind, width=width))
        nets = model.generator(LATENT, shape), model.discriminator(shape, NORMALISATIONS["none"])
        return sum(p.numel() for net in nets for p in net.parameters())

    assert count(8) < count(16) < count(32)


@pytest.mark.parametrize("size", [4, 9, 30])
def test_dcgan_refuses_what_does_not_halve_twice(size: int) -> None:
    with pytest.raises(ValueError, match=rf"multiple of 4 and at least 8, not {size}"):
        MODELS["dcgan"]().check_shape(ImageShape(1, size))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_mlp_has_as_many_hidden_layers_as_it_says(depth: int) -> None:
    model, shape = MODELS["mlp"].model_validate({"depth": depth, "width": 7}), ImageShape(3, 8)
    g, d = model.generator(LATENT, shape), model.discriminator(shape, NORMALISATIONS["none"])

    def sizes(net: nn.Module) -> list[int]:
        return [m.out_features for m in net.modules() if isinstance(m, nn.Linear)]

    assert sizes(g) == [7] * depth + [3 * 8 * 8]
    assert sizes(d) == [7] * depth + [1]


def test_dcgans_first_weights_are_those_of_its_paper() -> None:
    model = MODELS["dcgan"].model_validate({"width": 64})
    for net in (
        model.generator(64, ImageShape(1, 28)),
        model.discriminator(ImageShape(1, 28), NORMALISATIONS["batch"]),
    ):
        model.initialise(net, seeded())
        for name, value in net.named_parameters():
            spread, n = value.std(correction=0).item(), value.numel()
            if name.endswith("bias"):
                assert not value.any()
            else:
                centre = 1 if value.ndim == 1 else 0  # a norm's gain
                assert value.mean().item() == pytest.approx(centre, abs=4 * 0.02 / n**0.5)
                assert spread == pytest.approx(0.02, rel=4 / (2 * n) ** 0.5)


def test_mlps_first_weights_keep_the_variance_through_leaky_layers() -> None:
    model = MODELS["mlp"].model_validate({"width": 256})
    net = model.discriminator(ImageShape(1, 28), NORMALISATIONS["none"])
    model.initialise(net, seeded())
    for layer in (m for m in net.modules() if isinstance(m, nn.Linear) and m.out_features > 1):
        expected = (2 / (1 + 0.2**2) / layer.in_features) ** 0.5  # He et al. 2015, eq. 15
        assert layer.weight.std().item() == pytest.approx(expected, rel=4 / (2 * layer.weight.numel()) ** 0.5)
        assert not layer.bias.any()


def test_a_kind_of_layer_without_a_rule_is_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.PReLU())
    with pytest.raises(TypeError, match="no rule to initialise PReLU"):
        initialise(net, weight=partial(nn.init.normal_, generator=seeded()))


# --------------------------------------------------------------------------------------------- spectral norm


@every_model
def test_spectral_norm_starts_settled(kind: type[Model]) -> None:
    model = kind.model_validate(example(kind, width=16))
    net = model.discriminator(ImageShape(3, 28), NORMALISATIONS["spectral"])
    model.initialise(net, seeded())
    settle_spectral_norm(net, seeded())
    for layer in (m for m in net.eval().modules() if is_parametrized(m, "weight")):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() == pytest.approx(1, rel=0.05)


def test_settling_depends_on_its_generator_alone() -> None:
    def settled(seed: int, state: int) -> dict[str, Tensor]:
        torch.manual_seed(state)
        net = NORMALISATIONS["spectral"].wrap(nn.Linear(6, 4))
        with torch.no_grad():
            net.parametrizations.weight.original.copy_(torch.linspace(-1, 1, 24).reshape(4, 6) ** 3)  # type: ignore[union-attr,operator]
        net.bias.data.zero_()
        settle_spectral_norm(net, seeded(seed))
        return weights(net)

    assert same(settled(seed=1, state=1), settled(seed=1, state=2))
