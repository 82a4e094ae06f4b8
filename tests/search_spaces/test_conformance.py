"""Every space of the registry keeps what `Space` promises. A new row is tested with no further line."""

import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import optuna
import pytest
from draws import DATA, drawing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_spaces.registry import SPACES
from search_spaces.space import Space, suggest_with
from trainables.gan.augmentation import AUGMENTATIONS
from trainables.gan.conditioning import CONDITIONINGS
from trainables.gan.config import TrialConfig
from trainables.gan.latents import LATENTS
from trainables.gan.losses import LOSSES
from trainables.gan.models import MODELS
from trainables.gan.models.normalisation import NORMALISATIONS
from trainables.gan.optimisers import OPTIMISERS
from trainables.gan.penalties import PENALTIES
from trainables.gan.rate_control import RATE_CONTROLS
from trainables.nested import flatten
from trainables.variants import Variant

optuna.logging.set_verbosity(optuna.logging.WARNING)

SAMPLES = 10_000

REGISTRIES: dict[str, Mapping[str, Any]] = {
    "loss": LOSSES,
    "penalty.name": PENALTIES,
    "model.name": MODELS,
    "latent.name": LATENTS,
    "normalisation": NORMALISATIONS,
    "conditioning.name": CONDITIONINGS,
    "augmentation.name": AUGMENTATIONS,
    "rate_control.name": RATE_CONTROLS,
    "generator_optimiser.name": OPTIMISERS,
    "discriminator_optimiser.name": OPTIMISERS,
}
"""Path -> the rows that it can name."""

LEFT_TO_STUDIES = {
    # A rate's decay depends on the study's budget, the precision on its machines; speed is the reason for the third.
    "generator_optimiser.decay_kimg",
    "discriminator_optimiser.decay_kimg",
    "precision",
    "reuse_fakes",
    # Scales that another knob has too, and a bound that is rarely met.
    "conditioning.real_weight",
    "rate_control.limit",
}
"""Paths that no space fills: their defaults hold, or `space.fix`."""

every_space = pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))


def built(space: Space, params: dict[str, Any], seed: int = 0) -> TrialConfig:
    return space.build(params, data=DATA, evaluation={"count": 500}, seed=seed)


def test_rows_are_named_as_their_spaces() -> None:
    assert {name: space.name for name, space in SPACES.items()} == {name: name for name in SPACES}


@every_space
def test_ten_thousand_samples_build(space: Space) -> None:
    suggest = drawing(seed=11)
    for seed in range(SAMPLES):
        assert built(space, space.sample(suggest), seed).seed == seed


@every_space
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_every_sample_builds_and_is_found_again(space: Space, seed: int) -> None:
    params = space.sample(drawing(seed))
    config = built(space, params, seed)
    assert space.contains(params)
    assert space.params_of(config) == params
    assert space.contains(TrialConfig.from_dict(config.to_dict()))
    assert (config.seed, config.data.name, config.evaluation.count) == (seed, "digits", 500)
    assert set(space.distributions(params)) == set(params)


@every_space
def test_bounds_and_choices_build_in_every_pair(space: Space) -> None:
    space.check_closed()


