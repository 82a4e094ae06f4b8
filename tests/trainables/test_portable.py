"""A generator as a module of plain torch: every architecture, conditioning and latent, exported and loaded again."""

import io
import math
from itertools import product

import numpy as np
import pytest
import scipy
import torch
from scipy import stats
from small_trials import example, global_randomness_untouched, small
from torch import Tensor, nn

from trainables.gan.conditioning import CONDITIONINGS
from trainables.gan.config import TrialConfig
from trainables.gan.latents import LATENTS, Latent
from trainables.gan.models import MODELS, ImageShape
from trainables.gan.models.convolutions import ConvTranspose2d
from trainables.gan.networks import build_networks
from trainables.generator import Generator, GeneratorFacts
from trainables.images import to_bytes
from trainables.portable import example_inputs, portable
from trainables.tensors import weights_digest

CLASSES, DIMENSION = 5, 8
SHAPES = {"resnet": ImageShape(3, 32)}  # the others 8 pixels

TRIALS: dict[str, TrialConfig] = {
    f"{model}-{conditioning}": small(
        model=example(MODELS[model], width=4), conditioning=example(CONDITIONINGS[conditioning])
    )
    for model, conditioning in product(MODELS, CONDITIONINGS)
} | {
    f"{latent}-{conditioning}": small(
        latent=example(LATENTS[latent], dimension=DIMENSION) | {"noise_std": 0.2},
        conditioning=example(CONDITIONINGS[conditioning]),
    )
    for latent, conditioning in product(LATENTS, ("none", "projection"))
}
every_trial = pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS.keys())


def made(trial: TrialConfig) -> Generator:
    """A generator with large weights, so that images differ, and batch norms that have seen something."""
    shape = SHAPES.get(trial.model.name, ImageShape(1, 8))
    network, _ = build_networks(trial, shape, CLASSES)
    inputs = trial.conditioning.latent_inputs(trial.latent.dimension, CLASSES)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.3, generator=rng)
        for _ in range(3):
            network(torch.randn(32, inputs, generator=rng) * 2)
    weights = network.state_dict()
    facts = GeneratorFacts(
        trial=trial,
        channels=shape.channels,
        size=shape.size,
        class_counts=tuple(range(1, CLASSES + 1)),
        kimg=1,
        fid=1.0,
        fid_fingerprint="x",
        weights=weights_digest(weights),
    )
    return Generator(facts, weights)


def loaded_again(module: nn.Module) -> nn.Module:
    """What comes back of a file, as MLflow writes and reads it."""
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    module = torch.load(file, weights_only=False)
    assert isinstance(module, nn.Module)
    return module


