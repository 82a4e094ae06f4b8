"""What all architectures keep, over sizes, channels, normalisations of D and conditionings."""

import copy
import math
from itertools import chain

import pytest
import torch
from model_cases import BATCH, LATENT, SMALL, VARIED, Case, cases, parametrised, seeded
from safetensors.torch import load, save
from small_trials import example, global_randomness_untouched, same, weights
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from trainables.gan.conditioning import CONDITIONINGS, Discriminator
from trainables.gan.losses import LOSSES, Loss
from trainables.gan.models import MODELS, ImageShape, Model
from trainables.gan.models.initialise import settle_spectral_norm
from trainables.gan.models.normalisation import NORMALISATIONS

STEPS = 20

LABELLED = [name for name, kind in CONDITIONINGS.items() if kind.uses_labels]
MAIN = (
    "none",
    "spectral",
)  # what the conditionings are run with: one that leaves layers as they are, one that does not

every_case = parametrised(
    chain(
        cases(VARIED, [ImageShape(3, 28)]),
        cases(SMALL, [ImageShape(1, 32)]),
        cases(SMALL, [ImageShape(1, 28)], LABELLED, MAIN),
    )
)
every_size = parametrised(
    chain(
        cases(VARIED, [ImageShape(1, 28), ImageShape(3, 32), ImageShape(3, 64)]),
        cases(SMALL, [ImageShape(1, 64), ImageShape(3, 128), ImageShape(1, 128)], normalisations=("none",)),
    )
)
every_small_case = parametrised(
    chain(cases(VARIED, [ImageShape(1, 8)]), cases(SMALL, [ImageShape(1, 8)], LABELLED, MAIN))
)
every_quick_case = parametrised(cases({name: SMALL[name] for name in ("mlp", "dcgan")}, [ImageShape(1, 8)]))
every_model = pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS.keys())
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


# ------------------------------------------------------------------------------------------- shapes and gradients


@every_size
def test_makes_and_scores_images_of_the_shape(case: Case) -> None:
    case.model.check_shape(case.shape)
    generator, discriminator = case.generator(), case.discriminator()
    for count in (2, BATCH):
        made = generator(case.latents(count))
        assert made.shape == (count, case.shape.channels, case.shape.size, case.shape.size)
        assert made.dtype == torch.float32
        assert made.abs().max() <= 1
        assert discriminator.trunk(made).shape == (count, case.model.features(case.shape))
        logits = discriminator(made).logits
        assert logits.shape == (count,)
        assert logits.isfinite().all()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(30)
    assert 0.99 < generator(case.latents()).abs().max() <= 1  # whatever the weights
    generator.eval()
    assert generator(case.latents(1)).shape[0] == 1  # the last batch of an evaluation may be a single image


@every_case
def test_every_weight_has_a_finite_gradient_of_its_own(case: Case) -> None:
    generator, discriminator = case.generator(), case.discriminator()
    labels, conditioning = case.labels(), case.conditioning
    real, fake = discriminator(case.images(), labels), discriminator(generator(case.latents()), labels)
    loss = LOSSES["nonsaturating"].discriminator(real.logits, fake.logits)
    extra = conditioning.discriminator_loss(real, fake, labels, labels)
    torch.autograd.backward(loss if extra is None else loss + extra)
    for net in (generator, discriminator):
        norms = {}
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            norms[name] = parameter.grad.norm().item() / parameter.grad.numel() ** 0.5
        assert all(map(math.isfinite, norms.values()))
        # A weight that what follows cancels (a bias before batch norm) would have only rounding for a gradient.
        assert min(norms.values()) > 1e-5 * max(norms.values()), norms


@every_small_case
def test_a_gradient_by_the_image_can_itself_be_differentiated(case: Case) -> None:
    """What the gradient penalties need, and by each image alone."""
    discriminator, images = case.discriminator(), case.images().requires_grad_()
    logits = discriminator(images, case.labels()).logits
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    assert gradient.flatten(1).norm(dim=1).min() > 0
    (gradient.flatten(1).norm(dim=1) - 1).square().mean().backward()
    found = [p.grad for p in discriminator.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in found)
    assert any(g.any() for g in found)


# -------------------------------------------------------------------------------------------------- randomness


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
    generator, discriminator = case.generator(), case.discriminator()
    with global_randomness_untouched():
        case.model.initialise(generator, seeded())
        case.model.initialise(discriminator, seeded())
        settle_spectral_norm(discriminator, seeded())
        discriminator(generator(case.latents()), case.labels()).logits.sum().backward()


@every_case
def test_the_same_weights_and_inputs_give_the_same_bits(case: Case) -> None:
    def run() -> list[Tensor]:
        generator, discriminator = case.generator(), case.discriminator()
        made = generator(case.latents())
        discriminator(made, case.labels()).logits.sum().backward()
        return [made, *(p.grad for net in (generator, discriminator) for p in net.parameters() if p.grad is not None)]

    assert all(torch.equal(one, other) for one, other in zip(run(), run(), strict=True))


