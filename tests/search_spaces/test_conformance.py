"""Every space of the registry keeps what `Space` promises. A new row is tested with no further line."""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from draws import DATA, drawing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_spaces.registry import SPACES
from search_spaces.space import Space, suggest_with
from trainables.config import TrialConfig
from trainables.latents import LATENTS
from trainables.losses import LOSSES
from trainables.models import MODELS
from trainables.models.normalisation import NORMALISATIONS
from trainables.optimisers import OPTIMISERS
from trainables.penalties import PENALTIES

optuna.logging.set_verbosity(optuna.logging.WARNING)

every_space = pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))


def built(space: Space, params: dict[str, Any], seed: int = 0) -> TrialConfig:
    return space.build(params, data=DATA, evaluation={"count": 500}, seed=seed)


def test_rows_are_named_as_their_spaces() -> None:
    assert {name: space.name for name, space in SPACES.items()} == {name: name for name in SPACES}


@every_space
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
def test_bounds_and_choices_of_every_combination_build(space: Space) -> None:
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
    for number in range(60):
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
    assert space.baselines[0].name == "dcgan"
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


@pytest.mark.parametrize(
    ("place", "registry"),
    [
        ("loss", LOSSES),
        ("penalty.name", PENALTIES),
        ("model.name", MODELS),
        ("latent.name", LATENTS),
        ("normalisation", NORMALISATIONS),
        ("generator_optimiser.name", OPTIMISERS),
        ("discriminator_optimiser.name", OPTIMISERS),
    ],
)
def test_gan28_samples_every_row_of_the_registries(place: str, registry: dict[str, object]) -> None:
    space = SPACES["gan28"]
    seen = Counter(space.places_of(space.sample(drawing(seed)))[place] for seed in range(400))
    assert set(seen) == set(registry)
    assert min(seen.values()) >= 5


def test_gan28_has_every_knob_of_trial_config() -> None:
    """Places of all samples together are all of `TrialConfig` but what a study gives."""
    space = SPACES["gan28"]
    seen = {place for seed in range(200) for place in space.places_of(space.sample(drawing(seed)))}
    fields = {name for name in TrialConfig.model_fields if name not in ("data", "evaluation", "seed")}
    assert {place.split(".")[0] for place in seen} == fields
    for field, registry in (
        ("model", MODELS),
        ("penalty", PENALTIES),
        ("latent", LATENTS),
        ("generator_optimiser", OPTIMISERS),
        ("discriminator_optimiser", OPTIMISERS),
    ):
        knobs = {f"{field}.{knob}" for variant in registry.values() for knob in variant.model_fields}
        assert knobs == {place for place in seen if place.startswith(f"{field}.")}


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
        if config.penalty.name == "gradient_penalty":
            assert config.normalisation != "batch"
    assert pairs == {
        ("minimax", "none"),
        ("nonsaturating", "none"),
        ("lsgan", "none"),
        ("wasserstein", "weight_clip"),
        ("wasserstein", "gradient_penalty"),
    }