@every_space
@pytest.mark.parametrize(
    "make_sampler",
    [
        lambda: optuna.samplers.RandomSampler(seed=1),
        lambda: optuna.samplers.TPESampler(
            seed=1, multivariate=True, group=True, constant_liar=True, n_startup_trials=10
        ),
    ],
    ids=["random", "tpe"],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_closed_under_optuna(space: Space, make_sampler: Callable[[], optuna.samplers.BaseSampler]) -> None:
    """Every trial that Optuna asks for builds, and can be rebuilt elsewhere from its values."""
    study = optuna.create_study(sampler=make_sampler())
    for baseline in space.baselines:
        study.enqueue_trial(dict(baseline.params))
    replica = optuna.create_study()
    for number in range(30):
        trial = study.ask()
        params = space.sample(suggest_with(trial))
        assert params == trial.params
        assert space.distributions(params) == trial.distributions
        built(space, params)
        if number < len(space.baselines):
            assert params == space.baselines[number].params
        value = sum(v for v in params.values() if isinstance(v, float)) % 1
        study.tell(trial, value)
        replica.add_trial(optuna.create_trial(params=params, distributions=space.distributions(params), value=value))
    assert [t.params for t in replica.trials] == [t.params for t in study.trials]


@every_space
def test_baselines_are_contained_named_and_sourced(space: Space) -> None:
    assert space.baselines
    assert len({json.dumps(dict(baseline.params), sort_keys=True) for baseline in space.baselines}) == len(
        space.baselines
    )
    for baseline in space.baselines:
        config = built(space, dict(baseline.params))
        assert space.params_of(config) == baseline.params
        assert len(baseline.source) > 10


@every_space
def test_table_and_description(space: Space) -> None:
    rows = {row.name: row for row in space.rows()}
    assert list(rows) == [p.name for p in space.parameters] + list(space.constants)
    assert all(row.kind and row.range for row in rows.values())
    for parameter in space.parameters:
        assert bool(rows[parameter.name].when) == bool(parameter.when)
    plain = json.loads(json.dumps(space.to_dict(), allow_nan=False))
    assert plain == space.to_dict()
    assert [p["name"] for p in plain["parameters"]] == [p.name for p in space.parameters]


def test_descriptions_tell_spaces_apart() -> None:
    assert len({json.dumps(space.to_dict()) for space in SPACES.values()}) == len(SPACES)


@functools.cache
def values_seen() -> dict[str, Counter[Any]]:
    """Path -> how often each value was there in samples of all spaces, defaults included."""
    seen: dict[str, Counter[Any]] = {}
    for space in SPACES.values():
        for seed in range(400):
            for path, value in flatten(built(space, space.sample(drawing(seed))).to_dict()).items():
                if not isinstance(value, list):
                    seen.setdefault(path, Counter())[value] += 1
    return seen


@pytest.mark.parametrize("path", REGISTRIES)
def test_every_row_of_every_registry_is_in_a_space(path: str) -> None:
    assert set(values_seen()[path]) == set(REGISTRIES[path])
    assert min(values_seen()[path].values()) >= 5


@pytest.mark.parametrize("path", [path for path in REGISTRIES if path != "conditioning.name"])
def test_gan28_samples_every_row_that_needs_no_labels(path: str) -> None:
    space = SPACES["gan28"]
    samples = [space.settings_of(space.sample(drawing(seed))) for seed in range(400)]
    seen = Counter(found[path] for found in samples if path in found)
    assert set(seen) == {name for name, row in REGISTRIES[path].items() if not getattr(row, "uses_labels", False)}
    assert min(seen.values()) >= 5


def test_every_knob_varies_in_a_space() -> None:
    variants = {path.removesuffix(".name"): rows for path, rows in REGISTRIES.items() if path.endswith(".name")}
    knobs = {
        f"{field}.{knob}" for field, rows in variants.items() for row in rows.values() for knob in row.model_fields
    }
    plain = set(TrialConfig.model_fields) - set(variants) - {"data", "evaluation", "seed"}
    assert all(issubclass(row, Variant) for rows in variants.values() for row in rows.values())
    seen = {path: values for path, values in values_seen().items() if len(values) > 1}
    assert (knobs | plain) - seen.keys() == LEFT_TO_STUDIES


def test_the_quickstarts_trials_have_the_defaults_of_the_knobs_that_came_later() -> None:
    """What its published FIDs were measured with."""
    space = SPACES["quick"]
    for seed in range(50):
        config = built(space, space.sample(drawing(seed)))
        assert (config.conditioning.name, config.augmentation.name, config.rate_control.name) == ("none",) * 3
        assert (config.label_smoothing, config.update_order, config.precision) == (0, "discriminator_first", "float32")
        assert config.latent.noise_std == 0
        for optimiser in (config.generator_optimiser, config.discriminator_optimiser):
            assert (optimiser.decay_kimg, optimiser.clip_norm) == (0, 0)


def test_lucic_ranges_are_the_papers() -> None:
    wide, narrow = ({r.name: r.range for r in SPACES[f"lucic_{w}"].rows()} for w in ("wide", "narrow"))
    assert wide["lr"] == "1e-05 .. 0.01 log"
    assert wide["n_critic"] == "1, 5"
    assert wide["penalty.weight"] == "0.1 .. 100 log"
    assert wide["penalty.limit"] == "0.001 .. 1 log"
    assert narrow["lr"] == "0.0001 .. 0.001 log"
    assert narrow["n_critic"] == "1"
    assert narrow["generator_optimiser.beta1"] == narrow["discriminator_optimiser.beta1"] == "0.5"
    assert narrow["penalty.weight"] == "0.1 .. 10 log"
    assert narrow["penalty.limit"] == "0.01 .. 1 log"
    assert narrow["normalisation_with_batch"] == wide["normalisation_with_batch"] == "batch, none"


def test_lucic_losses_come_with_their_penalties() -> None:
    space = SPACES["lucic_wide"]
    pairs = set()
    for seed in range(200):
        config = built(space, space.sample(drawing(seed)))
        pairs.add((config.loss, config.penalty.name))
        assert config.generator_optimiser == config.discriminator_optimiser
        if config.penalty.name in ("gradient_penalty", "dragan"):
            assert config.normalisation != "batch"
    assert pairs == {
        ("minimax", "none"),
        ("nonsaturating", "none"),
        ("lsgan", "none"),
        ("wasserstein", "weight_clip"),
        ("wasserstein", "gradient_penalty"),
        ("nonsaturating", "dragan"),
        ("hinge", "none"),
    }


@pytest.mark.parametrize("gan", ["mm", "ns", "lsgan", "wgan", "wgan_gp", "dragan", "hinge"])
def test_lucic_can_be_fixed_to_each_of_its_gans(gan: str) -> None:
    one = SPACES["lucic_narrow"].fixed({"gan": gan, "model.width": 32})
    config = built(one, one.sample(drawing(0)))
    assert config.model.model_dump()["width"] == 32
    per_sample = gan in ("wgan_gp", "dragan")
    normalisations = {built(one, one.sample(drawing(seed))).normalisation for seed in range(30)}
    assert normalisations == ({"none"} if per_sample else {"none", "batch"})


def test_kurach_ranges_are_the_papers() -> None:
    space = SPACES["kurach"]
    ranges = {row.name: row.range for row in space.rows()}
    assert ranges["lr"] == "1e-05 .. 0.01 log"
    assert ranges["beta1"] == ranges["beta2"] == "0 .. 0.999"
    assert ranges["n_critic"] == "1, 5"
    assert ranges["one_centred.weight"] == "0.1 .. 100 log"
    assert ranges["l2.weight"] == "0.0001 .. 10 log"  # in their code L2 alone has a range of its own
    pairs = {
        (config.normalisation, config.penalty.name)
        for config in (built(space, space.sample(drawing(seed))) for seed in range(300))
    }
    per_sample = {"gradient_penalty", "dragan"}
    assert pairs == {
        *((norm, penalty) for norm in ("none", "layer") for penalty in {"none", "l2"} | per_sample),
        *(("batch", penalty) for penalty in ("none", "l2")),
        *(("spectral", penalty) for penalty in {"none"} | per_sample),
    }


def test_conditional_trials_use_labels() -> None:
    space = SPACES["conditional"]
    configs = [built(space, space.sample(drawing(seed))) for seed in range(100)]
    assert {(c.conditioning.name, c.latent.name) for c in configs} == {
        (conditioning, latent) for conditioning in ("projection", "acgan") for latent in ("normal", "class_conditional")
    }
    assert all(config.uses_labels for config in configs)
