import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_trials import EVALUATION, ROWS, example, global_randomness_untouched, same, small, weights
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from trainables.checkpoint import Checkpoint, CheckpointStore
from trainables.data import Dataset, LabelledImages
from trainables.errors import Diverged, InvalidInput
from trainables.evaluation.fid import FeatureMoments
from trainables.evaluation.prepare import Prepared
from trainables.gan.config import TrialConfig
from trainables.gan.losses import LOSSES
from trainables.gan.models import MODELS
from trainables.gan.session import MEANS, Session, Training
from trainables.images import to_unit_range
from trainables.streams import Streams

every_row = pytest.mark.parametrize("config", ROWS.values(), ids=ROWS.keys())

CPU = torch.device("cpu")


def all_weights(session: Session) -> dict[str, Tensor]:
    """Every tensor of all networks, the evaluated one too."""
    nets = {"generator": session.generator, "discriminator": session.discriminator, "evaluated": session.evaluated}
    return {f"{net}.{name}": value for net, module in nets.items() for name, value in weights(module).items()}


def steps_of(session: Session) -> tuple[int, int]:
    """How often Adam moved D and G, from its own counters."""
    state = session.state_dict()
    d, g = (state[f"{net}_optimiser"]["state"] for net in ("discriminator", "generator"))
    return int(d[0]["step"]), int(g[0]["step"]) if g else 0


def means(training: Training) -> dict[str, float]:
    return {name: getattr(training, name) for name in MEANS}


def curve(session: Session, reports: int) -> list[dict[str, float]]:
    return [means(session.train(1)) | session.evaluate() for _ in range(reports)]


def tampered(prepared: Prepared, images: np.ndarray) -> Prepared:
    part = LabelledImages(images)
    return dataclasses.replace(prepared, dataset=Dataset("other", part, part, part))


# ----------------------------------------------------------------------------------- what every trial keeps


@every_row
def test_is_the_same_to_the_last_bit_also_when_saved_to_disk_and_resumed_half_way(
    config: TrialConfig, prepared: Prepared, tmp_path: Path
) -> None:
    torch.manual_seed(1)  # the global state is another than below
    straight = Session(config, prepared)
    expected = curve(straight, 3)

    with global_randomness_untouched():
        first = Session(config, prepared)
        before = curve(first, 1)
        store = CheckpointStore(tmp_path)
        store.save(first.kimg, Checkpoint(first.state_dict(), {}))
        del first
        found = store.latest()
        assert found is not None
        resumed = Session(config, prepared)
        resumed.load_state_dict(found.state)
        assert resumed.kimg == 1
        after = curve(resumed, 2)

    assert before + after == expected
    assert same(all_weights(resumed), all_weights(straight))
    assert torch.equal(resumed.samples(5), straight.samples(5))
    assert all(math.isfinite(value) for report in expected for value in report.values())


@every_row
def test_another_seed_is_another_curve(config: TrialConfig, prepared: Prepared) -> None:
    (one,) = curve(Session(config, prepared), 1)
    (other,) = curve(Session(config.model_copy(update={"seed": 6}), prepared), 1)
    assert one["fid"] != other["fid"]
    assert one["loss_d"] != other["loss_d"]


@every_row
def test_training_moves_every_weight_and_leaves_the_data_alone(config: TrialConfig, prepared: Prepared) -> None:
    images, root = prepared.dataset.train.images.copy(), prepared.root.copy()
    session = Session(config, prepared)
    before = {net: weights(net) for net in (session.generator, session.discriminator)}
    training = session.train(1)
    for net, old in before.items():
        # Of D's vectors, the last bias raises real and fake alike, which some losses do not see.
        seen = {name: p for name, p in net.named_parameters() if p.ndim > 1 or net is session.generator}
        moved = {name: (p - old[name]).abs().max().item() for name, p in seen.items()}
        assert len(moved) >= 3
        assert all(0 < distance < 10 for distance in moved.values()), moved
    assert training.grad_norm_d > 0
    assert training.grad_norm_g > 0
    assert 0 < training.d_real < 1
    assert 0 < training.d_fake < 1
    assert training.seconds > 0
    np.testing.assert_array_equal(prepared.dataset.train.images, images)
    np.testing.assert_array_equal(prepared.root, root)


