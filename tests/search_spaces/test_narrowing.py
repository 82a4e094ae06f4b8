"""Narrowing and fixing make parts of a space, closed and described as the space itself."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from draws import DATA, drawing
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.registry import SPACES
from search_spaces.space import Space
from trainables.errors import InvalidInput

every_space = pytest.mark.parametrize("space", SPACES.values(), ids=list(SPACES))


def names(space: Space) -> list[str]:
    return [p.name for p in space.parameters]


def distribution(space: Space, name: str) -> object:
    return next(p.distribution for p in space.parameters if p.name == name)


# -- narrowing ------------------------------------------------------------------------------------------------


def test_ranges_and_choices(small: Space) -> None:
    smaller = small.narrowed({"lr": {"low": "1e-4", "high": 1e-3}, "loss": ["lsgan"], "dcgan.width": {"high": 16}})
    assert distribution(smaller, "lr") == FloatDistribution(1e-4, 1e-3, log=True)
    assert distribution(smaller, "loss") == CategoricalDistribution(["lsgan"])
    assert distribution(smaller, "dcgan.width") == IntDistribution(8, 16, step=8)
    assert names(smaller) == names(small)
    assert distribution(small, "lr") == FloatDistribution(1e-5, 1e-2, log=True)


def test_choices_keep_their_order_and_type(small: Space) -> None:
    smaller = small.narrowed({"model": ["mlp", "dcgan"], "batch_size": ["64", 32]})
    assert distribution(smaller, "model.name") == CategoricalDistribution(["dcgan", "mlp"])
    assert distribution(smaller, "batch_size") == CategoricalDistribution([32, 64])


def test_a_parent_narrowed_takes_its_dependents_along(small: Space) -> None:
    smaller = small.narrowed({"model.name": ["mlp"]})
    assert "dcgan.width" not in names(smaller)
    assert {row.name: row.when for row in smaller.rows()}["mlp.width"] == ""
    assert [b.name for b in smaller.baselines] == ["penalised"]


def test_a_setting_is_narrowed_wherever_it_is_filled(small: Space) -> None:
    """With the gradient penalty alone, batch norm has nothing left and must go."""
    smaller = small.narrowed({"penalty": ["gradient_penalty"]})
    assert distribution(smaller, "normalisation") == CategoricalDistribution(["none", "spectral"])
    assert "batch_norm.penalty" not in names(smaller)
    assert "penalty.limit" not in names(smaller)
    assert {row.name: row.when for row in smaller.rows()}["penalty.weight"] == ""
    smaller.check_closed()


def test_a_parameter_of_its_own_name_is_narrowed_alone(small: Space) -> None:
    smaller = small.narrowed({"free.penalty": ["none"]})
    assert distribution(smaller, "spectral_norm.penalty") == distribution(small, "spectral_norm.penalty")
    assert distribution(smaller, "free.penalty") == CategoricalDistribution(["none"])


NARROW_ERRORS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "wider low": ({"lr": {"low": 1e-6}}, ("'lr'", "1e-06", "1e-05 .. 0.01")),
    "wider high": ({"lr": {"high": 1}}, ("'lr'", "1", "1e-05 .. 0.01")),
    "low above high": ({"lr": {"low": 1e-3, "high": 1e-4}}, ("'lr'", "swap")),
    "low 0": ({"lr": {"low": 0}}, ("'lr'", "0")),
    "NaN": ({"lr": {"low": math.nan}}, ("'lr'", "nan")),
    "inf as text": ({"lr": {"high": "inf"}}, ("'lr'", "'inf'")),
    "bool": ({"lr": {"low": True}}, ("'lr'", "True")),
    "no number": ({"lr": {"low": "small"}}, ("'lr'", "'small'")),
    "unknown bound": ({"lr": {"lo": 1e-4}}, ("'lr'", "'lo'", "did you mean 'low'")),
    "list for a range": ({"lr": [1e-4, 1e-3]}, ("'lr'", "low and high")),
    "number for a range": ({"lr": 1e-4}, ("'lr'", "low and high")),
    "off the grid": ({"dcgan.width": {"low": 12}}, ("'dcgan.width'", "12", "step 8")),
    "fraction of an integer": ({"mlp.width": {"low": 64.5}}, ("'mlp.width'", "64.5")),
    "huge": ({"mlp.width": {"low": 10**400}}, ("'mlp.width'",)),
    "no such choice": ({"loss": ["minimax"]}, ("'loss'", "'minimax'", "hinge, lsgan")),
    "choice twice": ({"loss": ["hinge", "hinge"]}, ("'loss'", "twice")),
    "no choice": ({"loss": []}, ("'loss'", "[]")),
    "text for a choice": ({"loss": "hinge"}, ("'loss'", "list")),
    "no such parameter": ({"los": ["hinge"]}, ("'los'", "did you mean 'loss'")),
    "a constant": ({"n_critic": [1]}, ("'n_critic'",)),
    "one of shared paths": ({"generator_optimiser.lr": {"low": 1e-4}}, ("'generator_optimiser.lr'", "'lr'")),
    "ranges of several": ({"model.width": {"low": 64}}, ("'model.width'", "'dcgan.width'", "'mlp.width'")),
    "inactive then": ({"model": ["mlp"], "dcgan.width": {"low": 16}}, ("'dcgan.width'", "never active")),
    "nothing left": (
        {"normalisation": ["batch"], "penalty": ["gradient_penalty"]},
        ("'penalty'", "'normalisation'"),
    ),
}


@pytest.mark.parametrize(("changes", "words"), NARROW_ERRORS.values(), ids=list(NARROW_ERRORS))
def test_narrowing_refuses(small: Space, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as caught:
        small.narrowed(changes)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word.strip("'") in message


# -- fixing ---------------------------------------------------------------------------------------------------


def test_a_fixed_parameter_becomes_a_constant(small: Space) -> None:
    fixed = small.fixed({"loss": "hinge", "lr": "1e-4", "batch_size": "64"})
    assert not {"loss", "lr", "batch_size"} & set(names(fixed))
    expected = {"loss": "hinge", "generator_optimiser.lr": 1e-4, "discriminator_optimiser.lr": 1e-4, "batch_size": 64}
    assert {path: fixed.constants[path] for path in expected} == expected
    assert isinstance(fixed.constants["batch_size"], int)


def test_dependents_of_a_fixed_parent_are_resolved(small: Space) -> None:
    fixed = small.fixed({"model": "mlp", "normalisation": "none"})
    when = {row.name: row.when for row in fixed.rows()}
    assert "dcgan.width" not in when
    assert "spectral_norm.penalty" not in when
    assert when["mlp.width"] == ""
    assert when["free.penalty"] == ""
    assert when["penalty.weight"] == "penalty.name is gradient_penalty"


def test_a_setting_is_fixed_wherever_it_is_filled(small: Space) -> None:
    fixed = small.fixed({"penalty": "gradient_penalty"})
    assert fixed.constants["penalty.name"] == "gradient_penalty"
    assert distribution(fixed, "normalisation") == CategoricalDistribution(["none", "spectral"])
    assert {row.name: row.when for row in fixed.rows()}["penalty.weight"] == ""


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_keys_does_not_matter(small: Space, order: int) -> None:
    items = list({"penalty.name": "gradient_penalty", "penalty.weight": 5}.items())[::order]
    fixed = small.fixed(dict(items))
    assert fixed.constants["penalty.weight"] == 5.0
    assert "penalty.weight" not in names(fixed)


def test_nested_keys_are_paths(small: Space) -> None:
    nested = small.fixed({"penalty": {"name": "gradient_penalty", "weight": 5}})
    assert nested.to_dict() == small.fixed({"penalty.name": "gradient_penalty", "penalty.weight": 5}).to_dict()


def test_a_conditional_parameter_stays_conditional(small: Space) -> None:
    fixed = small.fixed({"penalty.weight": 5})
    assert distribution(fixed, "penalty.weight") == FloatDistribution(5, 5, log=True)
    assert {row.name: row.when for row in fixed.rows()}["penalty.weight"] == "penalty.name is gradient_penalty"


def test_constants_are_set_and_overridden(small: Space) -> None:
    fixed = small.fixed({"n_critic": 5, "latent": "uniform", "latent.dimension": 100, "ema_kimg": "1e-1"})
    config = fixed.build(fixed.sample(drawing(0)), data=DATA, evaluation={}, seed=0)
    assert (config.n_critic, config.latent.name, config.latent.dimension) == (5, "uniform", 100)
    assert config.ema_kimg == 0.1


def test_baselines_take_the_fixed_values_or_go(small: Space) -> None:
    fixed = small.fixed({"loss": "lsgan", "model.name": "dcgan", "n_critic": 1})
    (plain,) = fixed.baselines  # the other one has no width of a DCGAN
    assert plain.name == "plain"
    assert plain.source == "a paper; with loss = lsgan, n_critic = 1"
    config = fixed.build(plain.params, data=DATA, evaluation={}, seed=0)
    assert (config.loss, config.n_critic, config.model.model_dump()["width"]) == ("lsgan", 1, 16)


def test_an_expanding_choice_is_fixed_through_what_it_fills() -> None:
    lucic = SPACES["lucic_wide"]
    both = lucic.fixed({"loss": "wasserstein"})
    assert distribution(both, "gan") == CategoricalDistribution(["wgan", "wgan_gp"])
    one = lucic.fixed({"penalty": "gradient_penalty"})
    assert (one.constants["loss"], one.constants["penalty.name"]) == ("wasserstein", "gradient_penalty")
    assert [b.name for b in one.baselines] == ["wgan_gp", "dragan"]  # whose loss follows the fixed one
    assert lucic.fixed({"gan": "wgan_gp"}).to_dict()["parameters"] == one.to_dict()["parameters"]


FIX_ERRORS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "out of range": ({"lr": 1}, ("lr", "1", "1e-05 .. 0.01")),
    "no such choice": ({"loss": "minimax"}, ("loss", "'minimax'", "hinge, lsgan")),
    "a list": ({"loss": ["hinge"]}, ("loss", "['hinge']")),
    "None": ({"penalty": None}, ("penalty", "None")),
    "no such setting": ({"los": "hinge"}, ("'los'", "did you mean 'loss'")),
    "no such knob": ({"latent.name": "normal", "latent.dimensions": 4}, ("dimensions",)),
    "an invalid constant": ({"n_critic": 0}, ("n_critic",)),
    "a constant of no type": ({"n_critic": [1]}, ("n_critic", "[1]")),
    "NaN constant": ({"ema_kimg": math.nan}, ("ema_kimg", "nan")),
    "the study's": ({"evaluation": {"count": 5}}, ("'evaluation.count'", "study file")),
    "the seed": ({"seed": 5}, ("'seed'", "study file")),
    "inactive then": ({"model": "mlp", "dcgan.width": 16}, ("'dcgan.width'", "never active")),
    "a contradiction": ({"normalisation": "batch", "penalty": "gradient_penalty"}, ("penalty", "normalisation")),
    "an optimiser that the rest does not fit": ({"generator_optimiser.alpha": 0.9}, ("alpha",)),
    "shared path": ({"generator_optimiser.lr": 1e-4}, ("'lr'",)),
}


@pytest.mark.parametrize(("changes", "words"), FIX_ERRORS.values(), ids=list(FIX_ERRORS))
def test_fixing_refuses(small: Space, changes: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput) as caught:
        small.fixed(changes)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


# -- properties over all spaces -------------------------------------------------------------------------------


def _narrowing(data: st.DataObject, d: object) -> object:
    """Draw a part of a distribution as a study file would write it."""
    draw: dict[type, Callable[[Any], object]] = {
        CategoricalDistribution: lambda d: data.draw(
            st.lists(st.sampled_from(d.choices), min_size=1, unique=True), label="choices"
        ),
        IntDistribution: lambda d: dict(
            zip(
                ("low", "high"),
                sorted(data.draw(st.sampled_from(range(d.low, d.high + 1, d.step))) for _ in range(2)),
                strict=True,
            )
        ),
        FloatDistribution: lambda d: dict(
            zip(("low", "high"), sorted(data.draw(st.floats(d.low, d.high)) for _ in range(2)), strict=True)
        ),
    }
    return draw[type(d)](d)


@every_space
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_samples_of_a_narrowed_space_are_in_the_space(space: Space, data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(space.parameters))
    changes = {chosen.name: _narrowing(data, chosen.distribution)}
    smaller = space.narrowed(changes)
    smaller.check_closed()
    assert {b.name for b in smaller.baselines} <= {b.name for b in space.baselines}
    for seed in range(5):
        params = smaller.sample(drawing(seed))
        assert space.contains(params)
        assert smaller.contains(smaller.build(params, data=DATA, evaluation={}, seed=0))
    assert smaller.narrowed(changes).to_dict() == smaller.to_dict()


@every_space
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_trials_of_a_fixed_space_are_in_the_space(space: Space, data: st.DataObject, seed: int) -> None:
    """Fix some values of a sample: all trials then have these where active, and the sample is still there."""
    params = space.sample(drawing(seed))
    chosen = data.draw(st.sets(st.sampled_from(sorted(params)), min_size=1, max_size=4))
    fixed = space.fixed({name: params[name] for name in chosen})
    assert fixed.contains(space.build(params, data=DATA, evaluation={}, seed=0))
    for turn in range(5):
        config = fixed.build(fixed.sample(drawing(turn)), data=DATA, evaluation={}, seed=0)
        found = space.params_of(config)
        assert {name: found[name] for name in chosen & found.keys()} == {
            name: params[name] for name in chosen & found.keys()
        }
    for baseline in fixed.baselines:
        assert space.contains(fixed.build(baseline.params, data=DATA, evaluation={}, seed=0))


@every_space
@settings(max_examples=15, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_fixing_settings_keeps_a_space_closed(space: Space, data: st.DataObject, seed: int) -> None:
    settings = space.settings_of(space.sample(drawing(seed)))
    varying = [
        p.paths[0] if p.expands is None else data.draw(st.sampled_from(p.paths))
        for p in space.parameters
        if p.choices and (len(p.paths) == 1 or p.expands) and p.paths[0] in settings
    ]
    path = data.draw(st.sampled_from(varying))
    fixed = space.fixed({path: settings[path]})
    fixed.check_closed()
    for turn in range(5):
        assert fixed.settings_of(fixed.sample(drawing(turn))).get(path, settings[path]) == settings[path]


@every_space
def test_everything_fixed_is_one_trial(space: Space) -> None:
    params = space.sample(drawing(7))
    fixed = space.fixed(params)
    assert fixed.parameters == ()
    assert fixed.sample(drawing(0)) == {}
    assert fixed.build({}, data=DATA, evaluation={}, seed=3) == space.build(params, data=DATA, evaluation={}, seed=3)
    assert len(fixed.baselines) <= 1
