"""What each knob of training does to a step, by hand on the digits."""

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from small_trials import EVERYTHING, same, small, weights
from torch import Tensor, nn

from trainables.data import Dataset, LabelledImages
from trainables.errors import InvalidInput
from trainables.evaluation.prepare import Prepared
from trainables.gan.conditioning import CONDITIONINGS
from trainables.gan.config import TrialConfig
from trainables.gan.latents import LATENTS
from trainables.gan.losses import LOSSES
from trainables.gan.penalties import DiscriminatorStep
from trainables.gan.session import Session
from trainables.images import to_unit_range
from trainables.streams import Streams
from trainables.world import World

CPU = torch.device("cpu")
SGD = {"name": "sgd", "lr": 0.1, "momentum": 0}


def rate_of(session: Session, net: str) -> float:
    """The learning rate of the last step."""
    rate: float = session.state_dict()[f"{net}_optimiser"]["param_groups"][0]["lr"]
    return rate


def one_step(**changes: Any) -> TrialConfig:
    """A trial that takes one step of D and one of G to a kimg."""
    return small(batch_size=1000, **changes)


def first_batch(config: TrialConfig, prepared: Prepared) -> tuple[Tensor, torch.Generator]:
    """The first step's real images, and the generator as it stands after they were drawn."""
    rng = Streams(config.seed, CPU).at("train", 0)
    chosen = torch.randint(1437, (config.batch_size,), generator=rng)
    return to_unit_range(torch.from_numpy(prepared.dataset.train.images.copy()))[chosen], rng


# ----------------------------------------------------------------------------------------------- update order


def test_generator_first_moves_g_against_the_old_d_and_d_against_the_new_g(prepared: Prepared) -> None:
    config = one_step(update_order="generator_first")
    session = Session(config, prepared)
    generator, discriminator = copy.deepcopy(session.generator), copy.deepcopy(session.discriminator)
    training = session.train(1)
    real, rng = first_batch(config, prepared)
    for_g, for_d = (config.latent.sample(1000, rng) for _ in range(2))
    loss = LOSSES[config.loss]
    loss_g = loss.generator(real, discriminator(generator(for_g)).logits)
    assert training.loss_g == pytest.approx(loss_g.item(), rel=1e-5)
    fake = session.generator.train()(for_d)
    loss_d = loss.discriminator(discriminator(real).logits, discriminator(fake).logits)
    assert training.loss_d == pytest.approx(loss_d.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("order", "moved"), [("generator_first", [1, 1, 1, 2, 2]), ("discriminator_first", [0, 0, 1, 1, 1])]
)
def test_g_moves_at_the_beginning_or_at_the_end_of_n_critic_steps(
    order: str, moved: list[int], prepared: Prepared
) -> None:
    session = Session(small(update_order=order, n_critic=3, batch_size=1000), prepared)
    found = []
    for _ in range(5):
        session.train(1)
        state = session.state_dict()["generator_optimiser"]["state"]
        found.append(int(state[0]["step"]) if state else 0)
    assert found == moved


@pytest.mark.parametrize("order", ["discriminator_first", "generator_first"])
def test_reused_fakes_are_what_both_steps_use(order: str, prepared: Prepared) -> None:
    """D is told their images as G made them, and G moves by what D, moved or not, says of the very same."""
    config = one_step(update_order=order, reuse_fakes=True)
    session = Session(config, prepared)
    generator, before = copy.deepcopy(session.generator), copy.deepcopy(session.discriminator)
    training = session.train(1)
    real, rng = first_batch(config, prepared)
    fake = generator.train()(config.latent.sample(1000, rng))
    loss = LOSSES[config.loss]
    loss_d = loss.discriminator(before(real).logits, before(fake).logits)
    discriminate = before if order == "generator_first" else session.discriminator
    loss_g = loss.generator(real, discriminate(fake).logits)
    assert training.loss_d == pytest.approx(loss_d.item(), rel=1e-5)
    assert training.loss_g == pytest.approx(loss_g.item(), rel=1e-5)
    fresh = Session(one_step(update_order=order), prepared).train(1)
    assert (fresh.loss_d, fresh.loss_g) != pytest.approx((loss_d.item(), loss_g.item()), rel=1e-5)


# ------------------------------------------------------------------------------------- smoothing, rates, norms