@every_row
def test_evaluating_and_drawing_more_often_changes_no_training(config: TrialConfig, prepared: Prepared) -> None:
    quiet, watched = Session(config, prepared), Session(config, prepared)
    quiet.train(2)
    for _ in range(2):
        watched.evaluate()
        watched.train(1)
        watched.samples(3)
        watched.evaluate()
    kept = all_weights(watched)
    assert same(all_weights(quiet), kept)
    assert watched.evaluate() == quiet.evaluate()  # and an evaluation does not depend on those before it
    assert same(all_weights(watched), kept)


@every_row
def test_d_learns_to_part_real_from_generated_and_g_to_pass_for_real(config: TrialConfig, prepared: Prepared) -> None:
    # D alone, at a rate at which a few steps show, then G alone against it.
    still, fast = {"lr": 1e-12, "decay_kimg": 0, "clip_norm": 0}, {"lr": 2e-3, "decay_kimg": 0, "clip_norm": 0}
    d_alone = changed(config, generator_optimiser=still, discriminator_optimiser=fast)
    g_alone = changed(config, generator_optimiser=fast, discriminator_optimiser=still)
    session = Session(d_alone, prepared)
    before = precedence(*scores(session))
    session.train(5)
    real, fake = scores(session)
    assert precedence(real, fake) >= max(0.55, before)

    learning = Session(g_alone, prepared)
    learning.load_state_dict(copy.deepcopy(session.state_dict()))
    learning.train(5)
    _, better = scores(learning)
    assert precedence(better, fake) > 0.55  # 0.5 is none better, with a standard error of 0.02


def changed(config: TrialConfig, **optimisers: dict[str, float]) -> TrialConfig:
    """The configuration with other knobs of its optimisers."""
    changes = {which: getattr(config, which).model_copy(update=knobs) for which, knobs in optimisers.items()}
    return config.model_copy(update=changes)


@torch.no_grad()
def scores(session: Session) -> tuple[Tensor, Tensor]:
    """D's logits on 400 real and on 400 generated images, in training mode, as it learns to part them."""
    rng = torch.Generator().manual_seed(0)
    generator, discriminator = (copy.deepcopy(net).train() for net in (session.generator, session.discriminator))
    real, real_labels = session._batches.reals(400, rng)
    inputs, fake_labels = session._batches.inputs(400, rng)
    return discriminator(real, real_labels).logits, discriminator(generator(inputs), fake_labels).logits


def precedence(high: Tensor, low: Tensor) -> float:
    """How often a number of `high` is above one of `low`: the area under the ROC curve.

    A comparison by rank, because clipping and spectral norm change the scores' scale.
    """
    return (high[:, None] > low[None, :]).double().mean().item()


# --------------------------------------------------------------------------------------------- a step, by hand