# -------------------------------------------------------------------------------------------- copies and files


@every_case
def test_goes_through_a_file(case: Case) -> None:
    for build, inputs in ((case.generator, case.latents()), (case.discriminator, case.images())):
        net = build(seed=1)
        outputs(net, inputs, case)  # so that batch norm's statistics are not those it starts with
        other = build(seed=2)
        other.load_state_dict(load(save(net.state_dict())))
        assert same(weights(net), weights(other))
        assert torch.equal(outputs(net.eval(), inputs, case), outputs(other.eval(), inputs, case))


@every_case
def test_a_deep_copy_is_equal_and_its_own(case: Case) -> None:
    for net, inputs in ((case.generator(), case.latents()), (case.discriminator(), case.images())):
        before, other = weights(net), copy.deepcopy(net)
        assert torch.equal(outputs(copy.deepcopy(net), inputs, case), outputs(other, inputs, case))
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(1)
        assert same(before, weights(net))
        assert not same(before, weights(other))


def outputs(net: nn.Module, inputs: Tensor, case: Case) -> Tensor:
    found: Tensor = net(inputs, case.labels()).logits if isinstance(net, Discriminator) else net(inputs)
    return found


# ------------------------------------------------------------------------------------------- samples of a batch


@every_case
def test_a_batch_in_another_order_gets_the_same_answers(case: Case) -> None:
    order = torch.tensor([3, 0, 4, 2, 1])
    discriminator, images, labels = case.discriminator().eval(), case.images(), case.labels()
    settled = discriminator(images, labels).logits
    torch.testing.assert_close(discriminator(images[order], labels[order]).logits, settled[order])
    assert not torch.allclose(settled[0], settled[1:])


@every_case
def test_an_image_is_scored_by_itself_unless_the_normalisation_says_otherwise(case: Case) -> None:
    images, others, labels = case.images(), case.images(seed=9), case.labels()
    others[0] = images[0]
    # Two nets of the same weights, because a spectral norm in training moves on with every batch.
    one, other = (case.discriminator()(batch, labels).logits[0] for batch in (images, others))
    assert torch.allclose(one, other, rtol=1e-4, atol=1e-6) != case.normalisation.mixes_samples


@every_case
def test_reparametrises_only_if_the_normalisation_says_so(case: Case) -> None:
    weighted = [m for m in case.discriminator().modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Embedding)]
    assert len(weighted) >= 2
    assert all(is_parametrized(m) == case.normalisation.reparametrises for m in weighted)


# ------------------------------------------------------------------------------------------------------ learning


def separation(discriminator: Discriminator, real: Tensor, fake: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return (discriminator(real, labels).logits.mean() - discriminator(fake, labels).logits.mean()).item()


def learns(case: Case, loss: Loss) -> None:
    generator, discriminator = case.generator(), case.discriminator()
    latents, real, labels = case.latents(), case.images(), case.labels()
    fake = generator(latents).detach()
    before = separation(discriminator, real, fake, labels)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=6e-3)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss.discriminator(discriminator(real, labels).logits, discriminator(fake, labels).logits).backward()
        optimiser.step()
    assert separation(discriminator, real, fake, labels) > before + 0.01

    def scored() -> float:
        with torch.no_grad():
            return discriminator(generator(latents), labels).logits.mean().item()

    before = scored()
    optimiser = torch.optim.Adam(generator.parameters(), lr=6e-3)
    for _ in range(STEPS):
        optimiser.zero_grad()
        made = discriminator(generator(latents), labels).logits
        loss.generator(discriminator(real, labels).logits, made).backward()
        optimiser.step()
    assert scored() > before + 0.01


@every_loss
@every_quick_case
def test_d_learns_to_part_a_batch_and_g_to_raise_its_own(case: Case, loss: Loss) -> None:
    learns(case, loss)


@every_small_case
def test_so_they_do_with_every_normalisation_and_conditioning(case: Case) -> None:
    learns(case, LOSSES["nonsaturating"])


# --------------------------------------------------------------------------------------------- width and spectral


@every_model
def test_a_wider_model_has_more_weights(kind: type[Model]) -> None:
    shape = ImageShape(1, 28)

    def count(width: int) -> int:
        model = kind.model_validate(example(kind, width=width))
        nets = model.generator(LATENT, shape), model.trunk(shape, NORMALISATIONS["none"])
        return sum(p.numel() for net in nets for p in net.parameters())

    assert count(8) < count(16) < count(32)


@every_model
@pytest.mark.parametrize("conditioning", CONDITIONINGS.values(), ids=CONDITIONINGS.keys())
def test_spectral_norm_starts_settled(kind: type[Model], conditioning: type) -> None:
    model = kind.model_validate(example(kind, width=16))
    case = Case(model, NORMALISATIONS["spectral"], ImageShape(3, 28), conditioning())
    for layer in (m for m in case.discriminator().eval().modules() if is_parametrized(m, "weight")):
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() == pytest.approx(1, rel=0.2)


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
    assert not same(settled(seed=1, state=1), settled(seed=2, state=1))