def test_smoothed_labels_are_those_of_ds_loss_and_not_of_gs(prepared: Prepared) -> None:
    plain, smoothed = one_step(), one_step(label_smoothing=0.2)
    one, other = Session(plain, prepared), Session(smoothed, prepared)
    discriminator, generator = copy.deepcopy(other.discriminator), copy.deepcopy(other.generator)
    real, rng = first_batch(smoothed, prepared)
    reals = discriminator(real).logits
    fakes = discriminator(generator(smoothed.latent.sample(1000, rng))).logits
    probability = reals.sigmoid()
    expected = -(0.8 * probability.log() + 0.2 * (1 - probability).log()).mean() - (1 - fakes.sigmoid()).log().mean()
    assert other.train(1).loss_d == pytest.approx(expected.item(), rel=1e-4)
    second = smoothed.latent.sample(1000, rng)
    images = generator.train()(second)
    expected_g = -other.discriminator.train()(images).logits.sigmoid().log().mean()
    assert one.train(1).loss_d != pytest.approx(expected.item(), rel=1e-4)
    again = Session(smoothed, prepared).train(1)
    assert again.loss_g == pytest.approx(expected_g.item(), rel=1e-4)


@pytest.mark.parametrize("resumed", [False, True])
def test_rates_fall_with_the_images_shown_and_then_nothing_moves(resumed: bool, prepared: Prepared) -> None:
    d, g = ({"name": "adam", "lr": 1e-3, "decay_kimg": kimg} for kimg in (4, 2))
    config = small(discriminator_optimiser=d, generator_optimiser=g)
    session = Session(config, prepared)
    for kimg in range(1, 5):
        before = weights(session.generator), weights(session.discriminator)
        session.train(1)
        shown = 1000 * kimg - 200  # at the beginning of the last step
        assert rate_of(session, "discriminator") == pytest.approx(1e-3 * (1 - shown / 4000), rel=1e-12)
        assert rate_of(session, "generator") == pytest.approx(1e-3 * max(0, 1 - shown / 2000), rel=1e-12)
        parameters = [name for name, _ in session.generator.named_parameters()]
        after = weights(session.generator)
        still = all(torch.equal(before[0][name], after[name]) for name in parameters)
        assert still == (kimg > 2)
        assert not same(before[1], weights(session.discriminator))
        if resumed:
            state, session = copy.deepcopy(session.state_dict()), Session(config, prepared)
            session.load_state_dict(state)


@pytest.mark.parametrize("net", ["generator", "discriminator"])
def test_a_gradient_is_clipped_to_its_norm_and_reported_before(net: str, prepared: Prepared) -> None:
    plain, clipped, loose = (
        Session(one_step(**{f"{net}_optimiser": SGD | {"clip_norm": limit}}), prepared) for limit in (0, 0.05, 1e6)
    )
    moves = []
    for session in (plain, clipped, loose):
        before = {name: p.detach().clone() for name, p in getattr(session, net).named_parameters()}
        training = session.train(1)
        norm = training.grad_norm_g if net == "generator" else training.grad_norm_d
        moves.append((norm, {name: p.detach() - before[name] for name, p in getattr(session, net).named_parameters()}))
    assert moves[0][0] == moves[1][0] == moves[2][0] > 0.05  # the norm before clipping
    assert same(moves[0][1], moves[2][1])
    length = sum(move.double().square().sum().item() for move in moves[1][1].values()) ** 0.5
    assert length == pytest.approx(0.1 * 0.05, rel=1e-3)
    for name, move in moves[0][1].items():  # the same direction
        torch.testing.assert_close(moves[1][1][name], move * (0.05 / moves[0][0]), rtol=1e-3, atol=5e-7)


@pytest.mark.parametrize(("low", "high", "multiplier"), [(1, 1, 0.5), (0, 0, 2), (0, 1, 1)])
def test_gs_rate_is_controlled_and_ds_is_not(low: float, high: float, multiplier: float, prepared: Prepared) -> None:
    # An impossible band on one side, on the other, and one that holds everything; five steps of D make two windows.
    control = {"name": "false_positive_rate", "window": 2, "low": low, "high": high, "factor": 0.5, "limit": 100}
    rate = {"name": "adam", "lr": 1e-3, "decay_kimg": 10}
    session = Session(small(rate_control=control, generator_optimiser=rate), prepared)
    session.train(1)
    assert rate_of(session, "discriminator") == 2e-4
    assert rate_of(session, "generator") == pytest.approx(1e-3 * (1 - 800 / 10_000) * multiplier**2, rel=1e-12)