@pytest.mark.parametrize("loss", LOSSES)
def test_the_first_step_is_d_on_real_and_fake_and_then_g_against_the_new_d(loss: str, prepared: Prepared) -> None:
    config = small(loss=loss, batch_size=1000)  # one step of D and one of G to a kimg
    session = Session(config, prepared)
    generator, discriminator = copy.deepcopy(session.generator), copy.deepcopy(session.discriminator)
    training = session.train(1)

    rng = Streams(config.seed, CPU).at("train", 0)
    chosen = torch.randint(1437, (1000,), generator=rng)
    real = to_unit_range(torch.from_numpy(prepared.dataset.train.images.copy()))[chosen]
    first, second = (config.latent.sample(1000, rng) for _ in range(2))

    real_logits, fake_logits = discriminator(real).logits, discriminator(generator(first).detach()).logits
    loss_d = LOSSES[loss].discriminator(real_logits, fake_logits)
    loss_d.backward()
    assert training.loss_d == pytest.approx(loss_d.item(), rel=1e-5)
    assert training.d_real == pytest.approx(real_logits.sigmoid().mean().item(), rel=1e-5)
    assert training.d_fake == pytest.approx(fake_logits.sigmoid().mean().item(), rel=1e-5)
    squares = sum(p.grad.square().sum().item() for p in discriminator.parameters() if p.grad is not None)
    assert training.grad_norm_d == pytest.approx(squares**0.5, rel=1e-5)

    moved = session.discriminator  # G's step comes after D's, and does not move it
    loss_g = LOSSES[loss].generator(moved(real).logits, moved(generator(second)).logits)
    loss_g.backward()
    assert training.loss_g == pytest.approx(loss_g.item(), rel=1e-5)
    squares = sum(p.grad.square().sum().item() for p in generator.parameters() if p.grad is not None)
    assert training.grad_norm_g == pytest.approx(squares**0.5, rel=1e-5)


def test_gs_step_leaves_d_as_it_was(prepared: Prepared) -> None:
    # These two ask the same of D and something else of G; with one step each, D must not see the difference.
    minimax, nonsaturating = (
        Session(small(loss=loss, batch_size=1000), prepared) for loss in ("minimax", "nonsaturating")
    )
    minimax.train(1)
    nonsaturating.train(1)
    assert same(weights(minimax.discriminator), weights(nonsaturating.discriminator))
    assert not same(weights(minimax.generator), weights(nonsaturating.generator))
    assert all(p.requires_grad for p in minimax.discriminator.parameters())


def test_a_penalty_changes_ds_step(prepared: Prepared) -> None:
    plain, penalised, heavier = (
        Session(small(penalty=penalty, batch_size=1000), prepared)
        for penalty in (
            {"name": "none"},
            {"name": "gradient_penalty", "weight": 1},
            {"name": "gradient_penalty", "weight": 10},
        )
    )
    norms = [session.train(1).grad_norm_d for session in (plain, penalised, heavier)]
    assert len(set(norms)) == 3
    nets = [weights(session.discriminator) for session in (plain, penalised, heavier)]
    assert not same(nets[0], nets[1])
    assert not same(nets[1], nets[2])


def test_weights_are_clipped_after_every_step_of_d(prepared: Prepared) -> None:
    session = Session(small(penalty={"name": "weight_clip", "limit": 0.02}), prepared)
    assert max(p.abs().max().item() for p in session.discriminator.parameters()) > 0.02
    session.train(1)
    assert max(p.abs().max().item() for p in session.discriminator.parameters()) <= np.float32(0.02)
    assert max(p.abs().max().item() for p in session.generator.parameters()) > 0.02


@pytest.mark.parametrize("model", MODELS)
def test_spectral_norm_holds_while_d_learns(model: str, prepared: Prepared) -> None:
    config = small(model=example(MODELS[model], width=8), normalisation="spectral")
    session = Session(config, prepared)
    layers = [m for m in session.discriminator.modules() if is_parametrized(m, "weight")]
    before = [m.parametrizations.weight.original.detach().clone() for m in layers]  # type: ignore[union-attr]
    session.train(2)
    assert len(layers) >= 3
    session.discriminator.eval()
    for layer, old in zip(layers, before, strict=True):
        assert not torch.equal(layer.parametrizations.weight.original, old)  # type: ignore[union-attr,arg-type]
        # Power iteration finds at most the largest singular value, and less while others are close to it.
        assert 0.95 < torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() < 1.1


# ---------------------------------------------------------------------------------------------------- the clock