def inputs_of(generator: Generator, count: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """Inputs of the portable module, and what the network itself is given for them."""
    trial = generator.facts.trial
    labels = torch.arange(count) % CLASSES if trial.uses_labels else None
    latents = trial.latent.sample(count, torch.Generator().manual_seed(7), labels)
    network_input = trial.conditioning.generator_input(latents, labels, CLASSES)
    centres = trial.latent.centres(CLASSES)
    if labels is None:
        return (latents,), network_input
    return (latents if centres is None else latents - centres[labels], labels), network_input


@every_trial
def test_the_exported_module_makes_the_generators_images_at_any_batch_size(trial: TrialConfig) -> None:
    generator = made(trial)
    module = portable(generator)
    loaded = loaded_again(module)
    for part in loaded.modules():  # code of its own is in the file, other modules are torch's
        assert type(part).__module__.startswith("torch."), type(part)
    shape = generator.facts.shape
    for count in (1, 2, 17):
        inputs, network_input = inputs_of(generator, count)
        with torch.no_grad():
            raw = generator.network(network_input)
        images = loaded(*inputs)
        assert images.shape == (count, shape.channels, shape.size, shape.size)
        assert images.dtype == torch.float32
        assert not images.requires_grad
        torch.testing.assert_close(images, (raw + 1) / 2, rtol=0, atol=2e-6)
        torch.testing.assert_close(images, module(*inputs), rtol=0, atol=1e-6)
        pixels = (255 * images).round().byte()
        assert (pixels.int() - to_bytes(raw).int()).abs().max() <= 1  # a half may be rounded either way
        assert (pixels == to_bytes(raw)).float().mean() > 0.99
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.01  # not all the same


@every_trial
def test_a_loaded_module_goes_to_another_device_as_a_whole(trial: TrialConfig) -> None:
    generator = made(trial)
    moved = loaded_again(portable(generator)).to("meta")  # a constant left on the CPU would not mix with it
    assert moved(*(value.to("meta") for value in example_inputs(generator))).device.type == "meta"


@every_trial
def test_a_loaded_module_is_as_any_other(trial: TrialConfig) -> None:
    generator = made(trial)
    loaded = loaded_again(portable(generator))
    assert not loaded.training
    inputs, _ = inputs_of(generator, 5)
    images = loaded(*inputs)
    assert loaded.train().training
    assert torch.equal(loaded.eval()(*inputs), images)
    numpys = [value.double() if value.is_floating_point() else value.to(torch.uint8) for value in inputs]
    assert torch.equal(loaded(*numpys), images)
    for half, allowed in ((torch.float16, 0.03), (torch.bfloat16, 0.2)):  # of weights with deviation 0.3
        lower = loaded_again(portable(generator)).to(half)
        made_so = lower(inputs[0].to(half), *inputs[1:])
        assert made_so.dtype == half
        assert (made_so.float() - images).abs().mean() < allowed
        torch.testing.assert_close(lower(*inputs), made_so, rtol=0, atol=0)  # float32 is taken too


def test_the_generator_that_is_made_portable_keeps_its_own_convolutions() -> None:
    generator = made(TRIALS["dcgan-none"])
    before = [type(part) for part in generator.network.modules()]
    portable(generator)
    assert [type(part) for part in generator.network.modules()] == before
    assert ConvTranspose2d in before


def test_the_class_is_what_makes_the_difference_and_one_out_of_range_is_an_error() -> None:
    for name in ("mlp-acgan", "class_conditional-none", "class_conditional-projection"):
        generator = made(TRIALS[name])
        loaded = loaded_again(portable(generator))
        latents = torch.randn(1, DIMENSION, generator=torch.Generator().manual_seed(1)).expand(CLASSES, -1)
        images = loaded(latents, torch.arange(CLASSES))
        assert len(images.flatten(1).unique(dim=0)) == CLASSES
        torch.testing.assert_close(loaded(latents[:1], torch.tensor([3]))[0], images[3], rtol=0, atol=1e-6)
        for label in (-1, CLASSES):
            with pytest.raises(IndexError):
                loaded(latents[:1], torch.tensor([label]))


def test_example_inputs_are_always_the_same_and_nothing_touches_global_randomness() -> None:
    generator = made(TRIALS["class_conditional-projection"])
    with global_randomness_untouched():
        one = example_inputs(generator)
        portable(generator)
    latents, labels = one
    assert latents.shape == (4, DIMENSION)
    assert labels.tolist() == [0, 1, 2, 3]
    assert all(torch.equal(a, b) for a, b in zip(one, example_inputs(generator), strict=True))
    (alone,) = example_inputs(made(TRIALS["mlp-none"]))
    assert alone.shape == (4, DIMENSION)


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("name", LATENTS)
def test_the_line_that_people_are_given_draws_the_same_distribution(name: str, noise: float) -> None:
    latent: Latent = LATENTS[name].model_validate(example(LATENTS[name], dimension=6) | {"noise_std": noise})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        by_hand = eval(latent.in_torch("4000"), {"torch": torch})
    np.random.seed(3)
    in_numpy = torch.from_numpy(eval(latent.in_numpy("4000"), {"numpy": np, "scipy": scipy})).float()
    labels = torch.arange(4000) % CLASSES
    ours = latent.sample(4000, torch.Generator().manual_seed(4), labels)
    centres = latent.centres(CLASSES)
    if centres is not None:
        assert centres.norm(dim=1).tolist() == pytest.approx([3.0] * CLASSES)  # the separation
        ours = ours - centres[labels]
    assert (centres is not None) == latent.uses_labels
    assert by_hand.dtype == torch.float32
    for drawn in (by_hand, in_numpy):
        assert drawn.shape == ours.shape
        assert stats.kstest(drawn.flatten().numpy(), ours.flatten().numpy()).pvalue > 1e-3
        deviation = drawn.std(0)
        assert (drawn.mean(0).abs() < 5 * deviation / math.sqrt(4000)).all()