# ----------------------------------------------------------------------------------------------- augmentation


class Grey:
    """An augmentation: every image becomes one shade that tells how often images were augmented before."""

    def __init__(self) -> None:
        self.calls: list[Tensor] = []

    def __call__(self, images: Tensor, rng: torch.Generator, world: World) -> Tensor:
        self.calls.append(images.detach())
        return images * 0 + (len(self.calls) - 1) / 10


class Watcher:
    """A penalty of nothing that keeps what it is given, and in which precision it is asked for."""

    def __init__(self) -> None:
        self.seen: list[tuple[DiscriminatorStep, bool, Tensor]] = []

    def after_step(self, discriminator: nn.Module) -> None:
        pass

    def loss(self, at: DiscriminatorStep) -> None:
        logits = at.discriminator(at.real, at.real_labels)
        self.seen.append((at, torch.is_autocast_enabled("cpu"), logits))


@pytest.mark.parametrize("loss", ["nonsaturating", "relativistic"])
def test_d_sees_real_and_generated_images_augmented_whenever_it_sees_them(loss: str, prepared: Prepared) -> None:
    grey, watcher = Grey(), Watcher()
    config = one_step(loss=loss).model_copy(update={"augmentation": grey, "penalty": watcher})
    session = Session(config, prepared)
    seen: list[Tensor] = []
    session.discriminator.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    session.train(1)
    shades = [float(images.unique()) for images in seen]
    # Real, generated, the penalty on the real; for G generated, and real if its loss asks for them.
    assert shades == pytest.approx([0, 0.1, 0, 0.2] + ([0.3] if loss == "relativistic" else []))
    real, _ = first_batch(config, prepared)
    assert torch.equal(grey.calls[0], real)
    ((at, _, _),) = watcher.seen
    assert (float(at.real.unique()), float(at.fake.unique())) == pytest.approx((0, 0.1))
    assert not at.fake.requires_grad


# -------------------------------------------------------------------------------------------------- precision


def test_bf16_runs_the_networks_in_bf16_and_the_rest_in_float32(prepared: Prepared) -> None:
    watcher = Watcher()
    config = one_step(precision="bf16", ema_kimg=1).model_copy(update={"penalty": watcher})
    session, plain = Session(config, prepared), Session(one_step(ema_kimg=1), prepared)
    kinds: dict[str, set[torch.dtype]] = {"generator": set(), "discriminator": set(), "evaluated": set()}

    def watch(net: str) -> None:
        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            kinds[net].add(output.dtype)

        for layer in getattr(session, net).modules():
            if isinstance(layer, nn.Linear):
                layer.register_forward_hook(hook)

    for net in kinds:
        watch(net)
    training, exact = session.train(1), plain.train(1)
    assert kinds["generator"] == {torch.bfloat16}
    assert kinds["discriminator"] == {torch.bfloat16, torch.float32}  # the latter for the penalty
    ((at, autocast, logits),) = watcher.seen
    assert not autocast
    assert {x.dtype for x in (at.real, at.fake, logits)} == {torch.float32}
    tensors = [*session.generator.state_dict().values(), *session.discriminator.state_dict().values()]
    state = session.state_dict()
    tensors += [x for key in ("generator_optimiser", "discriminator_optimiser") for x in _tensors(state[key])]
    assert {x.dtype for x in tensors if x.is_floating_point()} == {torch.float32}
    # bf16 has 8 bits: a relative error of 2^-9 for each number on the way.
    assert training.loss_d == pytest.approx(exact.loss_d, rel=0.02)
    assert training.loss_g == pytest.approx(exact.loss_g, rel=0.02)
    assert training.loss_d != exact.loss_d
    session.evaluate()
    assert kinds["evaluated"] == {torch.float32}  # images are evaluated as the exported weights make them


def _tensors(state: dict[str, Any]) -> list[Tensor]:
    return [x for row in state["state"].values() for x in row.values() if isinstance(x, Tensor)]


# ----------------------------------------------------------------------------------------------------- labels