@pytest.mark.parametrize(("batch", "n_critic"), [(64, 1), (300, 2), (64, 5), (999, 1), (1000, 3)])
def test_at_k_kimg_d_took_the_ceiling_of_1000_k_over_the_batch_and_g_each_n_critic_th(
    batch: int, n_critic: int, prepared: Prepared
) -> None:
    session = Session(small(batch_size=batch, n_critic=n_critic), prepared)
    images = 0
    for kimg in range(1, 5):
        images += session.train(1).images
        expected = math.ceil(1000 * kimg / batch)
        assert session.kimg == kimg
        assert session.steps == expected
        assert steps_of(session) == (expected, expected // n_critic)  # n_critic is counted across reports
        assert images == expected * batch
        assert 0 <= images - 1000 * kimg < batch


def test_reporting_seldom_or_often_trains_the_same(prepared: Prepared) -> None:
    config = small(batch_size=300, n_critic=2, ema_kimg=1)
    often, seldom = Session(config, prepared), Session(config, prepared)
    reports = [often.train(1) for _ in range(4)]
    whole = seldom.train(4)
    assert same(all_weights(often), all_weights(seldom))
    # 4, 3, 3 and 4 steps of D, and 2, 1, 2 and 2 of G, over which the means are taken.
    assert [r.images for r in reports] == [1200, 900, 900, 1200]
    for name, steps in {"loss_d": (4, 3, 3, 4), "loss_g": (2, 1, 2, 2), "grad_norm_g": (2, 1, 2, 2)}.items():
        parts = [getattr(r, name) * n for r, n in zip(reports, steps, strict=True)]
        assert getattr(whole, name) == pytest.approx(sum(parts) / sum(steps), rel=1e-9)


def test_a_report_without_a_step_is_finite(prepared: Prepared) -> None:
    # Steps of 1,400 images end at 1.4, 2.8, 4.2, 5.6 and 7 kimg: 3 kimg are past after the third, and so are 4.
    session = Session(small(batch_size=1400), prepared)
    reports = [session.train(1) for _ in range(7)]
    assert [r.images // 1400 for r in reports] == [1, 1, 1, 0, 1, 1, 0]
    assert all(math.isfinite(value) for r in reports for value in means(r).values())
    assert set(means(reports[3]).values()) == {0}
    assert all(value != 0 for value in means(reports[4]).values())


# ----------------------------------------------------------------------------------------------- the average


def test_the_average_follows_its_formula(prepared: Prepared) -> None:
    # Batches of 500 and a step of G for two of D: G moves once per kimg, and so does the average.
    half_life, reports, rate = 0.18, 5, {"name": "adam", "lr": 0.02}  # a fast G, so that its average is far behind
    plain, averaged = (
        Session(small(batch_size=500, n_critic=2, generator_optimiser=rate, ema_kimg=ema), prepared)
        for ema in (0, half_life)
    )
    expected = {name: value.double() for name, value in plain.generator.named_parameters()}
    for kimg in range(1, reports + 1):
        plain.train(1)
        averaged.train(1)
        images = min(half_life * 1000, kimg * 1000 / 20)  # 50, 100, 150, then the 180 asked for
        kept = 0.5 ** (1000 / images)
        for name, value in plain.generator.named_parameters():
            expected[name] = kept * expected[name] + (1 - kept) * value.detach().double()
    assert same(weights(averaged.generator), weights(plain.generator))  # the average changes no training
    for name, value in averaged.evaluated.named_parameters():
        torch.testing.assert_close(value.double(), expected[name].detach(), rtol=1e-5, atol=1e-7)


def test_images_are_evaluated_from_the_average_where_there_is_one(prepared: Prepared) -> None:
    plain, averaged = Session(small(), prepared), Session(small(ema_kimg=100), prepared)
    assert plain.evaluated is plain.generator
    plain.train(1)
    averaged.train(1)
    assert averaged.evaluated is not averaged.generator
    assert same(weights(averaged.generator), weights(plain.generator))
    assert averaged.evaluate() != plain.evaluate()
    averaged.evaluated.load_state_dict(averaged.generator.state_dict())
    assert averaged.evaluate() == plain.evaluate()


# ------------------------------------------------------------------------------------------------- evaluation


def test_the_fid_is_that_of_the_images_generated(prepared: Prepared) -> None:
    session = Session(small(), prepared)
    session.train(1)
    images = session.generate(EVALUATION.count, Streams(5, CPU).at("evaluate", 1))
    assert images.shape == (300, 1, 8, 8)
    assert images.dtype == torch.uint8
    moments = FeatureMoments(prepared.extractor.dimension)
    moments.update(prepared.build_extractor()(images))
    expected = prepared.reference().distance(moments)
    assert session.evaluate()["fid"] == pytest.approx(expected, rel=1e-6)


def test_other_draws_are_other_images_of_the_same_generator(prepared: Prepared) -> None:
    session, other = Session(small(), prepared), Session(small(), prepared)
    session.train(1)
    other.train(1)
    measured = [session.evaluate(draw) for draw in range(4)]
    assert measured[0] == session.evaluate()
    assert [other.evaluate(draw) for draw in (3, 2, 1, 0)] == measured[::-1]  # whatever was drawn before
    fids = [numbers["fid"] for numbers in measured]
    assert len(set(fids)) == 4
    assert max(fids) < 1.2 * min(fids)
    assert set(measured[0]) == set(EVALUATION.keys)
    assert all(math.isfinite(value) for numbers in measured for value in numbers.values())
    session.train(1)
    other.train(1)
    assert same(all_weights(session), all_weights(other))


@pytest.mark.parametrize(
    "changes",
    [{}, {"loss": "lsgan"}, {"normalisation": "batch"}, {"conditioning": {"name": "projection"}}],
    ids=str,
)
def test_probabilities_are_ds_of_training_and_of_evaluated_images(changes: dict[str, Any], prepared: Prepared) -> None:
    session, quiet = (Session(small(ema_kimg=1, **changes), prepared) for _ in range(2))
    session.train(1)
    quiet.train(1)
    before = all_weights(session)
    real, fake = session.discriminator_probabilities(300)  # more than a batch of the evaluation
    assert real.shape == fake.shape == (300,)
    assert ((real >= 0) & (real <= 1) & (fake >= 0) & (fake <= 1)).all()
    assert same(all_weights(session), before)
    again = session.discriminator_probabilities(300)
    assert torch.equal(again[0], real)
    assert torch.equal(again[1], fake)
    # D on every training image, in eval mode: what is drawn is among them.
    images = to_unit_range(torch.from_numpy(prepared.dataset.train.images.copy()))
    labels = (
        torch.from_numpy(prepared.dataset.train.labels.copy()) if prepared.dataset.train.labels is not None else None
    )
    with torch.no_grad():
        boundary = LOSSES[session.config.loss].boundary or 0.0
        each = (session.discriminator.eval()(images, labels).logits - boundary).sigmoid()
    assert ((real[:, None] - each[None, :]).abs().min(1).values < 1e-6).all()
    assert len(real.unique()) > 200
    break_weight(session.generator, math.nan)  # the average is evaluated, not the weights in training
    assert session.discriminator_probabilities(300)[1].isfinite().all()
    quiet.train(1)
    fresh = Session(session.config, prepared)
    fresh.train(1)
    fresh.discriminator_probabilities(10)
    fresh.train(1)
    assert same(all_weights(fresh), all_weights(quiet))


def test_training_brings_the_fid_down(prepared: Prepared) -> None:
    rate = {"name": "adam", "lr": 2e-3}
    session = Session(small(generator_optimiser=rate, discriminator_optimiser=rate), prepared)
    before = session.evaluate()["fid"]
    session.train(20)
    assert session.evaluate()["fid"] < 0.7 * before


def test_samples_are_of_latents_that_stay(prepared: Prepared) -> None:
    session = Session(small(), prepared)
    first = session.samples()
    assert first.shape == (64, 1, 8, 8)
    assert torch.equal(session.samples(), first)
    session.train(1)
    second = session.samples()
    assert not torch.equal(second, first)
    other = Session(small(), prepared)
    other.train(1)
    assert torch.equal(other.samples(), second)
    kept = Session(small(), prepared)
    kept.kimg = 7  # only the weights and the latents count, not the time
    assert torch.equal(kept.samples(), first)


# ------------------------------------------------------------------------------------------- what goes wrong


def break_weight(net: nn.Module, value: float) -> None:
    with torch.no_grad():
        next(net.parameters())[0].fill_(value)


@pytest.mark.parametrize("net", ["generator", "discriminator"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_non_finite_weight_is_found_within_a_thousand_images(net: str, value: float, prepared: Prepared) -> None:
    session = Session(small(), prepared)
    break_weight(getattr(session, net), value)
    with pytest.raises(Diverged, match="became non-finite by 1 kimg"):
        session.train(50)
    assert session.kimg == 1


def test_an_absurd_rate_diverges(prepared: Prepared) -> None:
    # Wasserstein losses have no bottom: with each weight of nine layers running off, their product overflows.
    rate = {"name": "adam", "lr": 10}
    config = small(
        loss="wasserstein",
        model={"name": "mlp", "width": 24, "depth": 8},
        generator_optimiser=rate,
        discriminator_optimiser=rate,
    )
    with pytest.raises(Diverged, match="became non-finite by"):
        Session(config, prepared).train(40)


def test_a_generator_that_makes_no_numbers_has_no_fid(prepared: Prepared) -> None:
    session = Session(small(ema_kimg=1), prepared)
    break_weight(session.evaluated, math.nan)
    with pytest.raises(Diverged, match="generator's output became non-finite by 0 kimg"):
        session.evaluate()


def test_a_batch_larger_than_the_data_is_refused(prepared: Prepared) -> None:
    assert Session(small(batch_size=1437), prepared).kimg == 0
    with pytest.raises(InvalidInput, match="batch_size 1438: the data has 1437 training images"):
        Session(small(batch_size=1438), prepared)


def test_images_that_the_model_cannot_make_are_refused(prepared: Prepared) -> None:
    other = tampered(prepared, np.zeros((70, 1, 9, 9), np.uint8))
    with pytest.raises(InvalidInput, match="multiple of 4 and at least 8, not 9"):
        Session(small(model={"name": "dcgan", "width": 8}, batch_size=64), other)


# ----------------------------------------------------------------------------------------------- other images


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("channels", "size"), [(3, 8), (1, 28), (3, 32)])
def test_trains_on_images_of_other_shapes(model: str, channels: int, size: int, prepared: Prepared) -> None:
    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (70, channels, size, size), dtype=np.uint8)
    session = Session(small(model=example(MODELS[model], width=4), batch_size=70), tampered(prepared, images))
    assert all(math.isfinite(value) for value in means(session.train(1)).values())
    assert session.samples(3).shape == (3, channels, size, size)


# --------------------------------------------------------------------------------------------------- its state


def test_sessions_of_one_state_go_on_apart(prepared: Prepared) -> None:
    session, other = (Session(small(ema_kimg=1), prepared) for _ in range(2))
    session.train(1)
    other.load_state_dict(session.state_dict())
    kept, state = all_weights(session), copy.deepcopy(session.state_dict())
    other.train(1)
    assert same(all_weights(session), kept)
    for name in ("generator_optimiser", "discriminator_optimiser"):
        old, new = state[name]["state"], session.state_dict()[name]["state"]
        assert old.keys() == new.keys()
        assert all(same(old[key], new[key]) for key in old)
    session.train(1)
    assert same(all_weights(session), all_weights(other))
