"""How labels reach G and D: the heads and losses against their formulas in float64."""

import math

import pytest
import torch
from model_cases import CLASSES, LATENT, MODELS, SMALL, Case, seeded
from small_trials import example, same, weights
from torch import Tensor, nn

from trainables.gan.conditioning import (
    CONDITIONINGS,
    AuxiliaryClassifier,
    Conditioning,
    NoConditioning,
    Projection,
    Scores,
)
from trainables.gan.models import ImageShape
from trainables.gan.models.initialise import settle_spectral_norm
from trainables.gan.models.normalisation import NORMALISATIONS

ROWS = {name: kind.model_validate(example(kind)) for name, kind in CONDITIONINGS.items()}
LABELLED = {name: row for name, row in ROWS.items() if row.uses_labels}
every_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
every_labelled_row = pytest.mark.parametrize("row", LABELLED.values(), ids=LABELLED.keys())
F, N = 5, 7


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def labels(seed: int = 1) -> Tensor:
    return torch.randint(CLASSES, (N,), generator=seeded(seed))


def head(row: Conditioning, normalisation: str = "none") -> nn.Module:
    """The head in float64 with weights of a fixed seed."""
    net = row.head(F, CLASSES, NORMALISATIONS[normalisation]).double()
    with torch.no_grad():
        for index, parameter in enumerate(net.parameters()):
            parameter.copy_(numbers(*parameter.shape, seed=10 + index))
    settle_spectral_norm(net, seeded())
    return net.eval()


def cross_entropy(logits: Tensor, targets: Tensor) -> float:
    """-mean log softmax, with nothing but `math`."""
    rows = [
        row[y] - math.log(sum(map(math.exp, row))) for row, y in zip(logits.tolist(), targets.tolist(), strict=True)
    ]
    return -sum(rows) / len(rows)


# ------------------------------------------------------------------------------------------------------- heads


@pytest.mark.parametrize("normalisation", ["none", "spectral"])
def test_projection_is_psi_of_phi_plus_the_product_with_the_classs_vector(normalisation: str) -> None:
    net, phi, y = head(Projection(), normalisation), numbers(N, F), labels()
    found = net(phi, y)
    # Miyato & Koyama 2018, eq. 4, in loops.
    v, w, b = net.embedding.weight.tolist(), net.psi.weight[0].tolist(), net.psi.bias.item()
    for i in range(N):
        x = phi[i].tolist()
        psi = sum(w[k] * x[k] for k in range(F)) + b
        product = sum(v[int(y[i])][k] * x[k] for k in range(F))
        assert found.logits[i].item() == pytest.approx(psi + product, rel=1e-12)
    assert found.classes is None
    if normalisation == "spectral":
        assert torch.linalg.matrix_norm(net.embedding.weight, ord=2).item() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("normalisation", ["none", "spectral"])
def test_acgan_has_a_linear_logit_and_linear_classes(normalisation: str) -> None:
    net, phi = head(AuxiliaryClassifier(), normalisation), numbers(N, F)
    found = net(phi)
    for part, outputs in ((net.source, found.logits[:, None]), (net.classifier, found.classes)):
        assert outputs is not None
        torch.testing.assert_close(outputs, phi @ part.weight.T + part.bias, rtol=1e-12, atol=1e-12)
    assert found.classes is not None
    assert found.classes.shape == (N, CLASSES)


def test_none_is_the_linear_layer_alone() -> None:
    net, phi = head(NoConditioning()), numbers(N, F)
    (layer,) = (m for m in net.modules() if isinstance(m, nn.Linear))
    torch.testing.assert_close(net(phi, labels()).logits, phi @ layer.weight[0] + layer.bias, rtol=1e-12, atol=1e-12)
    assert net(phi).classes is None


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("normalisation", ["none", "spectral"])
def test_none_draws_the_first_weights_of_a_plain_stack_of_layers(name: str, normalisation: str) -> None:
    """So that a trial without labels is what it was before D had a head: the same draws in the same order."""
    model, shape, kind = SMALL[name], ImageShape(1, 28), NORMALISATIONS[normalisation]
    case = Case(model, kind, shape)
    plain = nn.Sequential(model.trunk(shape, kind), kind.wrap(nn.Linear(model.features(shape), 1)), nn.Flatten(0))
    model.initialise(plain, seeded(3))
    settle_spectral_norm(plain, seeded(3))
    net = case.discriminator(seed=3)
    assert [p.shape for p in plain.parameters()] == [p.shape for p in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), net.parameters(), strict=True))
    assert torch.equal(plain(case.images()), net(case.images()).logits)


@every_row
def test_labels_matter_to_d_only_where_it_projects(row: Conditioning) -> None:
    net, phi, y = head(row), numbers(N, F), labels()
    one, other = net(phi, y).logits, net(phi, (y + 1) % CLASSES).logits
    assert torch.equal(one, other) != (row.name == "projection")
    assert torch.equal(one, net(phi, y.to(torch.int32)).logits)


@every_row
def test_each_score_is_of_its_own_sample(row: Conditioning) -> None:
    net, phi, y = head(row), numbers(N, F), labels()
    phi.requires_grad_()
    (gradient,) = torch.autograd.grad(net(phi, y).logits[2], phi)
    assert gradient[2].abs().min() > 0
    assert not gradient[[i for i in range(N) if i != 2]].any()