def labelled(prepared: Prepared) -> Prepared:
    """Images of one shade, which is ten times their class; class 0 is much the most frequent."""
    labels = np.minimum(np.arange(1437) // 50, 9)[::-1].copy()
    labels[:700] = 0
    images = np.broadcast_to((10 * labels)[:, None, None, None], (1437, 1, 8, 8)).astype(np.uint8)
    part = LabelledImages(np.ascontiguousarray(images), labels.astype(np.int64))
    return dataclasses.replace(prepared, dataset=Dataset("shades", part, part, part, classes=10))


WITH_LABELS = [{"conditioning": {"name": name}} for name, kind in CONDITIONINGS.items() if kind.uses_labels] + [
    {"latent": {"name": name, "dimension": 10}} for name, kind in LATENTS.items() if kind.uses_labels
]


@pytest.mark.parametrize("changes", WITH_LABELS, ids=str)
def test_labels_are_those_of_the_images_and_as_frequent_for_generated_ones(
    changes: dict[str, Any], prepared: Prepared
) -> None:
    data = labelled(prepared)
    config = one_step(**changes)
    session = Session(config, data)
    seen: list[tuple[Tensor, Tensor]] = []
    given: list[Tensor] = []
    session.discriminator.register_forward_pre_hook(lambda module, args: seen.append(args))
    session.generator.register_forward_pre_hook(lambda module, args: given.append(args[0]))
    session.train(1)
    (real, real_labels), (_, for_d), (_, for_g) = seen
    assert torch.equal(real, to_unit_range((10 * real_labels)[:, None, None, None].expand(real.shape)))
    share = float((torch.from_numpy(data.dataset.train.labels.copy()) == 0).double().mean())
    for labels, inputs in ((for_d, given[0]), (for_g, given[1])):
        assert (labels == 0).double().mean().item() == pytest.approx(share, abs=4 * 0.5 / 1000**0.5)
        assert set(labels.tolist()) == set(data.dataset.train.labels.tolist())
        if config.conditioning.uses_labels:
            assert torch.equal(inputs[:, -10:], torch.nn.functional.one_hot(labels, 10).float())
        else:  # the latent of class k has its mean 3 on axis k
            assert inputs.gather(1, labels[:, None]).mean().item() == pytest.approx(3, abs=4 / 1000**0.5)
    assert not torch.equal(for_d, for_g)
    assert not torch.equal(for_d, real_labels)


@pytest.mark.parametrize("changes", WITH_LABELS, ids=str)
def test_a_trial_that_needs_labels_refuses_data_without(changes: dict[str, Any], prepared: Prepared) -> None:
    part = LabelledImages(prepared.dataset.train.images)
    bare = dataclasses.replace(prepared, dataset=Dataset("bare", part, part, part))
    with pytest.raises(InvalidInput, match=r"^(conditioning|latent) '\w+' needs labelled data.* choose another$"):
        Session(small(**changes), bare)
    assert Session(small(), bare).kimg == 0


def test_more_classes_than_the_latent_has_axes_are_refused(prepared: Prepared) -> None:
    with pytest.raises(InvalidInput, match=r"latent\.dimension 9: .* the data has 10 classes; raise it"):
        Session(small(latent={"name": "class_conditional", "dimension": 9}), prepared)


def test_labels_that_no_part_uses_change_nothing(prepared: Prepared) -> None:
    part = LabelledImages(prepared.dataset.train.images)
    bare = dataclasses.replace(prepared, dataset=Dataset("bare", part, part, part))
    one, other = Session(small(), prepared), Session(small(), bare)
    one.train(1)
    other.train(1)
    assert same(weights(one.discriminator), weights(other.discriminator))
    assert same(weights(one.generator), weights(other.generator))


# ------------------------------------------------------------------------------------------------ all together


def test_every_knob_of_everything_makes_a_difference(prepared: Prepared) -> None:
    whole = Session(small(**EVERYTHING), prepared)
    whole.train(1)
    for name in EVERYTHING:
        if name in ("rate_control", "ema_kimg"):  # the first window ends later; the average changes no training
            continue
        without = Session(small(**{k: v for k, v in EVERYTHING.items() if k != name}), prepared)
        without.train(1)
        assert not same(weights(without.generator), weights(whole.generator)), name
