"""Maps whose channels lie last: the same numbers and derivatives, in the layout that is promised, both ways."""

import copy

import pytest
import torch
from model_cases import SMALL, Case, parametrised
from small_trials import same, small, weights
from torch import Tensor, nn

from trainables.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from trainables.evaluation.prepare import Prepared
from trainables.gan.models import ImageShape
from trainables.gan.models.layout import Features, Maps, lay_out
from trainables.gan.models.normalisation import NORMALISATIONS
from trainables.gan.networks import build_networks
from trainables.gan.session import Session

CONVNETS = {name: model for name, model in SMALL.items() if name != "mlp"}


def is_last(maps: Tensor) -> bool:
    return maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()


def test_maps_and_features_are_torchs_and_gradients_lie_as_the_maps() -> None:
    x = torch.arange(2 * 3 * 16.0).view(2, 48).requires_grad_()
    maps = Maps(3, 4)(x)
    assert is_last(maps)
    assert torch.equal(maps, x.view(2, 3, 4, 4))
    features, seen = Features()(maps), list[Tensor]()
    maps.register_hook(seen.append)  # hooks are called in their order
    assert torch.equal(features, x)
    weight = torch.rand(2, 48, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((features * weight).sum(), x)
    assert torch.equal(gradient, weight)
    assert is_last(seen[0])


@parametrised((name, Case(model, NORMALISATIONS["spectral"], ImageShape(3, 32))) for name, model in CONVNETS.items())
def test_a_convnet_laid_out_is_the_same_function(case: Case) -> None:
    plain, ours = case.discriminator().double(), case.discriminator().double()
    lay_out(ours)
    images = case.images().double()
    for one, other in ((plain, ours), (case.generator().double(), case.generator().double())):
        lay_out(other)
        given = images if isinstance(one, type(plain)) else case.latents().double()
        found = [net(given) for net in (one.eval(), other.eval())]
        numbers = [made if isinstance(made, Tensor) else made.logits for made in found]
        torch.testing.assert_close(numbers[0], numbers[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CONVNETS)
def test_a_trials_weights_gradients_and_checkpoints_keep_the_layout(
    name: str, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = small(model={"name": name, "width": 4}, normalisation="spectral")
    session = Session(config, prepared)
    session.train(1)
    wide = [p for p in session.discriminator.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert wide
    assert all(is_last(parameter) for parameter in wide)
    assert all(parameter.grad is not None and is_last(parameter.grad) for parameter in wide)
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, Checkpoint(session.state_dict(), {}))
    other = Session(config, prepared)
    other.load_state_dict(read_checkpoint(folder).state)
    assert all(
        is_last(p) for p in other.discriminator.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1
    )
    for one in (session, other):
        one.train(1)
    nets: list[tuple[nn.Module, nn.Module]] = [
        (session.generator, other.generator),
        (session.discriminator, other.discriminator),
    ]
    for one_net, other_net in nets:
        ours, theirs = weights(one_net), weights(other_net)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", ["adam", "sgd"])  # fused: they walk raw pointers
def test_optimiser_state_of_another_layout_gives_the_same_steps(name: str, prepared: Prepared) -> None:
    optimiser = {"name": name, "lr": 1e-3}
    config = small(
        model={"name": "dcgan", "width": 4}, generator_optimiser=optimiser, discriminator_optimiser=optimiser
    )
    session = Session(config, prepared)
    session.train(1)
    state = copy.deepcopy(session.state_dict())
    moved = 0
    for optimiser_state in (state["generator_optimiser"], state["discriminator_optimiser"]):
        for moments in optimiser_state["state"].values():
            for key, value in moments.items():
                if isinstance(value, Tensor):
                    moved += not value.is_contiguous()
                    moments[key] = value.contiguous()
    assert moved
    straight, other = Session(config, prepared), Session(config, prepared)
    straight.load_state_dict(session.state_dict())
    other.load_state_dict(state)
    for one in (straight, other):
        one.train(1)
    assert same(weights(straight.generator), weights(other.generator))
    assert same(weights(straight.discriminator), weights(other.discriminator))


def test_networks_are_built_laid_out() -> None:
    generator, _ = build_networks(small(model={"name": "dcgan", "width": 4}), ImageShape(1, 28), 0)
    assert any(is_last(p) for p in generator.parameters() if p.ndim == 4)