# ------------------------------------------------------------------------------------------------------- losses


def scores(seed: int) -> Scores:
    return Scores(numbers(N, seed=seed), numbers(N, CLASSES, seed=seed + 1))


@pytest.mark.parametrize(("of_real", "of_fake", "of_g"), [(1.0, 1.0, 1.0), (2.0, 0.0, 0.1), (0.5, 3.0, 0.0)])
def test_acgans_losses_are_weighted_cross_entropies(of_real: float, of_fake: float, of_g: float) -> None:
    row = AuxiliaryClassifier(real_weight=of_real, fake_weight=of_fake, generator_weight=of_g)
    real, fake, y, made = scores(1), scores(5), labels(1), labels(2)
    assert real.classes is not None
    assert fake.classes is not None
    on_real, on_fake = cross_entropy(real.classes, y), cross_entropy(fake.classes, made)
    assert on_real != pytest.approx(on_fake)
    found = row.discriminator_loss(real, fake, y, made).item()
    assert found == pytest.approx(of_real * on_real + of_fake * on_fake, rel=1e-12)
    assert row.generator_loss(fake, made).item() == pytest.approx(of_g * on_fake, rel=1e-12)


@pytest.mark.parametrize("row", [NoConditioning(), Projection()], ids=["none", "projection"])
def test_the_others_add_nothing_to_a_loss(row: Conditioning) -> None:
    real, fake, y = scores(1), scores(5), labels()
    assert row.discriminator_loss(real, fake, y, y) is None
    assert row.generator_loss(fake, y) is None


def test_acgans_d_learns_the_classes_and_its_g_to_make_them() -> None:
    row = AuxiliaryClassifier()
    case = Case(SMALL["mlp"], NORMALISATIONS["none"], ImageShape(1, 8), row)
    generator, discriminator = case.generator(), case.discriminator()
    y, real, z = case.labels(), case.images(), case.latents()

    def fall(parameters: list[nn.Parameter], loss: object) -> tuple[float, float]:
        optimiser, seen = torch.optim.Adam(parameters, lr=3e-3), []
        for _ in range(20):
            value = loss()  # type: ignore[operator]
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            seen.append(value.item())
        return seen[0], seen[-1]

    fake = generator(z).detach()
    of_d = fall(
        list(discriminator.parameters()),
        lambda: row.discriminator_loss(discriminator(real), discriminator(fake), y, y),
    )
    assert of_d[1] < 0.5 * of_d[0]
    wanted = (y + 1) % CLASSES
    of_g = fall(list(generator.parameters()), lambda: row.generator_loss(discriminator(generator(z)), wanted))
    assert of_g[1] < 0.5 * of_g[0]


def test_projection_trains_the_vectors_of_the_classes_it_saw() -> None:
    net = head(Projection())
    net(numbers(2, F), torch.tensor([2, 2])).logits.sum().backward()
    assert net.embedding.weight.grad[2].abs().min() > 0
    assert not net.embedding.weight.grad[:2].any()


# ----------------------------------------------------------------------------------------------------- G's input


@every_row
def test_g_takes_the_latent_and_the_one_hot_label_if_labels_are_used(row: Conditioning) -> None:
    z, y = numbers(N, LATENT).float(), labels()
    found = row.generator_input(z, y, CLASSES)
    assert found.shape == (N, row.latent_inputs(LATENT, CLASSES))
    assert found.dtype == torch.float32
    assert torch.equal(found[:, :LATENT], z)
    code = found[:, LATENT:].tolist()
    assert code == [[float(k == label) for k in range(CLASSES)] if row.uses_labels else [] for label in y.tolist()]


@every_labelled_row
@pytest.mark.parametrize("name", MODELS)
def test_the_label_changes_the_image(name: str, row: Conditioning) -> None:
    case = Case(SMALL[name], NORMALISATIONS["none"], ImageShape(1, 28), row)
    generator, z = case.generator().eval(), torch.zeros(CLASSES, LATENT)
    made = generator(row.generator_input(z, torch.arange(CLASSES), CLASSES))
    assert all(not torch.allclose(made[i], made[j]) for i in range(CLASSES) for j in range(i))


# -------------------------------------------------------------------------------------------------------- errors


def test_missing_labels_and_classes_are_said() -> None:
    phi, y = numbers(N, F), labels()
    with pytest.raises(ValueError, match="needs labels"):
        head(Projection())(phi)
    for row in LABELLED.values():
        with pytest.raises(ValueError, match="needs labels"):
            row.generator_input(numbers(N, LATENT), None, CLASSES)
    plain, row = Scores(numbers(N)), AuxiliaryClassifier()
    with pytest.raises(ValueError, match="scores without classes"):
        row.generator_loss(plain, y)
    with pytest.raises(ValueError, match="needs labels"):
        row.generator_loss(scores(1), None)


@every_row
def test_a_heads_first_weights_are_the_generators_alone(row: Conditioning) -> None:
    def build(seed: int, state: int) -> dict[str, Tensor]:
        torch.manual_seed(state)
        net = row.head(F, CLASSES, NORMALISATIONS["none"])
        SMALL["mlp"].initialise(net, seeded(seed))
        return weights(net)

    assert same(build(1, 1), build(1, 2))
    assert not same(build(1, 1), build(2, 1))
